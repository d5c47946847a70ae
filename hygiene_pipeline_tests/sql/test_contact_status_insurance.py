"""Every row of the table of insurance reasons, its borders, and the order between the rows."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pytest

from hygiene_pipeline_tests.sql.cases import DECISIONS, RECONCILED, STATUS, Row, ago, lay, links

TODAY = date(2026, 3, 1)
PLAN: Row = {"payer_id": "60054", "payer_name": "Aetna", "member_id": "W-123 456", "member_key": "W123456"}
SHOWN: Row = {
    "insurance_payer_id": "60054",
    "insurance_payer": "Aetna",
    "insurance_member_id": "w123456",
    "insurance_status": "active",
}
OLD_PLAN: Row = {
    "payer_id": "62308",
    "member_id": "OLD1",
    "member_key": "OLD1",
    "effective_date": TODAY - timedelta(days=900),
    "termination_date": TODAY - timedelta(days=401),
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """What the CRM shows, what the PM holds and what the payer answered, so many days ago."""

    name: str
    reason: str
    state: str
    shown: Row = field(default_factory=dict)
    plan: Row | None = field(default_factory=dict)
    answers: list[tuple[float, str]] = field(default_factory=list)
    about: Row = field(default_factory=dict)
    decided: str | None = "active"
    in_pm: bool = True


def stale(name: str, reason: str, **given: Any) -> Case:
    return Case(name=name, reason=reason, state="stale", **given)


def current(name: str, **given: Any) -> Case:
    return Case(name=name, reason="verified", state="current", **given)


def unverified(name: str, reason: str, **given: Any) -> Case:
    return Case(name=name, reason=reason, state="unverified", **given)


def ended(days: int) -> Row:
    return {"termination_date": TODAY - timedelta(days=days)}


def status(value: str | None) -> Row:
    return {"insurance_status": value}


CASES = [
    stale("the payer says inactive", "coverage_inactive", answers=[(1, "inactive")], decided="verify_required"),
    stale("the payer knows no such subscriber", "subscriber_not_found", answers=[(1, "not_found")],
        decided="verify_required"),
    stale("a later inactive beats an earlier active", "coverage_inactive", answers=[(9, "active"), (1, "inactive")],
        decided="verify_required"),
    current("a later active beats an earlier inactive", answers=[(9, "inactive"), (1, "active")]),
    stale("a payer error does not take an inactive back", "coverage_inactive",
        answers=[(9, "inactive"), (1, "payer_error")], decided="verify_required"),
    stale("an inactive answer does not age", "coverage_inactive", answers=[(200, "inactive")],
        decided="verify_required"),
    unverified("an answer after the clock is not known yet", "never_verified", answers=[(-1, "inactive")]),
    unverified("an answer about another member is about the old plan", "never_verified", answers=[(1, "inactive")],
        about={"member_key": "OLD1"}),
    unverified("an answer from another payer is about the old plan", "never_verified", answers=[(1, "inactive")],
        about={"payer_id": "62308"}),
    current("an answer that names no member is about this plan", answers=[(1, "active")], about={"member_key": None}),
    stale("the coverage ended yesterday", "coverage_terminated", plan=ended(1), decided="lapsed"),
    current("the last day itself is covered", plan=ended(0), answers=[(1, "active")]),
    stale("the coverage ended after the payer said active", "coverage_terminated", plan=ended(5),
        answers=[(9, "active")], decided="lapsed"),
    stale("inactive is asked before terminated", "coverage_inactive", plan=ended(5), answers=[(9, "inactive")],
        decided="verify_required"),
    stale("terminated is asked before payer", "coverage_terminated", plan=ended(1),
        shown={"insurance_payer_id": "62308"}, decided="lapsed"),
    stale("another payer", "payer_mismatch", shown={"insurance_payer_id": "62308"}, answers=[(1, "active")]),
    stale("another payer by name where the CRM has no id", "payer_mismatch",
        shown={"insurance_payer_id": None, "insurance_payer": "Cigna"}),
    unverified("the same payer by name where the CRM has no id", "never_verified",
        shown={"insurance_payer_id": None, "insurance_payer": "AETNA"}),
    stale("no payer where the PM has one", "payer_mismatch",
        shown={"insurance_payer_id": None, "insurance_payer": None}),
    unverified("no payer in the PM contradicts nothing", "never_verified",
        plan={"payer_id": None, "payer_name": None}, shown={"insurance_payer_id": "62308"}),
    stale("another member id", "member_id_mismatch", shown={"insurance_member_id": "W123457"},
        answers=[(1, "active")]),
    stale("no member id where the PM has one", "member_id_mismatch", shown={"insurance_member_id": None}),
    unverified("no member id in the PM contradicts nothing", "never_verified",
        plan={"member_id": None, "member_key": None}, shown={"insurance_member_id": "X"}),
    current("case, spaces and punctuation are no difference", answers=[(1, "active")],
        shown={"insurance_member_id": "w 123-456", "insurance_payer_id": "60054 "}),
    unverified("a coverage not yet in force contradicts nothing", "never_verified",
        plan={"effective_date": TODAY + timedelta(days=1)}, shown={"insurance_payer_id": "62308"}),
    stale("payer is asked before member id", "payer_mismatch",
        shown={"insurance_payer_id": "62308", "insurance_member_id": "X"}),
    stale("member id is asked before status", "member_id_mismatch",
        shown={"insurance_member_id": "X", "insurance_status": "lapsed"}, answers=[(1, "active")]),
    stale("the CRM shows lapsed, the payer says active", "status_mismatch", shown=status("lapsed"),
        answers=[(1, "active")]),
    stale("the CRM shows verify_required, the payer says active", "status_mismatch", shown=status("verify_required"),
        answers=[(90, "active")]),
    unverified("an old active answer does not overturn a lapse", "verification_due", shown=status("lapsed"),
        answers=[(91, "active")], decided="lapsed"),
    current("the payer's active before the coverage ended does not overturn a lapse", shown=status("lapsed"),
        plan=ended(5), answers=[(9, "active")], decided="lapsed"),
    stale("the payer's active after the coverage ended does", "status_mismatch", shown=status("lapsed"),
        plan=ended(9), answers=[(5, "active")]),
    current("the payer says active", answers=[(1, "active")]),
    current("the 89th day is within the limit", answers=[(89, "active")]),
    current("the 90th day is within the limit", answers=[(90, "active")]),
    unverified("the 91st day is not", "verification_due", answers=[(91, "active")]),
    current("days are counted where the practice is", answers=[(90 + 6.5 / 24, "active")]),
    unverified("late evening there is the day before", "verification_due", answers=[(90 + 7.5 / 24, "active")]),
    current("a payer error does not take a fresh active away", answers=[(30, "active"), (1, "payer_error")]),
    current("verify_required and inactive agree", shown=status("verify_required"), answers=[(1, "inactive")],
        decided="verify_required"),
    current("lapsed and not found agree", shown=status("lapsed"), answers=[(1, "not_found")],
        decided="verify_required"),
    current("lapsed and terminated agree", shown=status("lapsed"), plan=ended(1), decided="lapsed"),
    unverified("the payer could not answer", "payer_error", answers=[(1, "payer_error")]),
    unverified("the payer could not answer again after long", "payer_error",
        answers=[(120, "active"), (1, "payer_error")]),
    unverified("a payer error before an old answer is past", "verification_due",
        answers=[(130, "payer_error"), (120, "active")]),
    unverified("nobody ever asked", "never_verified"),
    unverified("nobody ever asked about a lapse", "never_verified", shown=status("lapsed"), decided="lapsed"),
    unverified("the CRM knows no status and nobody asked", "never_verified", shown=status(None), decided=None),
    unverified("an unknown status is not shown as active", "verification_due", shown=status("unknown"),
        answers=[(1, "inactive")], decided="verify_required"),
    unverified("no coverage in the PM and no answer", "never_verified", plan=None),
    stale("no coverage in the PM, but the payer said inactive", "coverage_inactive", plan=None,
        answers=[(1, "inactive")], decided="verify_required"),
    unverified("no record in the PM at all", "never_verified", in_pm=False),
]  # fmt: skip


def tables() -> dict[str, list[dict[str, Any]]]:
    contacts, coverage, answers, members = [], [], [], []
    for index, case in enumerate(CASES):
        name = f"c{index:03}"
        contacts.append({"contact_id": name, **SHOWN, **case.shown})
        members.append(("crm", name, f"p-{name}"))
        if not case.in_pm:
            continue
        members.append(("pm", name, f"p-{name}"))
        if case.plan is not None:
            began = {"effective_date": TODAY - timedelta(days=400), "last_updated": ago(40)}
            coverage.append({"pm_patient_id": name, **began, **PLAN, **case.plan, "coverage_rank": 1})
            coverage.append({"pm_patient_id": name, **OLD_PLAN, "coverage_rank": 2})
        for turn, (days, result) in enumerate(case.answers):
            asked = {**PLAN, "pm_patient_id": name, "check_id": f"{name}-{turn}", **case.about}
            answers.append({key: value for key, value in asked.items() if key != "payer_name"})
            answers[-1] |= {"checked_at": ago(days), "result": result, "evidence_ref": f"x12/{name}-{turn}"}
    return {
        "staging.crm_contact": contacts,
        "staging.pm_coverage": coverage,
        "staging.pm_eligibility": answers,
        "identity.patient_link": links(*members),
    }


@pytest.fixture(scope="module")
def verdicts() -> dict[str, dict[str, Any]]:
    bed = lay(tables())
    bed.build(*RECONCILED, *DECISIONS, *STATUS)
    rows = bed.rows(
        """select status.*, decision.value as decided
           from hygiene.contact_status as status
           left join reconciled.field_decision as decision
             on decision.patient_id = status.patient_id and decision.field = 'insurance_status'"""
    )
    return {row["contact_id"]: row for row in rows}


@pytest.mark.parametrize(("index", "case"), list(enumerate(CASES)), ids=[case.name for case in CASES])
def test_insurance(verdicts: dict[str, dict[str, Any]], index: int, case: Case) -> None:
    row = verdicts[f"c{index:03}"]
    assert (row["insurance_reason"], row["insurance_state"]) == (case.reason, case.state)
    assert ("insurance" in row["stale_fields"]) == (case.state == "stale")
    assert row["decided"] == case.decided


def test_cases_cover_every_reason() -> None:
    assert {case.reason for case in CASES} == {
        "coverage_inactive", "subscriber_not_found", "coverage_terminated", "payer_mismatch", "member_id_mismatch",
        "status_mismatch", "verified", "verification_due", "never_verified", "payer_error",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "source", "at"),
    [
        ("the payer says inactive", "eligibility", ago(1)),
        ("the coverage ended yesterday", "pm", ago(40)),
        ("another payer", "pm", ago(40)),
        ("a payer error does not take an inactive back", "eligibility", ago(9)),
        ("the payer could not answer again after long", "eligibility", ago(1)),
        ("lapsed and terminated agree", "pm", ago(40)),
        ("nobody ever asked", None, None),
    ],
)
def test_evidence_is_what_decided(verdicts: dict[str, dict[str, Any]], name: str, source: str, at: object) -> None:
    index = [case.name for case in CASES].index(name)
    row = verdicts[f"c{index:03}"]
    assert (row["insurance_evidence_source"], row["insurance_evidence_at"]) == (source, at)
    assert (row["insurance_evidence_ref"] is None) == (source is None)


def test_the_best_coverage_of_several_pm_records_counts() -> None:
    bed = lay({
        "staging.crm_contact": [{"contact_id": "c1", **SHOWN}],
        "staging.pm_coverage": [
            {"pm_patient_id": "old", **PLAN, **ended(9), "payer_id": "1", "coverage_rank": 1},
            {"pm_patient_id": "new", **PLAN, "coverage_rank": 1},
        ],
        "identity.patient_link": links(("crm", "c1", "p1"), ("pm", "old", "p1"), ("pm", "new", "p1")),
    })  # fmt: skip
    bed.build(*RECONCILED, *STATUS)
    assert bed.rows("select insurance_reason from hygiene.contact_status") == [{"insurance_reason": "never_verified"}]
