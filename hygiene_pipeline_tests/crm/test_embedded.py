"""The embedded CRM: versions, compare-and-set, its log of writes, and what people do to it meanwhile."""

import sqlite3
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hygiene_pipeline.crm.embedded import EmbeddedCrm, UnknownContactError, as_row
from hygiene_pipeline.crm.protocol import CONTACT_COLUMNS, FieldChange, Given, Outcome

AT = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
LATER = AT + timedelta(hours=1)


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[EmbeddedCrm]:
    crm = EmbeddedCrm(tmp_path / "practice" / "crm.sqlite")
    contacts = [
        {"contact_id": "C2", "first_name": "Bo", "phone": "617 253 0000", "last_modified": "2026-01-01T00:00:00Z"},
        {"contact_id": "C1", "first_name": "Ana", "phone": "", "insurance_payer_id": "P1"},
    ]
    crm.seed(map(as_row, contacts))
    yield crm
    crm.close()


def change(**fields: object) -> FieldChange:
    row = {"change_id": "x1", "contact_id": "C2", "field": "phone", "expected": "617 253 0000", "value": "+16172531234"}
    return FieldChange(**{**row, **fields})  # type: ignore[arg-type]


def shown(crm: EmbeddedCrm, contact_id: str, field: str) -> str | None:
    return crm.fetch([contact_id])[contact_id].fields[field]


def test_only_the_owner_reads_the_file_and_its_journals(crm: EmbeddedCrm, tmp_path: Path) -> None:
    crm.edit("C1", {"city": "Salem"}, editor="front-desk", at=AT)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "practice").iterdir()}
    assert set(modes.values()) == {0o600}
    assert "crm.sqlite" in modes


def test_only_an_empty_crm_is_seeded(crm: EmbeddedCrm) -> None:
    assert crm.seed([as_row({"contact_id": "C3"})]) == 0
    assert [row["contact_id"] for row in crm.read_contacts()] == ["C1", "C2"]


def test_a_contact_has_every_column_and_no_empty_text(crm: EmbeddedCrm) -> None:
    first = next(crm.read_contacts())
    assert tuple(first) == CONTACT_COLUMNS
    assert first["phone"] is None


def test_reading_sees_one_moment(crm: EmbeddedCrm) -> None:
    reading = crm.read_contacts()
    next(reading)
    crm.edit("C2", {"first_name": "Bob"}, editor="front-desk", at=AT)
    crm.add({"contact_id": "C3"}, editor="front-desk", at=AT)
    assert [row["first_name"] for row in reading] == ["Bo"]
    assert [row["first_name"] for row in crm.read_contacts()] == ["Ana", "Bob", None]


def test_an_edit_moves_version_and_last_modified(crm: EmbeddedCrm) -> None:
    before = crm.fetch(["C2"])["C2"]
    crm.edit("C2", {"phone": "617 253 0001", "email": ""}, editor="front-desk", at=AT)
    after = crm.fetch(["C2"])["C2"]
    assert after.version != before.version
    assert after.fields["last_modified"] == "2026-03-02T07:00:00+00:00"
    assert (after.fields["phone"], after.fields["email"]) == ("617 253 0001", None)


def test_a_sync_write_moves_them_too(crm: EmbeddedCrm) -> None:
    before = crm.fetch(["C2"])["C2"]
    crm.write([change()], at=AT)
    after = crm.fetch(["C2"])["C2"]
    assert after.version != before.version
    assert after.fields["last_modified"] == "2026-03-02T07:00:00+00:00"


def test_nobody_sets_last_modified_but_the_crm(crm: EmbeddedCrm) -> None:
    crm.edit("C2", {"city": "Salem", "last_modified": "1999-01-01"}, editor="front-desk", at=AT)
    assert shown(crm, "C2", "last_modified") == "2026-03-02T07:00:00+00:00"


@pytest.mark.parametrize("changes", [{"shoe_size": "44"}, {"contact_id": "C9"}])
def test_an_edit_of_no_such_field_is_refused(crm: EmbeddedCrm, changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="no editable field"):
        crm.edit("C2", changes, editor="front-desk", at=AT)


def test_an_edit_of_an_unknown_contact_is_refused(crm: EmbeddedCrm) -> None:
    with pytest.raises(UnknownContactError):
        crm.edit("C9", {"city": "Salem"}, editor="front-desk", at=AT)


def test_a_failed_edit_leaves_nothing(crm: EmbeddedCrm) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        crm.add({"contact_id": "C2", "first_name": "Eve"}, editor="front-desk", at=AT)
    assert shown(crm, "C2", "first_name") == "Bo"


WRITES: dict[str, tuple[FieldChange, Outcome, str | None]] = {
    "the expected value is replaced": (change(), Outcome.APPLIED, "+16172531234"),
    "another value is a conflict": (change(expected="617 253 9999"), Outcome.CONFLICT, "617 253 0000"),
    "case and spaces count": (change(expected="617  253 0000"), Outcome.CONFLICT, "617 253 0000"),
    "an expected gap that is filled is a conflict": (change(expected=None), Outcome.CONFLICT, "617 253 0000"),
    "an unknown contact is not made": (change(contact_id="C9"), Outcome.NOT_FOUND, None),
    "a gap is filled": (change(contact_id="C1", expected=None), Outcome.APPLIED, "+16172531234"),
    "empty text is a gap": (change(contact_id="C1", expected=""), Outcome.APPLIED, "+16172531234"),
    "a second field that still holds": (
        change(contact_id="C1", expected=None, given=Given(field="insurance_payer_id", value="P1")),
        Outcome.APPLIED,
        "+16172531234",
    ),
    "a second field that changed": (
        change(given=Given(field="insurance_payer_id", value="P1")),
        Outcome.CONFLICT,
        "617 253 0000",
    ),
}


@pytest.mark.parametrize("case", WRITES)
def test_compare_and_set(crm: EmbeddedCrm, case: str) -> None:
    wanted, outcome, value = WRITES[case]
    (result,) = crm.write([wanted], at=AT)
    assert result.outcome is outcome
    found = crm.fetch([wanted.contact_id])
    assert (found[wanted.contact_id].fields["phone"] if found else None) == value


def test_a_change_is_written_once(crm: EmbeddedCrm) -> None:
    (first,) = crm.write([change()], at=AT)
    crm.edit("C2", {"phone": "617 253 0000"}, editor="front-desk", at=LATER)
    (second,) = crm.write([change()], at=LATER)
    assert (first.outcome, second.outcome) == (Outcome.APPLIED, Outcome.ALREADY_APPLIED)
    assert (second.before, second.written_at) == ("617 253 0000", AT)
    assert shown(crm, "C2", "phone") == "617 253 0000"


def test_undo_puts_back_what_was_there(crm: EmbeddedCrm) -> None:
    filled = change(contact_id="C1", change_id="x2", expected=None)
    crm.write([change(), filled], at=AT)
    assert [result.outcome for result in crm.undo([change(), filled], at=LATER)] == [Outcome.APPLIED] * 2
    assert (shown(crm, "C2", "phone"), shown(crm, "C1", "phone")) == ("617 253 0000", None)
    assert [result.outcome for result in crm.undo([change()], at=LATER)] == [Outcome.ALREADY_APPLIED]


def test_undo_leaves_what_a_person_changed_since(crm: EmbeddedCrm) -> None:
    crm.write([change()], at=AT)
    crm.edit("C2", {"phone": "617 253 7777"}, editor="front-desk", at=LATER)
    assert [result.outcome for result in crm.undo([change()], at=LATER)] == [Outcome.CONFLICT]
    assert shown(crm, "C2", "phone") == "617 253 7777"


def test_a_locked_file_is_a_failure_that_may_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hygiene_pipeline.crm.embedded._LOCK_TIMEOUT_SECONDS", 0.01)
    crm = EmbeddedCrm(tmp_path / "crm.sqlite")
    crm.seed([as_row({"contact_id": "C2", "phone": "617 253 0000"})])
    other = sqlite3.connect(tmp_path / "crm.sqlite", isolation_level=None)
    other.execute("begin immediate")
    assert [result.outcome for result in crm.write([change()], at=AT)] == [Outcome.FAILED]
    other.execute("rollback")
    other.close()
    assert [result.outcome for result in crm.write([change()], at=AT)] == [Outcome.APPLIED]
    crm.close()


@pytest.mark.parametrize("field", ["contact_id", "mrn", "last_modified", "phone; drop table contact"])
def test_a_change_of_no_writable_field_cannot_be_made(field: str) -> None:
    with pytest.raises(ValueError, match="never written"):
        change(field=field)


def test_a_missing_value_never_replaces_one() -> None:
    with pytest.raises(ValueError, match="missing value"):
        change(value=None)


def test_three_thousand_changes_take_no_time(tmp_path: Path) -> None:
    crm = EmbeddedCrm(tmp_path / "crm.sqlite")
    crm.seed(as_row({"contact_id": f"C{number}", "care_status": "active"}) for number in range(3000))
    changes = [
        change(
            change_id=f"x{number}", contact_id=f"C{number}", field="care_status", expected="active", value="completed"
        )
        for number in range(3000)
    ]
    commits: list[str] = []
    crm._con.set_trace_callback(lambda statement: commits.append(statement) if statement == "commit" else None)
    # Time on a core and waits for the disk, each counted so that nobody else's work counts.
    started = time.thread_time()
    outcomes = {
        result.outcome
        for start in range(0, len(changes), crm.batch_size)
        for result in crm.write(changes[start : start + crm.batch_size], at=AT)
    }
    assert time.thread_time() - started < 1.5
    assert len(commits) == len(changes) / crm.batch_size
    assert outcomes == {Outcome.APPLIED}
    crm.close()
