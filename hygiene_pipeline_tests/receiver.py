"""`hygiene listen` and `hygiene webhook` as processes of their own, with a practice below a folder."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hygiene_pipeline.folders import PracticeFolders
from hygiene_pipeline.landing.ledger import PLACES

PRACTICE = "riverside"
FILE = """\
practice: riverside
name: Riverside Primary Care
timezone: America/New_York
phone: "+16175550100"
crm: {kind: embedded, sync: apply}
staff: [{id: manager-1, role: practice_manager}]
receive: %s
"""
ANY_PORT = "{mllp: {port: 0}, webhook: {port: 0}}"


@dataclass(frozen=True)
class Receiver:
    """A receiver that runs: where, and how to end it."""

    address: str
    process: "subprocess.Popen[str]"

    @property
    def port(self) -> int:
        return int(self.address.split(":")[2].split("/")[0])

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to stop; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def landing(root: Path) -> Path:
    """Where the receivers of a practice below `root` put files."""
    return PracticeFolders(root=root / "data" / PRACTICE).landing / PLACES["ehr_events"].folder


def environment(root: Path, settings: str = ANY_PORT) -> dict[str, str]:
    """Lay the practice below `root`; the environment of a process that is to find it."""
    (root / "practices").mkdir(exist_ok=True)
    (root / "practices" / f"{PRACTICE}.yaml").write_text(FILE % settings)
    folders = {f"HYGIENE_{name.upper()}": str(root / name) for name in ("practices", "data", "keys")}
    return {**os.environ, **folders, "PYTHONDONTWRITEBYTECODE": ""}


@contextmanager
def running(command: str, root: Path, *, settings: str = ANY_PORT) -> Iterator[Receiver]:
    """`hygiene listen` or `hygiene webhook`, open for senders."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hygiene_pipeline.cli", command, "--practice", PRACTICE],
        env=environment(root, settings),
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stderr is not None
            told = process.stderr.readline()
            assert told.startswith("listening on "), told + process.stderr.read()
            yield Receiver(address=told.split()[-1], process=process)
        finally:
            process.kill()
