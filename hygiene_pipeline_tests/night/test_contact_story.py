"""What becomes of a contact, night by night: found stale, corrected, healed and closed; or left to a person."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from hygiene_pipeline.crm.embedded import EmbeddedCrm
from hygiene_pipeline_tests.night.bed import FIRST, SECOND, THIRD, TinyPractice
from hygiene_pipeline_tests.night.formats import discharge
from hygiene_pipeline_tests.night.systems import phone_of

NEWLY = "2026-02-25T12:00:00Z"
AFTERNOON = datetime.fromisoformat("2026-03-02T20:00:00+00:00")
OLD_NPI = "1093817465"
APPLY, DRY_RUN = "{kind: embedded, sync: apply}", "{kind: embedded, sync: dry_run}"


@dataclass
class Told:
    """What a night left behind."""

    status: dict[str, dict[str, Any]]
    issues: dict[tuple[str, str], dict[str, Any]]
    changes: list[dict[str, Any]]
    crm: dict[str, dict[str, Any]]


@dataclass
class Story:
    bed: TinyPractice
    nights: dict[str, Told] = field(default_factory=dict)

    def night(self, name: str, as_of: str, *, job: str = "nightly") -> None:
        self.bed.night(as_of, job=job)
        rows = self.bed.rows
        self.nights[name] = Told(
            status={row["contact_id"]: row for row in rows("from hygiene.contact_status")},
            issues={(row["contact_id"], row["staleness_type"]): row for row in rows("from hygiene.issue")},
            changes=rows("from sync.crm_change order by contact_id, field"),
            crm=self.bed.crm(),
        )

    def changes(self, name: str, contact_id: str) -> dict[str, tuple[str | None, str, str]]:
        """Old value, new value and state of each changed field of a contact, the latest plan of each."""
        ordered = sorted(self.nights[name].changes, key=lambda row: row["planned_at"])
        return {
            row["field"]: (row["old_value"], row["new_value"], row["state"])
            for row in ordered
            if row["contact_id"] == contact_id
        }


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    story = Story(TinyPractice(tmp_path_factory.mktemp("story")))
    people(story.bed)
    story.bed.deliver()
    story.night("first", FIRST, job="bare_night")

    edit(story.bed, "C03", phone=phone_of(3, generation=4))
    edit(story.bed, "C15", city="Lynn")
    story.bed.systems.messages.append(discharge("M09", stamp="20260302140000-0500", control="A2"))
    story.bed.systems.patients["P16"].update(phone=phone_of(16, generation=2), last_updated="2026-03-02T18:00:00Z")
    story.bed.deliver("day1")
    story.bed.use_crm(DRY_RUN)
    story.night("second, dry run", SECOND, job="bare_night")

    edit(story.bed, "C09", care_status="active", segments="diabetes;newsletter")
    edit(story.bed, "C16", phone=phone_of(16, generation=5))
    story.bed.use_crm(APPLY)
    story.night("second, for real", SECOND, job="bare_night")
    story.night("third", THIRD)
    return story


def people(bed: TinyPractice) -> None:
    systems = bed.systems
    for number in (1, 6, 8, 9, 10, 11, 15, 16):
        systems.add_person(number)
    systems.add_person(2, pm={"phone": phone_of(2, generation=2), "last_updated": NEWLY})
    systems.lookups[-1].update(valid="false", line_status="inactive")
    systems.add_person(3, pm={"phone": phone_of(3, generation=2), "last_updated": NEWLY})
    systems.add_person(4, answer="inactive")
    systems.add_person(5)
    systems.coverage["P05"].update(termination_date="2026-02-28", last_updated=NEWLY)
    systems.messages.append(discharge("M06", stamp="20260228140000-0500", control="A1"))
    systems.add_person(7, ehr={"deceasedDateTime": "2026-02-26T04:00:00Z"})
    systems.add_person(12, crm={"referring_provider_npi": OLD_NPI})
    systems.network[OLD_NPI] = {
        "npi": OLD_NPI, "name": "Dr. Kim Lee", "status": "inactive", "effective_date": "2020-01-01",
        "end_date": "2026-01-31",
    }  # fmt: skip
    systems.add_person(13, care="completed")
    systems.add_person(14, crm={"insurance_member_id": "ZZZ-1"})
    reply = {"received_at": NEWLY, "channel": "sms"}
    systems.replies += [
        {**reply, "contact_id": "C08", "kind": "stop", "value": "STOP"},
        {**reply, "contact_id": "C10", "kind": "confirm_phone", "value": phone_of(10)},
        {**reply, "contact_id": "C11", "kind": "change_phone", "value": phone_of(11, generation=3)},
    ]


def edit(bed: TinyPractice, contact_id: str, **changes: str) -> None:
    """A person at the front desk edits the CRM."""
    crm = EmbeddedCrm(bed.folders.crm)
    crm.edit(contact_id, changes, editor="front-desk", at=AFTERNOON)
    crm.close()


FOUND = {
    "a disconnected number": ("C02", "phone", "disconnected", 1),
    "a number that the PM has replaced since": ("C03", "phone", "superseded", 1),
    "a number that the patient replaced": ("C11", "phone", "superseded", 1),
    "a policy that the payer calls inactive": ("C04", "insurance", "coverage_inactive", 1),
    "a policy that the PM ended": ("C05", "insurance", "coverage_terminated", 1),
    "another member id than the PM's": ("C14", "insurance", "member_id_mismatch", 2),
    "a discharge by ADT A03": ("C06", "care", "outdated_status", 3),
    "a completed care plan": ("C13", "care", "outdated_status", 3),
    "a death that the CRM does not show": ("C07", "care", "deceased_not_marked", 1),
    "a referring provider who left": ("C12", "referring_provider", "relationship_ended", 3),
}


@pytest.mark.parametrize("case", FOUND)
def test_found_the_first_night(story: Story, case: str) -> None:
    contact_id, kind, reason, tier = FOUND[case]
    night = story.nights["first"]
    assert night.status[contact_id][f"{kind}_reason"] == reason
    assert night.status[contact_id]["stale_fields"] == [kind]
    issue = night.issues[contact_id, kind]
    assert (issue["reason"], issue["state"], issue["priority_tier"]) == (reason, "new", tier)
    assert issue["assignee"]
    assert issue["evidence_ref"]


def test_nothing_else_is_found(story: Story) -> None:
    night = story.nights["first"]
    assert set(night.issues) == {(contact_id, kind) for contact_id, kind, *_ in FOUND.values()}
    assert not [status for status in night.status.values() if status["phone_state"] not in ("current", "stale")]


WRITTEN = {
    "the PM's newer number": ("C02", {"phone": (phone_of(2), phone_of(2, generation=2))}),
    "the patient's own number, with the day it was confirmed": (
        "C11",
        {
            "phone": (phone_of(11), phone_of(11, generation=3)),
            "last_phone_verified": (None, "2026-02-25T12:00:00Z"),
        },
    ),
    "the patient's yes to the number": ("C10", {"last_phone_verified": (None, "2026-02-25T12:00:00Z")}),
    "that coverage must be verified": ("C04", {"insurance_status": ("active", "verify_required")}),
    "that coverage lapsed": ("C05", {"insurance_status": ("active", "lapsed")}),
    "the PM's member id": ("C14", {"insurance_member_id": ("ZZZ-1", "ACM0014")}),
    "the discharge, which ends outreach": (
        "C06",
        {"care_status": ("active", "discharged"), "segments": ("diabetes", "")},
    ),
    "the completion": ("C13", {"care_status": ("active", "completed"), "segments": ("diabetes", "")}),
    "the death": ("C07", {"care_status": ("active", "deceased"), "segments": ("diabetes", "")}),
    "the opt-out that came by reply": (
        "C08",
        {f"{channel}_opt_out": ("false", "true") for channel in ("sms", "email", "call")},
    ),
    "nothing about a referring provider": ("C12", {}),
    "nothing about a contact that is right": ("C01", {}),
}  # fmt: skip


@pytest.mark.parametrize("case", WRITTEN)
def test_written_the_first_night(story: Story, case: str) -> None:
    contact_id, written = WRITTEN[case]
    assert story.changes("first", contact_id) == {name: (*values, "applied") for name, values in written.items()}
    shown = story.nights["first"].crm[contact_id]
    assert {name: shown[name] or "" for name in written} == {name: new for name, (_, new) in written.items()}


def test_coverage_stays_somebodys_work_until_it_is_verified(story: Story) -> None:
    night = story.nights["second, for real"]
    assert night.status["C04"]["stale_fields"] == []
    issue = night.issues["C04", "insurance"]
    assert (issue["state"], issue["reason"], issue["assignee"]) == ("open", "verify_required", "billing-1")


@pytest.mark.parametrize("case", [case for case in FOUND if FOUND[case][0] not in ("C03", "C04", "C12")])
def test_closed_by_its_evidence_the_next_night(story: Story, case: str) -> None:
    contact_id, kind, reason, _ = FOUND[case]
    night = story.nights["second, for real"]
    assert night.status[contact_id]["stale_fields"] == []
    issue = night.issues[contact_id, kind]
    assert (issue["state"], issue["reason"], issue["resolved_at"].isoformat()) == ("resolved", reason, SECOND)
    assert issue["resolved_by"].startswith(f"{kind} ")
    assert " by " in issue["resolved_by"]


def test_a_relationship_stays_open_until_a_person_decides(story: Story) -> None:
    issue = story.nights["third"].issues["C12", "referring_provider"]
    assert (issue["state"], issue["first_seen"].isoformat(), issue["last_seen"].isoformat()) == ("open", FIRST, THIRD)
    [review] = story.bed.rows("from hygiene.referral_review")
    assert (review["contact_id"], review["old_npi"], review["new_npi"]) == ("C12", OLD_NPI, "1234567893")


def test_a_dry_run_plans_and_writes_nothing(story: Story) -> None:
    night = story.nights["second, dry run"]
    assert story.changes("second, dry run", "C09")["care_status"] == ("active", "discharged", "planned")
    assert night.crm["C09"]["care_status"] == "active"
    assert night.crm["C16"]["phone"] == phone_of(16)


def test_an_edit_between_plan_and_write_is_a_conflict_and_stands(story: Story) -> None:
    for name in ("second, for real", "third"):
        assert story.nights[name].crm["C16"]["phone"] == phone_of(16, generation=5)
    assert story.changes("second, for real", "C16")["phone"][2] == "conflict"
    assert story.nights["second, for real"].crm["C09"]["segments"] == "diabetes;newsletter"
    assert story.changes("second, for real", "C09")["segments"][2] == "conflict"


def test_a_field_nobody_touched_is_written_beside_the_one_in_conflict(story: Story) -> None:
    # The front desk wrote the same care status again: the value the decision was taken on still stands.
    assert story.changes("second, for real", "C09")["care_status"][2] == "applied"
    assert story.nights["second, for real"].crm["C09"]["care_status"] == "discharged"


def test_an_edit_between_nights_is_newer_than_what_the_pm_knew(story: Story) -> None:
    for name in ("second, for real", "third"):
        assert story.nights[name].crm["C03"]["phone"] == phone_of(3, generation=4)
        assert story.nights[name].crm["C15"]["city"] == "Lynn"


def test_what_a_person_added_outlives_the_correction_beside_it(story: Story) -> None:
    # Discharged patients leave the segments of their conditions; the newsletter is none of the EHR's business.
    assert story.nights["third"].crm["C09"]["segments"] == "newsletter"


def test_every_write_replaced_the_value_that_its_decision_saw(story: Story) -> None:
    planned = {row["change_id"]: row["old_value"] or "" for row in story.nights["third"].changes}
    written = [entry for entry in story.bed.crm_log() if entry["editor"] != "front-desk"]
    assert len(written) > len(WRITTEN)
    assert {entry["change_id"]: entry["before_value"] or "" for entry in written}.items() <= planned.items()
