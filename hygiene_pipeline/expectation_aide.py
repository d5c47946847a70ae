"""A process beside this one in which Great Expectations runs, so that a night need not wait while it is imported.

It is started early and imports the library on another core. It gets frames and gives back counts and keys.
"""

import atexit
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hygiene_pipeline import expectation_suite
from hygiene_pipeline.model_history import Types
from hygiene_pipeline.model_tests import Tested
from hygiene_pipeline.process_beside import ProcessBeside, far_end
from hygiene_pipeline.sql_models import ModelTest

if TYPE_CHECKING:
    import pandas as pd

_ENDED = "the process of Great Expectations ended"


class AideLostError(Exception):
    """The process ended, or the library failed in it; says which, never a value."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """The `expect_*` tests of a model that look at the same rows, and these; or why the rows could not be read."""

    model: str
    tests: Sequence[ModelTest]
    types: Types
    frame: "pd.DataFrame | None" = None
    unreadable: str = ""

    def done(self) -> Tested:
        """What the tests find."""
        if self.frame is None:
            return expectation_suite.all_unknown(self.model, self.tests, self.unreadable)
        return expectation_suite.validated(self.model, self.tests, self.frame, self.types)


@dataclass(frozen=True, kw_only=True)
class _Failed:
    error: str


class Aide(ProcessBeside):
    """The process, as its owner sees it. It works on one thing at a time, in the order asked."""

    def __init__(self) -> None:
        super().__init__(__name__)
        self._asked = self._answered = 0
        self._waiting: dict[int, Tested | _Failed] = {}

    def ask(self, work: Sequence[Work]) -> int:
        """Hand work over, once the work before is done; the number to fetch its answer by.

        If the process has ended, only `answer` says so.
        """
        with suppress(AideLostError, OSError):
            # Never two on the way: each side could wait for the other to read.
            self._take_answers(self._asked)
            self._connection.send(work)
        self._asked += 1
        return self._asked

    def answer(self, number: int) -> Tested:
        """What the work found, told once; waits for it."""
        self._take_answers(number)
        found = self._waiting.pop(number)
        if isinstance(found, Tested):
            return found
        raise AideLostError(f"crashed ({found.error})")

    def _take_answers(self, number: int) -> None:
        """Read the answers up to this one."""
        try:
            while self._answered < number:
                self._waiting[self._answered + 1] = self._connection.recv()
                self._answered += 1
        except (EOFError, OSError):
            raise self._lost() from None

    def _lost(self) -> AideLostError:
        self.leave()
        return AideLostError(_ENDED)


_aides: list[Aide] = []


def aide() -> Aide:
    """The aide of this process, started now if there is none."""
    if not _aides or not _aides[-1].is_alive:
        _aides[:] = [Aide()]
        atexit.register(_aides[-1].leave)
    return _aides[-1]


def main() -> None:
    """Be the aide of whoever holds the other end of the pipe, until they let go of it."""
    connection = far_end()
    expectation_suite.load()
    with suppress(EOFError, OSError):
        while True:
            connection.send(_answer(connection.recv()))
    # At once: there is nothing to put in order.
    os._exit(0)


def _answer(work: Sequence[Work]) -> Tested | _Failed:
    found = Tested(results=(), keys={})
    try:
        for part in work:
            found += part.done()
    except Exception as error:  # noqa: BLE001 - a library's; the owner tells what kind, and lives on
        return _Failed(error=type(error).__name__)
    return found


if __name__ == "__main__":
    # By its full name, which the classes that come over the pipe are known by.
    from hygiene_pipeline.expectation_aide import main as be_an_aide

    be_an_aide()
