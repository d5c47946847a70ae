"""A sync killed with SIGKILL anywhere and run again ends exactly like one that was left alone."""

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from hygiene_pipeline.crm.embedded import EmbeddedCrm, as_row
from hygiene_pipeline_tests.sync.bed import AS_OF, CRM_ROW, NEW_E164, Bed
from hygiene_pipeline_tests.sync.killed_sync import main

CONTACTS = 40
State = tuple[list[Any], list[Any], list[Any]]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A practice with 120 changes to plan, one of which a person has since overtaken."""
    folder = tmp_path_factory.mktemp("pristine")
    bed = Bed(str(folder / "warehouse.duckdb"))
    bed.con.execute("begin")
    for number in range(CONTACTS):
        contact_id = f"C{number:02}"
        bed.contact(contact_id=contact_id)
        bed.status(contact_id, phone_state="stale", phone_reason="superseded")
        bed.decision("phone", NEW_E164, contact_id=contact_id, source="patient")
        bed.decision("city", "Salem", contact_id=contact_id)
    bed.con.execute("commit")
    bed.con.close()
    crm = EmbeddedCrm(folder / "crm.sqlite")
    crm.seed(as_row({**CRM_ROW, "contact_id": f"C{number:02}"}) for number in range(CONTACTS))
    crm.edit("C07", {"city": "Lynn"}, editor="front-desk", at=AS_OF)
    crm.close()
    return folder


@pytest.fixture(scope="module")
def undisturbed(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> State:
    folder = copied(pristine, tmp_path_factory.mktemp("undisturbed"))
    main(folder, "never")
    state = state_of(folder)
    assert [row[7] for row in state[0]].count("applied") == 3 * CONTACTS - 1
    return state


def copied(pristine: Path, folder: Path) -> Path:
    return shutil.copytree(pristine, folder, dirs_exist_ok=True)


def state_of(folder: Path) -> State:
    """The whole ledger, every contact and every logged write."""
    with duckdb.connect(str(folder / "warehouse.duckdb")) as con:
        con.execute("set timezone = 'UTC'")
        ledger = con.execute("from sync.crm_change order by change_id").fetchall()
    con = sqlite3.connect(folder / "crm.sqlite")
    contacts = con.execute("select * from contact order by contact_id").fetchall()
    log = con.execute("select * from write_log order by change_id").fetchall()
    con.close()
    return ledger, contacts, log


def start(folder: Path, point: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "hygiene_pipeline_tests.sync.killed_sync", str(folder), point]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


CHAINS = {
    "while planning, in a write, and before the ledger hears of it": ["plan:2", "in_write:9", "after_write:3"],
    "before a write, after the first, and after the ledger heard": [
        "before_write:2",
        "after_write:1",
        "after_ledger:2",
    ],
}


@pytest.mark.parametrize("chain", CHAINS)
def test_killed_at_chosen_points_in_turn(pristine: Path, undisturbed: State, tmp_path: Path, chain: str) -> None:
    folder = copied(pristine, tmp_path)
    for point in CHAINS[chain]:
        with start(folder, point) as process:
            process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL
        assert state_of(folder) != undisturbed
    main(folder, "never")
    assert state_of(folder) == undisturbed


def test_killed_again_and_again_at_any_time(pristine: Path, undisturbed: State, tmp_path: Path) -> None:
    folder = copied(pristine, tmp_path)
    moments = random.Random(20260302)
    for _ in range(3):
        with start(folder, "never") as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(moments.uniform(0, 0.15))
            process.kill()
    main(folder, "never")
    assert state_of(folder) == undisturbed
