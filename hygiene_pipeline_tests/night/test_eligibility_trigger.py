"""An eligibility failure: the CRM asks for verification at once, billing gets an issue, and an active answer ends both.

The runs between nights are those that the sensor of arriving answers asks for.
"""

import csv
import stat
from dataclasses import dataclass, field
from typing import Any

import pytest

from hygiene_pipeline.sync.inquiries import COLUMNS, FILE
from hygiene_pipeline_tests.night import formats
from hygiene_pipeline_tests.night.bed import FIRST, THIRD, TinyPractice
from hygiene_pipeline_tests.night.systems import PAYER

FAILED = "2026-03-02T16:00:00+00:00"
HEALED = "2026-03-03T17:00:00+00:00"
# What each payer says when asked on the first day; C01 has a visit four days later, C07 has not.
SAID = {1: "inactive", 2: "not_found", 3: "payer_error", 4: "AAA*Y**80*R", 5: "AAA*N**T4*P", 7: "inactive"}
FLAGGED = {"C01": "coverage_inactive", "C02": "subscriber_not_found", "C07": "coverage_inactive"}
OUTAGE = ("C03", "C04", "C05")


@dataclass
class Told:
    """What a run left behind."""

    crm: dict[str, str]
    issues: dict[str, dict[str, Any]]
    suppressed: dict[str, str]
    plan: dict[str, dict[str, Any]]
    changes: list[dict[str, Any]]
    file: list[dict[str, str]]
    mode: int


@dataclass
class Story:
    bed: TinyPractice
    runs: dict[str, Told] = field(default_factory=dict)

    def run(self, as_of: str, job: str) -> Told:
        self.bed.night(as_of, job=job)
        rows = self.bed.rows
        path = self.bed.folders.outbox / FILE
        issues = rows("from hygiene.issue where staleness_type = 'insurance'")
        with path.open(encoding="utf-8", newline="") as lines:
            self.runs[as_of] = Told(
                crm={key: row["insurance_status"] for key, row in self.bed.crm().items()},
                issues={row["contact_id"]: row for row in issues},
                suppressed={row["contact_id"]: row["reason"] for row in rows("from hygiene.suppressed_outreach")},
                plan={row["contact_id"]: row for row in rows("from hygiene.eligibility_recheck_plan")},
                changes=rows("from sync.crm_change where field = 'insurance_status' order by contact_id, planned_at"),
                file=list(csv.DictReader(lines)),
                mode=stat.S_IMODE(path.stat().st_mode),
            )
        return self.runs[as_of]


def answer(number: int, result: str, stamp: str, **more: str) -> dict[str, str]:
    key = f"{stamp}-{number}"
    return {**PAYER, "check_id": key, "member_id": f"ACM{number:04}", "result": result, "stamp": stamp, **more}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    bed = TinyPractice(tmp_path_factory.mktemp("trigger"), people=7)
    visit = {"appointment_id": "A1", "pm_patient_id": "P01", "booked_at": "2026-02-01T15:00:00Z", "status": "booked"}
    bed.systems.appointments.append({**visit, "scheduled_at": "2026-03-06T15:00:00Z"})
    bed.deliver()
    story = Story(bed)
    story.run(FIRST, "bare_night")

    said = [answer(number, result, "20260302T1030") for number, result in SAID.items()]
    row = {"check_id": "csv-6", "pm_patient_id": "P06", "checked_at": "2026-03-02T15:30:00Z", "result": "payer_error"}
    bed.write({
        "pm/eligibility/noon.271": formats.x12_271(said, control=91).encode(),
        "pm/eligibility/noon.csv": formats.csv_bytes(formats.ANSWERS, [row]),
    })  # fmt: skip
    story.run(FAILED, "eligibility_event")

    answers = [answer(1, "active", "20260303T1100"), answer(2, "payer_error", "20260303T1100")]
    bed.write({"pm/eligibility/back.271": formats.x12_271(answers, control=92).encode()})
    story.run(HEALED, "eligibility_event")
    # Any later run reads the corrected CRM; this one is the shortest.
    story.run(THIRD, "eligibility_event")
    return story


def test_nothing_is_wrong_before(story: Story) -> None:
    told = story.runs[FIRST]
    assert (told.issues, told.suppressed, told.plan, told.file) == ({}, {}, {}, [])
    assert set(told.crm.values()) == {"active"}


@pytest.mark.parametrize("contact_id", FLAGGED)
def test_a_failure_asks_for_verification_in_the_crm_with_the_answer_as_evidence(story: Story, contact_id: str) -> None:
    told = story.runs[FAILED]
    assert told.crm[contact_id] == "verify_required"
    [change] = [row for row in told.changes if row["contact_id"] == contact_id]
    assert (change["new_value"], change["state"], change["reason"]) == (
        "verify_required", "applied", FLAGGED[contact_id],
    )  # fmt: skip
    assert change["evidence_ref"].startswith("271/000000091/")


@pytest.mark.parametrize("contact_id", FLAGGED)
def test_a_failure_is_an_issue_of_billing(story: Story, contact_id: str) -> None:
    issue = story.runs[FAILED].issues[contact_id]
    assert (issue["state"], issue["reason"], issue["assignee"]) == ("new", FLAGGED[contact_id], "billing-1")
    assert issue["evidence_ref"].startswith("271/000000091/")


def test_an_outage_flags_nobody(story: Story) -> None:
    told = story.runs[FAILED]
    assert set(told.issues) == set(told.suppressed) == set(FLAGGED)
    assert {told.crm[contact_id] for contact_id in (*OUTAGE, "C06")} == {"active"}


def test_an_outage_is_asked_again_after_a_while(story: Story) -> None:
    waiting = story.runs[FAILED].plan
    assert {(row["reason"], row["left_out_because"]) for row in waiting.values()} == {("payer_error", "too_soon")}
    assert set(waiting) == {*OUTAGE, "C06"}
    assert story.runs[FAILED].file == []
    due = story.runs[HEALED]
    assert {row["pm_patient_id"] for row in due.file} == {"P03", "P04", "P05", "P06"}
    assert {(row["reason"], row["service_type"], row["service_date"]) for row in due.file} == {
        ("payer_error", "30", "2026-03-03")
    }
    assert (tuple(due.file[0]), due.mode) == (COLUMNS, 0o600)


def test_a_visit_soon_raises_the_priority(story: Story) -> None:
    issues = story.runs[FAILED].issues
    assert issues["C01"]["priority_score"] > issues["C07"]["priority_score"]
    assert (issues["C01"]["priority_tier"], issues["C07"]["priority_tier"]) == (1, 1)


def test_outreach_that_would_show_wrong_coverage_waits(story: Story) -> None:
    assert story.runs[FAILED].suppressed == FLAGGED
    assert story.runs[HEALED].suppressed == dict.fromkeys(FLAGGED, "verify_required") | {"C01": "status_mismatch"}


def test_the_issue_stays_until_somebody_verified(story: Story) -> None:
    issues = story.runs[HEALED].issues
    assert {key: (row["state"], row["reason"]) for key, row in issues.items() if key != "C01"} == {
        "C02": ("open", "verify_required"), "C07": ("open", "verify_required"),
    }  # fmt: skip


def test_an_active_answer_ends_both(story: Story) -> None:
    assert story.runs[HEALED].crm["C01"] == "active"
    issue = story.runs[THIRD].issues["C01"]
    assert (issue["state"], issue["assignee"]) == ("resolved", "billing-1")
    assert issue["resolved_by"].startswith("insurance verified by eligibility 271/000000092/")
    assert "C01" not in story.runs[THIRD].suppressed


def test_a_payer_error_ends_nothing(story: Story) -> None:
    told = story.runs[THIRD]
    assert told.crm["C02"] == "verify_required"
    assert told.issues["C02"]["state"] == "open"
    assert told.suppressed["C02"] == "verify_required"
