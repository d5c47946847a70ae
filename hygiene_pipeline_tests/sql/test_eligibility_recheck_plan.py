"""Which policies are asked about next, for what reason and in what order, and what must wait."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from hygiene_pipeline_tests.bed import Bed

Row = Mapping[str, Any]
NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
TODAY = date(2026, 9, 1)
COVERAGE = {
    "patient_id": "VARCHAR", "pm_patient_id": "VARCHAR", "payer_id": "VARCHAR", "payer_name": "VARCHAR",
    "member_id": "VARCHAR", "member_key": "VARCHAR", "effective_date": "DATE", "rank_number": "BIGINT",
    "answer": "VARCHAR", "answered_at": "TIMESTAMPTZ", "answered_on": "DATE", "answer_age_days": "BIGINT",
    "latest_ask": "VARCHAR", "asked_at": "TIMESTAMPTZ", "ask_message": "VARCHAR", "errors_in_a_row": "BIGINT",
    "last_updated": "TIMESTAMPTZ", "former_member_keys": "VARCHAR[]",
}  # fmt: skip
CONTEXT = {
    "contact_id": "VARCHAR", "patient_id": "VARCHAR", "is_active": "BOOLEAN", "next_visit_on": "DATE",
    "in_active_care": "BOOLEAN",
}  # fmt: skip


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def answered(days: float, result: str = "active", **more: object) -> Row:
    at = ago(days)
    # At noon in Greenwich it is the same day where the practice is.
    known = {"answered_on": at.date(), "answer_age_days": (TODAY - at.date()).days}
    return {"answer": result, "answered_at": at, "latest_ask": result, "asked_at": at, **known, **more}


def failed(hours: float, errors: int = 1, follow_up: str = "R", **more: object) -> Row:
    message = f"AAA 42 {follow_up} (payer): unable to respond" if follow_up else "AAA 42 (payer): unable to respond"
    at = ago(hours / 24)
    return {"latest_ask": "payer_error", "asked_at": at, "ask_message": message, "errors_in_a_row": errors, **more}


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is known of one policy, and what the plan says of it; no reason if it is not in the plan."""

    name: str
    policy: Row = field(default_factory=dict)
    visit_in: int | None = None
    reason: str | None = None
    left_out: str | None = None
    as_of: datetime = NOW


JANUARY = datetime(2026, 1, 20, 12, tzinfo=UTC)


def before_january(on: date, result: str = "active") -> Row:
    at = datetime(on.year, on.month, on.day, 12, tzinfo=UTC)
    return answered(0, result) | {
        "answered_at": at, "asked_at": at, "answered_on": on, "answer_age_days": (JANUARY.date() - on).days,
    }  # fmt: skip


CASES = [
    Case(name="nobody ever asked", reason="never"),
    Case(name="the member id changed and nobody asked since", policy={"former_member_keys": ["OLD"]},
        reason="member_id_changed"),
    Case(name="an answer about the new member id", policy=answered(3, former_member_keys=["OLD"])),
    Case(name="a fresh answer", policy=answered(3)),
    Case(name="the last day before an answer ages", policy=answered(76)),
    Case(name="an answer that will soon be too old", policy=answered(77), reason="ageing"),
    Case(name="the last day an answer stands", policy=answered(90), reason="ageing"),
    Case(name="an answer that is too old", policy=answered(91), reason="too_old"),
    Case(name="a visit soon and an answer of the month", policy=answered(30), visit_in=14),
    Case(name="a visit soon and an older answer", policy=answered(31), visit_in=14, reason="visit"),
    Case(name="a visit later and an older answer", policy=answered(31), visit_in=15),
    Case(name="inactive, and PM has not changed anything", policy=answered(3, "inactive", last_updated=ago(9))),
    Case(name="inactive, and PM was corrected since", policy=answered(3, "inactive", last_updated=ago(1)),
        reason="changed_since"),
    Case(name="active, and PM was touched since", policy=answered(3, last_updated=ago(1))),
    Case(name="the payer could not answer, long enough ago", policy=failed(5), reason="payer_error"),
    Case(name="the payer could not answer just now", policy=failed(3), reason="payer_error", left_out="too_soon"),
    Case(name="the second time, within a day", policy=failed(23, 2), reason="payer_error", left_out="too_soon"),
    Case(name="the second time, after a day", policy=failed(25, 2), reason="payer_error"),
    Case(name="the fifth time waits as long as the third", policy=failed(71, 5), reason="payer_error",
        left_out="too_soon"),
    Case(name="the fifth time, after that", policy=failed(73, 5), reason="payer_error"),
    Case(name="the seventh time is for a person", policy=failed(500, 7), reason="payer_error",
        left_out="too_many_errors"),
    Case(name="the payer failed after an answer that still stands", policy=answered(3) | failed(30),
        reason="payer_error"),
    Case(name="the payer wants a correction first", policy=failed(500, follow_up="C"), reason="payer_error",
        left_out="needs_correction"),
    Case(name="the payer wants to be asked again after ten days", policy=failed(9 * 24, follow_up="X"),
        reason="payer_error", left_out="too_soon"),
    Case(name="and those are over", policy=failed(11 * 24, follow_up="X"), reason="payer_error"),
    Case(name="an error that says nothing of asking again", policy=failed(5, follow_up=""), reason="payer_error"),
    Case(name="no member id to ask about", policy={"member_key": None}),
    Case(name="a policy that is not in force", policy={"rank_number": None}),
    Case(name="in January, an answer of December", policy=before_january(date(2025, 12, 31)), reason="plan_year",
        as_of=JANUARY),
    Case(name="in January, an answer of New Year's Day", policy=before_january(date(2026, 1, 1)), as_of=JANUARY),
    Case(name="in January, an inactive answer of December", policy=before_january(date(2025, 12, 20), "inactive"),
        reason="plan_year", as_of=JANUARY),
    Case(name="on the sixtieth day, an answer of December",
        policy=before_january(date(2025, 12, 31)) | {"answer_age_days": 60}, reason="plan_year",
        as_of=datetime(2026, 3, 1, 12, tzinfo=UTC)),
    Case(name="on the day after, an answer of December",
        policy=before_january(date(2025, 12, 31)) | {"answer_age_days": 61},
        as_of=datetime(2026, 3, 2, 12, tzinfo=UTC)),
]  # fmt: skip


def plan_bed(policies: list[Row], contexts: list[Row], as_of: datetime = NOW, **recheck: object) -> Bed:
    bed = Bed()
    bed.clock(as_of.isoformat())
    bed.policies()
    if recheck:
        bed.policies(recheck=[bed.rows("from policy.recheck")[0] | recheck])
    bed.declare("reconciled.coverage", COVERAGE)
    bed.declare("hygiene.issue_context", CONTEXT)
    bed.table("reconciled.coverage", policies)
    bed.table("hygiene.issue_context", contexts)
    bed.build("hygiene.eligibility_recheck_plan", "hygiene.eligibility_inquiry")
    return bed


def policy(name: str, **known: object) -> Row:
    held = {"payer_id": "A", "member_id": f"{name}-1", "member_key": f"{name}1".upper(), "rank_number": 1}
    return {"patient_id": name, "pm_patient_id": name, "former_member_keys": [], "errors_in_a_row": 0, **held, **known}


def context(name: str, visit_in: int | None = None, as_of: datetime = NOW, **more: object) -> Row:
    visit = None if visit_in is None else as_of.date() + timedelta(days=visit_in)
    known = {"is_active": True, "in_active_care": False, "next_visit_on": visit}
    return {"contact_id": f"c-{name}", "patient_id": name, **known, **more}


@pytest.fixture(scope="module")
def planned() -> dict[str, Row]:
    found = {}
    for as_of in sorted({case.as_of for case in CASES}):
        cases = [case for case in CASES if case.as_of == as_of]
        bed = plan_bed(
            [policy(f"{number}", **case.policy) for number, case in enumerate(cases)],
            [context(f"{number}", case.visit_in, as_of) for number, case in enumerate(cases)],
            as_of,
        )
        rows = {row["pm_patient_id"]: row for row in bed.rows("from hygiene.eligibility_recheck_plan")}
        found |= {case.name: rows[f"{number}"] for number, case in enumerate(cases) if f"{number}" in rows}
        assert bed.failures("hygiene.eligibility_inquiry") == {}
    return found


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_reason_to_ask(planned: dict[str, Row], case: Case) -> None:
    row = planned.get(case.name, {"reason": None, "left_out_because": None, "is_left_out": False})
    assert (row["reason"], row["left_out_because"]) == (case.reason, case.left_out)
    assert row["is_left_out"] == (case.left_out is not None)


def test_the_cases_cover_every_reason() -> None:
    reasons = ["payer_error", "member_id_changed", "never", "changed_since", "plan_year", "too_old", "visit", "ageing"]
    assert {case.reason for case in CASES} - {None} == set(reasons)


def test_a_near_visit_comes_first_then_the_reason_then_who_waits_longest() -> None:
    policies = {
        "soon": answered(40), "sooner": answered(40), "never": {}, "card": {"former_member_keys": ["X"]},
        "old": answered(120), "older": answered(200), "ageing": answered(80), "failed": failed(5), "early": failed(1),
    }  # fmt: skip
    visits = {"soon": 9, "sooner": 2, "early": 1}
    bed = plan_bed(
        [policy(name, **known) for name, known in policies.items()],
        [context(name, visits.get(name)) for name in policies],
    )
    rows = bed.rows("select pm_patient_id from hygiene.eligibility_recheck_plan order by rank")
    assert [row["pm_patient_id"] for row in rows] == [
        "sooner", "soon", "card", "never", "failed", "older", "old", "ageing", "early",
    ]  # fmt: skip


def test_a_limit_leaves_the_less_urgent_out_and_says_so() -> None:
    names = [f"{number}" for number in range(5)]
    bed = plan_bed([policy(name) for name in names], [context(name) for name in names], daily_limit=3)
    rows = bed.rows("select left_out_because from hygiene.eligibility_recheck_plan order by rank")
    assert [row["left_out_because"] for row in rows] == [None, None, None, "daily_limit", "daily_limit"]
    assert bed.rows("select count(*) as n from hygiene.eligibility_inquiry") == [{"n": 3}]


def test_only_patients_with_an_active_contact_are_asked_about_each_policy_once() -> None:
    contexts = [context("a"), context("a", contact_id="c-second"), context("b", is_active=False)]
    second = policy("a", payer_id="B", rank_number=2)
    bed = plan_bed([policy("a"), second, policy("b"), policy("c")], contexts)
    rows = bed.rows("select contact_id, payer_id from hygiene.eligibility_recheck_plan order by rank")
    assert [tuple(row.values()) for row in rows] == [("c-a", "A"), ("c-a", "B")]


def test_the_day_to_ask_about_is_that_of_a_near_visit() -> None:
    bed = plan_bed([policy("a"), policy("b")], [context("a", 5), context("b", 50)])
    rows = bed.rows("select service_date from hygiene.eligibility_recheck_plan order by pm_patient_id")
    assert [row["service_date"] for row in rows] == [TODAY + timedelta(days=5), TODAY]


def test_a_trace_stays_the_same_until_the_payer_was_asked() -> None:
    def trace(as_of: datetime, **known: object) -> str:
        bed = plan_bed([policy("a", **known)], [context("a")], as_of)
        return str(bed.rows("select check_id from hygiene.eligibility_recheck_plan")[0]["check_id"])

    asked = {**failed(30), "errors_in_a_row": 1}
    assert trace(NOW) == trace(NOW + timedelta(days=3))
    assert trace(NOW) != trace(NOW, **asked)
    assert trace(NOW).startswith("HP")


ANSWERS = {
    "naming nobody": ({}, ("p1", "A", "A1")),
    "naming the member only": ({"member_id": "a 1"}, ("p1", "A", "A1")),
    "naming another member": ({"member_id": "Z9"}, ("p1", "A", "Z9")),
    "naming the patient": ({"pm_patient_id": "p2", "payer_id": "A", "member_id": "A1"}, ("p2", "A", "A1")),
    "with a trace nobody gave": ({"check_id": "other", "member_id": "A1"}, (None, None, "A1")),
    "to an inquiry of a later night": ({"check_id": "later"}, (None, None, None)),
}


def test_an_answer_is_about_whom_the_inquiry_was_about() -> None:
    bed = Bed()
    bed.clock(NOW.isoformat())
    bed.raw()
    kinds = dict.fromkeys(("check_id", "pm_patient_id", "payer_id", "member_id"), "VARCHAR")
    inquiry = {"check_id": "HP1", "pm_patient_id": "p1", "payer_id": "A", "member_id": "A-1"}
    kept = [{"as_of": ago(1), **inquiry}, {"as_of": NOW, **inquiry, "check_id": "later"}]
    bed.table("history.hygiene_eligibility_inquiry", kept, {"as_of": "TIMESTAMPTZ", **kinds})
    said = {"check_id": "HP1", "checked_at": NOW, "result": "active", "extracted_at": NOW}
    rows = [{**said, "evidence_ref": f"{n}", **given} for n, (given, _) in enumerate(ANSWERS.values())]
    bed.table("raw.pm_eligibility", rows)
    bed.build("staging.pm_coverage", "staging.pm_eligibility")
    found = bed.rows("select pm_patient_id, payer_id, member_key from staging.pm_eligibility order by evidence_ref")
    assert [tuple(row.values()) for row in found] == [expected for _, expected in ANSWERS.values()]
