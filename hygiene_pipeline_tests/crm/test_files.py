"""A CRM of files: one whole import file a pass, the same on a rerun."""

import csv
import stat
from datetime import UTC, datetime
from pathlib import Path

from hygiene_pipeline.crm.files import FilesCrm
from hygiene_pipeline.crm.protocol import FieldChange, Outcome

AT = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
CHANGES = [
    FieldChange(change_id="x1", contact_id="C1", field="city", expected=None, value='Salem, "MA"'),
    FieldChange(change_id="x2", contact_id="C2", field="segments", expected="diabetes", value=""),
]


def test_an_import_file_holds_the_whole_pass(tmp_path: Path) -> None:
    results = FilesCrm(tmp_path / "outbox").write(CHANGES, at=AT)
    assert {result.outcome for result in results} == {Outcome.HANDED_OVER}
    (path,) = (tmp_path / "outbox").iterdir()
    assert path.name == "crm_import_20260302T070000Z.csv"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"contact_id": "C1", "field": "city", "old_value": "", "new_value": 'Salem, "MA"', "change_id": "x1"},
        {"contact_id": "C2", "field": "segments", "old_value": "diabetes", "new_value": "", "change_id": "x2"},
    ]


def test_a_rerun_writes_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "crm_import_20260302T070000Z.csv"
    FilesCrm(tmp_path).write(CHANGES, at=AT)
    first = path.read_bytes()
    FilesCrm(tmp_path).write(CHANGES, at=AT)
    assert path.read_bytes() == first


def test_nothing_to_write_makes_no_file(tmp_path: Path) -> None:
    assert FilesCrm(tmp_path).write([], at=AT) == []
    assert list(tmp_path.iterdir()) == []


def test_an_undo_is_a_file_of_its_own(tmp_path: Path) -> None:
    FilesCrm(tmp_path).undo(CHANGES, at=AT)
    (path,) = tmp_path.iterdir()
    assert path.name == "crm_undo_20260302T070000Z.csv"
    assert "C2,segments,,diabetes,x2:undo" in path.read_text()
