"""A bulk export killed with SIGKILL anywhere, and run again: one request for an export, all of it, each thing once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hygiene_pipeline_tests.ehr.bulk_server import BulkServer, Trouble
from hygiene_pipeline_tests.ehr.mortal_exports import bring
from hygiene_pipeline_tests.ehr.test_smart_bulk import ENCOUNTERS, PATIENTS, bundle, is_complete, landed


class Exports:
    """The warm interpreter."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._running: int | None = None

    def start(self, landing: Path, server: BulkServer, *, die_before_rename: int = 0) -> int:
        """Begin an export; its process id."""
        self.end()
        assert self._process.stdin
        self._process.stdin.write(f"{landing} {server.base_url} {die_before_rename}\n")
        self._process.stdin.flush()
        self._running = int(self._line())
        return self._running

    def ended(self) -> str:
        found = self._line()
        self._running = None
        return found

    def end(self) -> None:
        """End what a failed test has left, so that no other fails with it."""
        if self._running is not None:
            with suppress(ProcessLookupError):
                os.kill(self._running, signal.SIGKILL)
            self.ended()

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


@pytest.fixture(scope="module")
def exports() -> Iterator[Exports]:
    command = [sys.executable, "-m", "hygiene_pipeline_tests.ehr.mortal_exports"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        exports = Exports(process)
        yield exports
        exports.end()
        process.communicate()


@pytest.fixture
def server() -> Iterator[BulkServer]:
    with BulkServer() as running:
        running.holds("Patient", PATIENTS[:200])
        running.holds("Patient", PATIENTS[200:])
        running.holds("Encounter", ENCOUNTERS)
        yield running


def kill(exports: Exports, process: int) -> None:
    os.kill(process, signal.SIGKILL)
    assert exports.ended() == "killed"


def test_killed_while_the_server_prepares(server: BulkServer, exports: Exports, tmp_path: Path) -> None:
    server.polls = 1_000_000
    process = exports.start(tmp_path, server)
    server.await_that(lambda it: len(it.of("status")) >= 3)
    kill(exports, process)
    server.exports = dict.fromkeys(server.exports, 1)
    bring(tmp_path, server.base_url)
    assert is_complete(tmp_path)
    assert len(server.of("kickoff")) == 1


def test_killed_in_the_middle_of_a_file(server: BulkServer, exports: Exports, tmp_path: Path) -> None:
    server.files[0].content += b" " * 4_000_000 + b"\n"
    # Whichever is asked for first: only the long one can stall.
    server.trouble["file"] = [Trouble(stall_after=3_000_000)] * 3
    process = exports.start(tmp_path, server)
    server.await_that(lambda it: it.stalled == 1)
    part = tmp_path / ".export" / "work" / "00000.part"
    until = time.monotonic() + 60
    while not part.exists() or part.stat().st_size < 1_000_000:
        assert time.monotonic() < until
        os.sched_yield()
    kill(exports, process)
    server.release()
    before = len(server.of("file"))
    bring(tmp_path, server.base_url)
    assert is_complete(tmp_path)
    assert len(server.of("kickoff")) == 1
    ranges = [each.headers.get("range", "") for each in server.of("file")[before:]]
    assert any(asked.startswith("bytes=") and int(asked[6:-1]) >= 1_000_000 for asked in ranges)


def test_killed_before_each_step_is_written_down(server: BulkServer, exports: Exports, tmp_path: Path) -> None:
    server.one_at_a_time = False
    server.holds("Bundle", [bundle("Patient/p1")], section="deleted")
    killed = 0
    while True:
        landing = tmp_path / f"{killed}"
        exports.start(landing, server, die_before_rename=killed + 1)
        if exports.ended() == "done":
            break
        killed += 1
        kick_offs = len(server.of("kickoff"))
        bring(landing, server.base_url)
        assert [each for each in landed(landing) if each["resourceType"] != "Bundle"] == PATIENTS + ENCOUNTERS, killed
        assert len([each for each in landed(landing) if each["resourceType"] == "Bundle"]) == 1
        # Only the answer to the very first request can be lost: before its address is written down.
        assert len(server.of("kickoff")) == kick_offs + (killed == 1)
    # The state five times, four files whole, four files moved.
    assert killed >= 12
