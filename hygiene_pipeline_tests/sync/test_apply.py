"""Writing what is planned to a CRM that people edit meanwhile, and taking it back."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hygiene_pipeline.crm.embedded import EmbeddedCrm, as_row
from hygiene_pipeline.crm.files import FilesCrm
from hygiene_pipeline.crm.protocol import FieldChange, Outcome, WriteResult
from hygiene_pipeline.sync.outbox import apply_changes, plan_changes, sync_id_of, undo_changes
from hygiene_pipeline_tests.sync.bed import AS_OF, CRM_ROW, NEW_E164, OLD_PHONE, Bed

NEXT = AS_OF + timedelta(days=1)
LEDGER = (
    "select field, state, attempts, applied_at, sync_id, before_value from sync.crm_change order by field, planned_at"
)


@pytest.fixture(scope="module")
def shared_bed() -> Bed:
    return Bed()


@pytest.fixture
def bed(shared_bed: Bed) -> Bed:
    shared_bed.empty()
    return shared_bed


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[EmbeddedCrm]:
    crm = EmbeddedCrm(tmp_path / "crm.sqlite")
    crm.seed([as_row(CRM_ROW)])
    yield crm
    crm.close()


def fields(crm: EmbeddedCrm) -> dict[str, str | None]:
    """What the CRM shows of the contact, but for the time of its last change."""
    return {**crm.fetch(["C1"])["C1"].fields, "last_modified": None}


def plan(bed: Bed, as_of: datetime = AS_OF, **values: str) -> None:
    if not bed.rows("select 1 from staging.crm_contact"):
        bed.contact()
        bed.status(
            phone_state="stale",
            phone_reason="superseded",
            care_state="stale",
            care_reason="outdated_status",
            insurance_reason="payer_mismatch",
        )
    bed.con.execute("delete from reconciled.field_decision")
    for field, value in values.items():
        bed.decision(field, value, source="patient" if field == "phone" else "pm")
    plan_changes(bed.con, as_of=as_of)


def states(bed: Bed) -> dict[str, str]:
    return dict(bed.rows("select field, state from sync.crm_change"))


ALL_KINDS = {
    "city": "Salem",
    "email": "ana.silva@example.org",
    "sex": "male",
    "insurance_payer_id": "P2",
    "insurance_member_id": "XYZ9",
    "care_status": "completed",
    "segments": "asthma",
    "sms_opt_out": "true",
    "email_opt_out": "true",
    "call_opt_out": "true",
    "phone": NEW_E164,
}


def test_every_kind_of_field_is_written_though_the_crm_spells_it_its_own_way(bed: Bed, crm: EmbeddedCrm) -> None:
    plan(bed, **ALL_KINDS)
    before = fields(crm)
    done = apply_changes(bed.con, crm, as_of=AS_OF, mode="apply")
    assert (done.considered, done.applied) == (12, 12)
    assert {**fields(crm)} == {**before, **ALL_KINDS, "last_phone_verified": "2026-02-28T15:00:00Z"}
    assert bed.rows(LEDGER)[0] == ("call_opt_out", "applied", 1, AS_OF, sync_id_of(AS_OF), "0")


@pytest.mark.parametrize("mode", ["off", "dry_run"])
def test_without_apply_nothing_is_written(bed: Bed, crm: EmbeddedCrm, mode: str) -> None:
    plan(bed, city="Salem", postal_code="01970")
    crm.edit("C1", {"city": "Lynn"}, editor="front-desk", at=AS_OF)
    before = (bed.rows(LEDGER), fields(crm))
    done = apply_changes(bed.con, crm, as_of=AS_OF, mode=mode)  # type: ignore[arg-type]
    assert (bed.rows(LEDGER), fields(crm)) == before
    assert (done.applied, done.conflicts) == ((1, 1) if mode == "dry_run" else (0, 0))


def test_an_edit_made_meanwhile_stays_and_is_not_overruled_the_next_night(bed: Bed, crm: EmbeddedCrm) -> None:
    plan(bed, city="Salem", postal_code="01970")
    crm.edit("C1", {"city": "Lynn"}, editor="front-desk", at=AS_OF)
    assert apply_changes(bed.con, crm, as_of=AS_OF, mode="apply").conflicts == 1
    bed.con.execute("update staging.crm_contact set city = 'Lynn', postal_code = '01970'")
    plan(bed, NEXT, city="Salem")
    assert apply_changes(bed.con, crm, as_of=NEXT, mode="apply").considered == 0
    assert (fields(crm)["city"], states(bed)) == ("Lynn", {"city": "conflict", "postal_code": "applied"})


def test_newer_evidence_overrules_an_older_edit(bed: Bed, crm: EmbeddedCrm) -> None:
    plan(bed, city="Salem")
    crm.edit("C1", {"city": "Lynn"}, editor="front-desk", at=AS_OF)
    apply_changes(bed.con, crm, as_of=AS_OF, mode="apply")
    bed.con.execute("update staging.crm_contact set city = 'Lynn'")
    bed.con.execute("update reconciled.field_decision set decided_confirmed_at = ?", [AS_OF + timedelta(hours=1)])
    plan_changes(bed.con, as_of=NEXT)
    apply_changes(bed.con, crm, as_of=NEXT, mode="apply")
    assert fields(crm)["city"] == "Salem"


def test_a_person_who_made_the_same_correction_is_not_undone(bed: Bed, crm: EmbeddedCrm) -> None:
    plan(bed, city="Salem")
    crm.edit("C1", {"city": "Salem"}, editor="front-desk", at=AS_OF)
    apply_changes(bed.con, crm, as_of=AS_OF, mode="apply")
    assert bed.rows(LEDGER) == [("city", "applied", 1, AS_OF, None, None)]
    everything = [row[0] for row in bed.rows("select change_id from sync.crm_change")]
    assert undo_changes(bed.con, crm, as_of=NEXT, change_ids=everything).undone == 0


def test_a_verification_date_is_not_written_for_a_number_a_person_typed(bed: Bed, crm: EmbeddedCrm) -> None:
    plan(bed, phone=NEW_E164)
    crm.edit("C1", {"phone": "617 253 7777"}, editor="front-desk", at=AS_OF)
    apply_changes(bed.con, crm, as_of=AS_OF, mode="apply")
    assert states(bed) == {"phone": "conflict", "last_phone_verified": "conflict"}
    assert fields(crm)["last_phone_verified"] is None


def test_a_member_id_is_not_written_beside_another_payer(bed: Bed, crm: EmbeddedCrm) -> None:
    plan(bed, insurance_payer_id="P2", insurance_member_id="XYZ9")
    crm.edit("C1", {"insurance_payer_id": "P7"}, editor="billing", at=AS_OF)
    apply_changes(bed.con, crm, as_of=AS_OF, mode="apply")
    assert (fields(crm)["insurance_payer_id"], fields(crm)["insurance_member_id"]) == ("P7", "abc-123")


@pytest.mark.parametrize(
    ("shown", "state"),
    [
        ("2025-01-01", "applied"),
        ("2026-02-01T09:00:00-05:00", "applied"),
        ("2026-03-01T00:00:00Z", "conflict"),
        ("last week", "conflict"),
    ],
)
def test_a_verification_date_only_moves_forward(bed: Bed, crm: EmbeddedCrm, shown: str, state: str) -> None:
    plan(bed, phone=NEW_E164)
    crm.edit("C1", {"last_phone_verified": shown}, editor="front-desk", at=AS_OF)
    apply_changes(bed.con, crm, as_of=AS_OF, mode="apply")
    assert states(bed)["last_phone_verified"] == state


def test_a_contact_the_crm_lost_is_not_made_again(bed: Bed, tmp_path: Path) -> None:
    plan(bed, city="Salem")
    empty = EmbeddedCrm(tmp_path / "empty.sqlite")
    assert apply_changes(bed.con, empty, as_of=AS_OF, mode="apply").conflicts == 1
    assert list(empty.read_contacts()) == []
    empty.close()


class BusyCrm(EmbeddedCrm):
    """Real, but not reachable for the first `calls` writes."""

    def __init__(self, path: Path, *, calls: int) -> None:
        super().__init__(path)
        self._calls = count(1)
        self._busy = calls

    def write(self, changes: Sequence[FieldChange], *, at: datetime) -> list[WriteResult]:
        if next(self._calls) <= self._busy:
            return [WriteResult(change_id=change.change_id, outcome=Outcome.FAILED) for change in changes]
        return super().write(changes, at=at)


def test_a_failed_write_stays_in_the_outbox_until_it_succeeds(bed: Bed, tmp_path: Path) -> None:
    crm = BusyCrm(tmp_path / "crm.sqlite", calls=3)
    crm.seed([as_row(CRM_ROW)])
    plan(bed, phone=NEW_E164)
    attempts = []
    # The second pass is a rerun of the first: the same attempt.
    for as_of in (AS_OF, AS_OF, NEXT, NEXT):
        plan_changes(bed.con, as_of=as_of)
        apply_changes(bed.con, crm, as_of=as_of, mode="apply")
        attempts += bed.rows("select distinct state, attempts from sync.crm_change")
    assert attempts == [("failed", 1), ("failed", 1), ("failed", 2), ("applied", 2)]
    crm.close()


def test_a_replay_writes_nothing(bed: Bed, crm: EmbeddedCrm) -> None:
    plan(bed, NEXT, city="Salem")
    apply_changes(bed.con, crm, as_of=NEXT, mode="apply")
    plan(bed, AS_OF, postal_code="01970")
    assert apply_changes(bed.con, crm, as_of=AS_OF, mode="apply").is_held_back
    assert states(bed) == {"city": "applied", "postal_code": "planned"}
    assert fields(crm)["postal_code"] == "02139"


def test_progress_counts_to_the_end(bed: Bed, crm: EmbeddedCrm) -> None:
    crm.batch_size = 2
    plan(bed, city="Salem", postal_code="01970", state="NH")
    heard: list[tuple[int, int]] = []
    apply_changes(bed.con, crm, as_of=AS_OF, mode="apply", on_progress=lambda done, of: heard.append((done, of)))
    assert heard == [(2, 3), (3, 3)]


def test_a_file_is_handed_over_until_an_extract_shows_it(bed: Bed, tmp_path: Path) -> None:
    crm = FilesCrm(tmp_path)
    plan(bed, city="Salem", postal_code="01970")
    assert apply_changes(bed.con, crm, as_of=AS_OF, mode="dry_run").handed_over == 2
    for _ in range(2):
        done = apply_changes(bed.con, crm, as_of=AS_OF, mode="apply")
        assert (done.handed_over, done.applied) == (2, 0)
    bed.con.execute("update staging.crm_contact set city = 'Salem'")
    plan(bed, NEXT, city="Salem", postal_code="01970")
    apply_changes(bed.con, crm, as_of=NEXT, mode="apply")
    assert bed.rows(LEDGER) == [
        ("city", "applied", 1, NEXT, sync_id_of(NEXT), "Boston"),
        ("postal_code", "planned", 2, None, None, None),
    ]
    assert (tmp_path / "crm_import_20260303T150000Z.csv").read_text().count("\n") == 2


def test_undo_restores_the_exact_text_and_is_not_planned_again(bed: Bed, crm: EmbeddedCrm) -> None:
    before = fields(crm)
    plan(bed, **ALL_KINDS)
    apply_changes(bed.con, crm, as_of=AS_OF, mode="apply")
    crm.edit("C1", {"city": "Lynn"}, editor="front-desk", at=AS_OF)
    undone = undo_changes(bed.con, crm, as_of=NEXT, sync_id=sync_id_of(AS_OF))
    assert (undone.undone, undone.kept) == (11, 1)
    after = fields(crm)
    assert {**after, "city": "Boston"} == before
    assert after["phone"] == OLD_PHONE
    assert states(bed)["phone"] == "undone"
    plan_changes(bed.con, as_of=NEXT + timedelta(days=1))
    assert "phone" not in {field for _, field in bed.planned()}


def test_a_field_written_twice_ends_where_it_began(bed: Bed, crm: EmbeddedCrm) -> None:
    for as_of, city in ((AS_OF, "Salem"), (NEXT, "Lynn")):
        plan(bed, as_of, city=city)
        apply_changes(bed.con, crm, as_of=as_of, mode="apply")
        bed.con.execute("update staging.crm_contact set city = ?", [city])
    everything = [row[0] for row in bed.rows("select change_id from sync.crm_change")]
    assert undo_changes(bed.con, crm, as_of=NEXT, change_ids=everything).undone == 2
    assert fields(crm)["city"] == "Boston"


EDITABLE = {"city": ["Lynn", "Salem", "boston"], "first_name": ["Anna", "ANA", "Ana "], "phone": ["617-253-5555", ""]}
edits = st.dictionaries(st.sampled_from(sorted(EDITABLE)), st.integers(0, 2), max_size=3).map(
    lambda chosen: {field: EDITABLE[field][index % len(EDITABLE[field])] or None for field, index in chosen.items()}
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    wanted=st.sets(st.sampled_from(sorted(ALL_KINDS)), min_size=1), before=edits, after=edits, batch=st.integers(1, 5)
)
def test_no_edit_is_overwritten_twice_is_once_and_undo_restores(
    shared_bed: Bed,
    tmp_path: Path,
    wanted: set[str],
    before: dict[str, str | None],
    after: dict[str, str | None],
    batch: int,
) -> None:
    shared_bed.empty()
    path = tmp_path / "property.sqlite"
    for leftover in tmp_path.glob("property.sqlite*"):
        leftover.unlink()
    crm = EmbeddedCrm(path)
    crm.batch_size = batch
    crm.seed([as_row(CRM_ROW)])
    plan(shared_bed, **{field: value for field, value in ALL_KINDS.items() if field in wanted})
    crm.edit("C1", before, editor="front-desk", at=AS_OF)
    as_edited = fields(crm)
    apply_changes(shared_bed.con, crm, as_of=AS_OF, mode="apply")

    # What a person typed stands, but for its spelling of the very value the plan saw.
    once = (fields(crm), shared_bed.rows(LEDGER))
    for field, value in before.items():
        if field in wanted and (value or "").strip() != (CRM_ROW[field] or "").strip():
            assert once[0][field] == value
    apply_changes(shared_bed.con, crm, as_of=AS_OF, mode="apply")
    plan_changes(shared_bed.con, as_of=AS_OF)
    apply_changes(shared_bed.con, crm, as_of=AS_OF, mode="apply")
    assert (fields(crm), shared_bed.rows(LEDGER)) == once

    crm.edit("C1", after, editor="front-desk", at=NEXT.astimezone(UTC))
    edited_again = {field for field, value in after.items() if value != once[0][field]}
    undo_changes(shared_bed.con, crm, as_of=NEXT, sync_id=sync_id_of(AS_OF))
    restored = fields(crm)
    crm.close()
    for field, value in as_edited.items():
        assert restored[field] == (after[field] if field in edited_again else value)
