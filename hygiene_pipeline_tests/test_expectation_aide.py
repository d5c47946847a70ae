"""The process in which Great Expectations runs: it answers in order; its end or a crash in it is told, not suffered."""

import os
import select
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from hygiene_pipeline import expectation_aide, expectation_suite
from hygiene_pipeline.expectation_aide import Aide, AideLostError, Work, aide
from hygiene_pipeline.model_build import build_model
from hygiene_pipeline.sql_models import ModelTest
from hygiene_pipeline_tests.bed import Bed
from hygiene_pipeline_tests.test_expectations import CLEAN, PHONE, TYPES, person


@pytest.fixture
def one() -> Aide:
    return aide()


def work(*phones: str | None) -> list[Work]:
    """Whether these phones are there; a row's key is its number."""
    test = ModelTest(
        name="phone is there",
        type="expect_column_values_to_not_be_null",
        column="phone",
        arguments={},
        severity="warn",
        where=None,
    )
    frame = pd.DataFrame({expectation_suite.KEY: [str(row) for row in range(len(phones))], "phone": list(phones)})
    return [Work(model="hygiene.person", tests=[test], types={"phone": "VARCHAR"}, frame=frame)]


def broken() -> list[Work]:
    return [Work(model="hygiene.person", tests=[None], types={}, frame=pd.DataFrame())]


def process_of(helper: Aide) -> int:
    return helper._process.pid


def has_ended(process: int, within_seconds: int = 60) -> bool:
    """Whether a process that is no child of this one ends in time."""
    try:
        watched = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], within_seconds)[0])
    finally:
        os.close(watched)


class Doomed(Aide):
    """Stopped before it can answer anything; dies while it is asked for the second time."""

    def __init__(self) -> None:
        super().__init__()
        os.kill(process_of(self), signal.SIGSTOP)

    def ask(self, work: Sequence[Work]) -> int:
        if self._asked == 1:
            os.kill(process_of(self), signal.SIGKILL)
        return super().ask(work)


@pytest.fixture
def first() -> Iterator[Aide]:
    made = Doomed()
    yield made
    made.leave()


# Stands first: those that follow ask the process that replaces the one killed here.
def test_one_that_was_killed_is_replaced_what_it_had_is_lost_and_a_build_outlives_it(
    tmp_path: Path, first: Aide
) -> None:
    bed = Bed()
    bed.table("raw.person", CLEAN, TYPES)
    model = person(tmp_path, PHONE)
    for known in expectation_aide._aides:
        known.leave()
    expectation_aide._aides[:] = [first]
    assert aide() is first
    number = first.ask(work("1"))
    # The first look is lost with it; the table is then built aside, and another process looks at it.
    assert build_model(bed.con, model).failures == ()
    assert first._asked == 2
    with pytest.raises(AideLostError, match="ended"):
        first.answer(number)
    with pytest.raises(AideLostError, match="ended"):
        first.answer(first.ask(work("1")))
    second = aide()
    assert second is not first
    assert second is aide()
    assert second.answer(second.ask(work("1"))).results[0].passed


def test_it_finds_what_is_wrong(one: Aide) -> None:
    found = one.answer(one.ask(work("1", None, "3")))
    assert [(result.test, result.checked, result.failing) for result in found.results] == [("phone is there", 3, 1)]
    assert found.keys == {"phone is there": ("1",)}


def test_a_crash_is_told_by_its_kind_and_the_next_work_is_done(one: Aide) -> None:
    with pytest.raises(AideLostError, match=r"^crashed \(AttributeError\)$"):
        one.answer(one.ask(broken()))
    assert one.answer(one.ask(work("1"))).results[0].passed


def test_answers_may_be_fetched_late_and_in_any_order(one: Aide) -> None:
    numbers = [one.ask(work(*[None] * failing)) for failing in range(4)]
    assert [one.answer(numbers[failing]).results[0].failing for failing in (2, 0, 3, 1)] == [2, 0, 3, 1]


def test_more_than_a_pipe_holds_goes_both_ways(one: Aide) -> None:
    many = ["+1 617 253 0000"] * 20_000
    for _ in range(2):
        one.ask(work(*many, *[None] * 2_000))
    found = one.answer(one.ask(work(*many, *[None] * 2_000)))
    assert (found.results[0].failing, len(found.keys["phone is there"])) == (2_000, 1_000)


@dataclass(frozen=True, kw_only=True)
class Fork:
    """A fork that asked an aide of its own and was killed."""

    status: int
    is_right: bool
    aide: int


@pytest.fixture(scope="module")
def fork() -> Fork:
    mine = aide()
    told, telling = os.pipe()
    child = os.fork()
    if not child:
        try:
            own = aide()
            is_right = own is not mine and own.answer(own.ask(work("1"))).results[0].passed
            os.write(telling, f"{is_right:d} {process_of(own)}".encode())
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.close(telling)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with os.fdopen(told) as words:
        is_right, own_aide = map(int, words.read().split())
    return Fork(status=status, is_right=bool(is_right), aide=own_aide)


def test_a_fork_has_its_own(fork: Fork, one: Aide) -> None:
    assert fork.is_right
    assert fork.aide != process_of(one)
    assert one.answer(one.ask(work("1"))).results[0].passed


def test_it_ends_with_the_process_that_started_it_however_that_ends(fork: Fork) -> None:
    assert fork.status == -signal.SIGKILL
    assert has_ended(fork.aide)
