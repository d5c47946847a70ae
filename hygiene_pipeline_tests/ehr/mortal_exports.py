"""A warm interpreter that forks one export after another, so that one may be killed and the imports are paid once.

Run as `python -m hygiene_pipeline_tests.ehr.mortal_exports`: reads a line `FOLDER URL RENAMES` an export, lets a fork
bring it, which kills itself with SIGKILL just before rename number RENAMES (0: never), writes the fork's process id,
then how it ended. A rename is what every step that is written down, and every file that arrives, comes down to.
"""

import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from hygiene_pipeline.ehr.smart_bulk import BulkExport, ExportOutcome, ExportTerms
from hygiene_pipeline.ehr.smart_bulk_http import Conversation, Patience, Tokens, new_client
from hygiene_pipeline.ehr.smart_bulk_request import ExportRequest

FIRST = datetime(2026, 3, 2, 7, tzinfo=UTC)
SWIFT = Patience(attempts=4, first_wait=0.001, longest_wait=0.01)


def now() -> datetime:
    return datetime.now(UTC)


def bring(
    landing: Path,
    base_url: str,
    *,
    night: int = 0,
    tokens: Tokens | None = None,
    is_first: bool = False,
    patience: Patience = SWIFT,
    told: list[str] | None = None,
    wait_seconds: float = 60,
    request: dict[str, Any] | None = None,
    **terms: Any,
) -> ExportOutcome:
    """One run of the client, `night` nights after the first."""
    asked = {"base_url": base_url, "level": "patient", "types": ("Patient", "Encounter"), **(request or {})}
    conversation = Conversation(client(), tokens=tokens, patience=patience, clock=now)
    export = BulkExport(
        conversation,
        ExportRequest(**asked),
        ExportTerms(wait_seconds=wait_seconds, **terms),
        landing=landing,
        tell=(told if told is not None else []).append,
    )
    return export.run(as_of=FIRST + timedelta(days=night), is_first=is_first)


@cache
def client() -> httpx.Client:
    """One for all, because each reads the certificates of the machine anew."""
    return new_client(4)


def main() -> None:
    # Retries are logged to stdout: only our own words go to whoever reads there, all else goes to stderr.
    words = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1, encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        folder, url, renames = line.split()
        child = os.fork()
        if not child:
            die_before_rename(int(renames))
            bring(Path(folder), url)
            os._exit(0)
        words.write(f"{child}\n")
        _, status = os.waitpid(child, 0)
        ended = {0: "done", -signal.SIGKILL: "killed"}.get(os.waitstatus_to_exitcode(status), "failed")
        words.write(f"{ended}\n")


def die_before_rename(number: int) -> None:
    """Kill this process just before it renames for the `number`th time."""
    left = [number]

    def count(event: str, _: tuple[Any, ...]) -> None:
        if event == "os.rename":
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


if __name__ == "__main__":
    main()
