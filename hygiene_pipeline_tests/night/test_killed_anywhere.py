"""A night killed with SIGKILL anywhere and run again ends exactly like one that was left alone."""

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hygiene_pipeline_tests.night.bed import FIRST, SECOND, TinyPractice
from hygiene_pipeline_tests.night.test_repeatable import practice, the_next_day

KILLS = 10
# Each row is killed so often, one rerun after another, before a rerun is left alone and looked at.
KILLS_IN_A_ROW = 5
AIMS = 3


class Nights:
    """The warm interpreter."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, folder: Path, as_of: str, *, kill_after: float = 0) -> tuple[str, float]:
        """How a night ended, and the CPU seconds it used."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{folder} {as_of} {kill_after}\n")
        self._process.stdin.flush()
        ended, used = self._process.stdout.readline().split()
        return ended, float(used)


@pytest.fixture(scope="module")
def nights() -> Iterator[Nights]:
    command = [sys.executable, "-m", "hygiene_pipeline_tests.night.mortal_nights"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Nights(process)
        process.communicate()


@pytest.fixture(scope="module")
def pristine(nights: Nights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A practice after its first night, with news of every kind in landing and changes to write."""
    bed = practice(TinyPractice(tmp_path_factory.mktemp("pristine")))
    bed.deliver()
    assert nights.run(bed.root, FIRST)[0] == "done"
    the_next_day(bed)
    bed.deliver("day1")
    return bed.root


def left_by(folder: Path) -> tuple[object, ...]:
    bed = TinyPractice(folder)
    written = [{**entry, "rowid": None} for entry in bed.crm_log()]
    return bed.tables(), bed.crm(), sorted(written, key=lambda entry: str(entry["change_id"]))


def killed_at(moment: float, nights: Nights, folder: Path, cost: float) -> tuple[bool, float]:
    """Kill a night at this share of it; whether that came in time, and what a night costs at most, in CPU seconds.

    What else the machine does makes the same night cost half as much again, so one that ends before its kill is taken
    back and killed earlier.
    """
    for _ in range(AIMS):
        before = shutil.copytree(folder, folder.with_name("before"))
        ended, used = nights.run(folder, SECOND, kill_after=moment * cost)
        if ended == "killed":
            shutil.rmtree(before)
            return True, cost
        assert ended == "done"
        shutil.rmtree(folder)
        before.rename(folder)
        cost = min(cost, used)
    return False, cost


def test_killed_at_ten_moments(nights: Nights, pristine: Path, tmp_path: Path) -> None:
    alone = shutil.copytree(pristine, tmp_path / "alone")
    ended, cost = nights.run(alone, SECOND)
    assert ended == "done"
    expected = left_by(alone)

    rng = random.Random(20260302)
    moments = [(number + rng.random()) / KILLS for number in range(KILLS)]
    rng.shuffle(moments)
    killed = 0
    for row in range(0, KILLS, KILLS_IN_A_ROW):
        folder = shutil.copytree(pristine, tmp_path / f"row{row}")
        for moment in moments[row : row + KILLS_IN_A_ROW]:
            is_killed, cost = killed_at(moment, nights, folder, cost)
            killed += is_killed
        assert nights.run(folder, SECOND)[0] == "done"
        assert left_by(folder) == expected, f"killed at {moments[row : row + KILLS_IN_A_ROW]} of the night"
    # A kill after the last write may come too late to be one.
    assert killed >= KILLS - 2
