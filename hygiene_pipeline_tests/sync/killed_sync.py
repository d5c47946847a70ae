"""One sync pass in a process of its own, which kills itself (or waits to be killed) at a chosen point.

Run as `python -m hygiene_pipeline_tests.sync.killed_sync FOLDER POINT`: POINT is `never`, or `<place>:<n>` with a
place of `plan`, `before_write`, `in_write`, `after_write`, `after_ledger`; n counts statements or batches.
"""

import os
import signal
import sqlite3
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from hygiene_pipeline.crm.embedded import EmbeddedCrm
from hygiene_pipeline.crm.protocol import FieldChange, WriteResult
from hygiene_pipeline.sync.outbox import apply_changes, plan_changes
from hygiene_pipeline_tests.sync.bed import AS_OF

WORK_STEPS_OF_SQLITE = 200


class Countdown:
    """Kills this process, as `kill -9` would, the n-th time a place is passed."""

    def __init__(self, point: str) -> None:
        self._place, _, n = point.partition(":")
        self._left = int(n or 0)

    def passed(self, place: str) -> None:
        if place == self._place:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class MortalCrm(EmbeddedCrm):
    """The embedded CRM with a countdown at the places where a write may be cut short."""

    batch_size = 20

    def __init__(self, path: Path, countdown: Countdown) -> None:
        super().__init__(path)
        self._countdown = countdown

    def _connect(self) -> sqlite3.Connection:
        con = super()._connect()
        con.set_progress_handler(lambda: self._countdown.passed("in_write"), WORK_STEPS_OF_SQLITE)
        return con

    def write(self, changes: Sequence[FieldChange], *, at: datetime) -> list[WriteResult]:
        self._countdown.passed("before_write")
        results = super().write(changes, at=at)
        self._countdown.passed("after_write")
        return results


class MortalConnection:
    """A DuckDB connection with a countdown after each statement."""

    def __init__(self, con: duckdb.DuckDBPyConnection, countdown: Countdown) -> None:
        self._con = con
        self._countdown = countdown

    def execute(self, *args: Any) -> duckdb.DuckDBPyConnection:
        answer = self._con.execute(*args)
        self._countdown.passed("plan")
        return answer


def main(folder: Path, point: str) -> None:
    con = duckdb.connect(str(folder / "warehouse.duckdb"))
    con.execute("set timezone = 'UTC'")
    con.execute("set threads = 1")
    countdown = Countdown(point)
    crm = MortalCrm(folder / "crm.sqlite", countdown)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    plan_changes(MortalConnection(con, countdown), as_of=AS_OF)  # type: ignore[arg-type]
    apply_changes(con, crm, as_of=AS_OF, mode="apply", on_progress=lambda *_: countdown.passed("after_ledger"))
    con.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
