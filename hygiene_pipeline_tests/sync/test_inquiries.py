"""The inquiries that are due, as a file for a PM: whole, private, the most urgent first, never of an older night."""

import csv
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hygiene_pipeline.sync.inquiries import COLUMNS, FILE, write_inquiries
from hygiene_pipeline_tests.bed import Bed

PLAN = {
    "check_id": "VARCHAR", "pm_patient_id": "VARCHAR", "payer_id": "VARCHAR", "payer_name": "VARCHAR",
    "member_id": "VARCHAR", "service_date": "DATE", "reason": "VARCHAR", "next_visit_on": "DATE", "rank": "BIGINT",
    "is_left_out": "BOOLEAN",
}  # fmt: skip


def due(rank: int, **more: object) -> dict[str, Any]:
    row = {"check_id": f"HP{rank}", "pm_patient_id": f"p{rank}", "payer_id": "A", "payer_name": 'Acme, "Health"'}
    known = {"member_id": f"M-{rank}", "service_date": "2026-03-01", "reason": "never", "is_left_out": False}
    return {**row, **known, "rank": rank, **more}


@pytest.fixture
def bed() -> Bed:
    bed = Bed()
    bed.declare("hygiene.eligibility_recheck_plan", PLAN)
    bed.con.execute("create table history.night as select as_of from policy.clock")
    return bed


def written(bed: Bed, outbox: Path, rows: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    bed.table("hygiene.eligibility_recheck_plan", rows)
    assert write_inquiries(bed.con, outbox, service_type="30") == sum(not row["is_left_out"] for row in rows)
    with (outbox / FILE).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_it_names_what_is_due_most_urgent_first(bed: Bed, tmp_path: Path) -> None:
    rows = written(bed, tmp_path, [due(2, next_visit_on="2026-03-01"), due(1), due(3, is_left_out=True)])
    assert tuple(rows[0]) == COLUMNS
    assert [(row["check_id"], row["next_visit_on"]) for row in rows] == [("HP1", ""), ("HP2", "2026-03-01")]
    assert (rows[0]["payer_name"], rows[0]["member_id"], rows[0]["service_type"]) == ('Acme, "Health"', "M-1", "30")


def test_only_its_owner_may_read_it_and_nothing_else_is_left(bed: Bed, tmp_path: Path) -> None:
    written(bed, tmp_path, [due(1)])
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / FILE).parent.iterdir()] == [FILE.name]


def test_with_nothing_due_yesterdays_are_not_asked_again(bed: Bed, tmp_path: Path) -> None:
    written(bed, tmp_path, [due(1)])
    assert written(bed, tmp_path, []) == []
    assert (tmp_path / FILE).read_text() == ",".join(COLUMNS) + "\n"


def test_an_unchanged_file_is_left_as_it_is(bed: Bed, tmp_path: Path) -> None:
    written(bed, tmp_path, [due(1)])
    before = (tmp_path / FILE).stat()
    written(bed, tmp_path, [due(1)])
    after = (tmp_path / FILE).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_replay_of_an_earlier_night_writes_none(bed: Bed, tmp_path: Path) -> None:
    written(bed, tmp_path, [due(1)])
    bed.con.execute("insert into history.night select as_of + interval 1 day from policy.clock")
    assert [row["check_id"] for row in written(bed, tmp_path, [due(2)])] == ["HP1"]
