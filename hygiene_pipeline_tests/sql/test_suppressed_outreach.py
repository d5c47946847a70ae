"""To whom nothing is sent that speaks of coverage: what the CRM shows of it is wrong, or waits for somebody."""

from datetime import date
from typing import Any

import pytest

from hygiene_pipeline_tests.bed import Bed

# reason, state, what the CRM shows: the reason to hold back, or none.
CASES: dict[str, tuple[str, str, str, str | None]] = {
    "the payer says inactive": ("coverage_inactive", "stale", "active", "coverage_inactive"),
    "the payer knows nobody of that name": ("subscriber_not_found", "stale", "active", "subscriber_not_found"),
    "the policy has ended": ("coverage_terminated", "stale", "active", "coverage_terminated"),
    "another payer": ("payer_mismatch", "stale", "active", "payer_mismatch"),
    "another member id": ("member_id_mismatch", "stale", "active", "member_id_mismatch"),
    "shown as lapsed, and is not": ("status_mismatch", "stale", "lapsed", "status_mismatch"),
    "shown as to be verified, and must be": ("verified", "current", "verify_required", "verify_required"),
    "shown as lapsed, and is": ("verified", "current", "lapsed", None),
    "active, and the payer says so": ("verified", "current", "active", None),
    "nobody ever asked": ("never_verified", "unverified", "active", None),
    "the payer could not answer": ("payer_error", "unverified", "active", None),
    "the answer is old": ("verification_due", "unverified", "active", None),
}


def suppressed_bed(**policies: Any) -> Bed:
    bed = Bed()
    bed.policies(**policies)
    bed.declare("hygiene.issue_context", {"contact_id": "VARCHAR", "next_visit_on": "DATE"})
    statuses = [
        {
            "contact_id": f"{number:02}", "patient_id": f"p{number:02}", "is_active": True, "insurance_reason": reason,
            "insurance_state": state, "insurance_evidence_source": "eligibility", "insurance_evidence_ref": "271/1",
        }
        for number, (reason, state, *_) in enumerate(CASES.values())
    ]  # fmt: skip
    contacts = [
        {"contact_id": f"{number:02}", "insurance_status": shown}
        for number, (_, _, shown, _) in enumerate(CASES.values())
    ]
    bed.table("hygiene.contact_status", [*statuses, {**statuses[0], "contact_id": "off", "is_active": False}])
    bed.table("staging.crm_contact", [*contacts, {"contact_id": "off", "insurance_status": "active"}])
    bed.table("hygiene.issue_context", [{"contact_id": "00", "next_visit_on": date(2026, 3, 3)}])
    bed.build("hygiene.suppressed_outreach")
    return bed


@pytest.fixture(scope="module")
def suppressed() -> dict[str, dict[str, Any]]:
    return {row["contact_id"]: row for row in suppressed_bed().rows("from hygiene.suppressed_outreach")}


@pytest.mark.parametrize("name", CASES)
def test_outreach_is_held_back_while_coverage_is_known_to_be_wrong(suppressed: Any, name: str) -> None:
    row = suppressed.get(f"{list(CASES).index(name):02}", {"reason": None})
    assert row["reason"] == CASES[name][3]


def test_a_contact_that_is_switched_off_gets_nothing_anyway(suppressed: Any) -> None:
    assert "off" not in suppressed


def test_the_evidence_and_the_next_visit_stand_beside_it(suppressed: Any) -> None:
    row = suppressed["00"]
    assert (row["topic"], row["evidence_source"], row["evidence_ref"]) == ("coverage", "eligibility", "271/1")
    assert row["next_visit_on"] == date(2026, 3, 3)


def test_a_practice_says_which_reasons_hold_outreach_back() -> None:
    bed = suppressed_bed(suppressed_reason=[{"reason": "verify_required"}])
    assert bed.rows("select reason from hygiene.suppressed_outreach") == [{"reason": "verify_required"}]
