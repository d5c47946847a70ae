"""Which numbers are looked up next: never validated or due again, riskiest first, within the month's budget."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from hygiene_pipeline_tests.bed import Bed

AS_OF = datetime.fromisoformat("2026-03-20T07:00:00+00:00")
CONTEXT = {"contact_id": "VARCHAR", "next_visit_on": "DATE"}


def ago(days: float) -> datetime:
    return AS_OF - timedelta(days=days)


def number(place: int) -> str:
    return f"+1617253{place:04}"


def plan_bed(contacts: dict[str, dict[str, Any]], **phone: object) -> Bed:
    """A bed with these contacts: `phone`, and columns of contact_status, each overriding an unverified active one."""
    bed = Bed()
    bed.con.execute("set threads = 1")
    bed.clock(AS_OF.isoformat())
    bed.policies(phone=[{"revalidate_after_days": 30, "lookup_price_usd": 0.015, "monthly_budget_usd": None, **phone}])
    bed.declare("hygiene.issue_context", CONTEXT)
    bed.table("staging.crm_contact", [{"contact_id": c, "phone": row["phone"]} for c, row in contacts.items()])
    status = {"is_active": True, "phone_reason": "never_verified"}
    columns = [{key: value for key, value in row.items() if key != "phone"} for row in contacts.values()]
    bed.table(
        "hygiene.contact_status",
        [{"contact_id": c, "patient_id": f"p-{c}", **status, **row} for c, row in zip(contacts, columns, strict=True)],
    )
    return bed


def plan(bed: Bed) -> list[dict[str, Any]]:
    bed.build("hygiene.phone_validation_plan")
    return bed.rows("select * from hygiene.phone_validation_plan order by rank")


PLANNED: dict[str, tuple[dict[str, Any], float | None, str | None]] = {
    "never validated": ({}, None, "never"),
    "confirmed 30 days ago": ({"phone_confirmed_at": ago(30)}, None, None),
    "confirmed 31 days ago": ({"phone_confirmed_at": ago(31)}, None, "due"),
    "confirmed on the local day 31 days ago": ({"phone_confirmed_at": ago(30.2)}, None, "due"),
    "looked up 30 days ago": ({}, 30, None),
    "looked up 31 days ago": ({}, 31, "due"),
    "confirmed long ago, looked up lately": ({"phone_confirmed_at": ago(300)}, 3, None),
    "looked up long ago, confirmed lately": ({"phone_confirmed_at": ago(3)}, 300, None),
    "looked up lately without an answer": ({"phone_reason": "lookup_inconclusive"}, 1, None),
    "a lookup of the future": ({}, -1, "never"),
    "disconnected, asked again after a while": ({"phone_reason": "disconnected"}, 40, "due"),
    "a placeholder": ({"phone_reason": "placeholder"}, None, None),
    "wrong by its form": ({"phone_reason": "invalid_format"}, None, None),
    "missing": ({"phone_reason": "missing", "phone": None}, None, None),
    "an inactive contact": ({"is_active": False}, None, None),
}


@pytest.fixture(scope="module")
def planned() -> dict[str, str]:
    """The reason of every planned number."""
    contacts = {f"c{place:02}": {"phone": number(place), **case[0]} for place, case in enumerate(PLANNED.values())}
    bed = plan_bed(contacts)
    bed.table(
        "staging.phone_lookup",
        [
            {"phone": number(place), "checked_at": ago(case[1])}
            for place, case in enumerate(PLANNED.values())
            if case[1] is not None
        ],
    )
    return {row["phone"]: row["reason"] for row in plan(bed)}


@pytest.mark.parametrize("sentence", PLANNED)
def test_a_number_is_planned_when_it_is_due(sentence: str, planned: dict[str, str]) -> None:
    assert planned.get(number(list(PLANNED).index(sentence))) == PLANNED[sentence][2]


def test_a_shared_number_is_asked_once_for_the_contact_most_at_risk() -> None:
    bed = plan_bed({"c1": {"phone": number(1)}, "c2": {"phone": number(1)}})
    bed.table("hygiene.issue", [{"contact_id": "c2", "state": "open", "priority_tier": 2}])
    assert [(row["phone"], row["contact_id"]) for row in plan(bed)] == [(number(1), "c2")]


CANDIDATES: dict[str, tuple[str | None, str, bool]] = {
    "a number that would be written": (number(90), "ehr", True),
    "the CRM's own number": (number(90), "crm", False),
    "the number that is there already": (number(1), "ehr", False),
    "a number looked up before": (number(80), "ehr", False),
    "a placeholder": ("+16175550123", "ehr", False),
    "no number": (None, "ehr", False),
    "not a number": ("call the daughter", "pm", False),
}


@pytest.mark.parametrize(("value", "source", "is_planned"), CANDIDATES.values(), ids=CANDIDATES.keys())
def test_a_number_is_looked_up_before_it_is_written(value: str | None, source: str, is_planned: bool) -> None:
    bed = plan_bed({"c1": {"phone": number(1), "phone_confirmed_at": ago(1)}})
    decision = {"patient_id": "p-c1", "field": "phone", "value": value, "source": source}
    bed.table("reconciled.field_decision", [decision, {**decision, "field": "email", "value": number(70)}])
    bed.table("staging.phone_lookup", [{"phone": number(80), "checked_at": ago(400)}])
    assert [(row["phone"], row["reason"]) for row in plan(bed)] == [(value, "candidate")] * is_planned


def test_the_riskiest_come_first() -> None:
    bed = plan_bed(
        {
            "old": {"phone": number(1), "phone_confirmed_at": ago(500)},
            "older": {"phone": number(2), "phone_confirmed_at": ago(900)},
            "never": {"phone": number(3)},
            "visit": {"phone": number(4), "phone_confirmed_at": ago(40)},
            "visit sooner": {"phone": number(5), "phone_confirmed_at": ago(40)},
            "tier 3": {"phone": number(6), "phone_confirmed_at": ago(40)},
            "tier 1": {"phone": number(7), "phone_confirmed_at": ago(40)},
            "healed": {"phone": number(8), "phone_confirmed_at": ago(400)},
        }
    )
    visits = [{"contact_id": "visit", "next_visit_on": ago(-9).date()}]
    bed.table("hygiene.issue_context", [*visits, {"contact_id": "visit sooner", "next_visit_on": ago(-2).date()}])
    bed.table(
        "hygiene.issue",
        [
            {"contact_id": "tier 3", "state": "open", "priority_tier": 3},
            {"contact_id": "tier 1", "state": "new", "priority_tier": 1},
            {"contact_id": "tier 1", "state": "open", "priority_tier": 4},
            {"contact_id": "healed", "state": "resolved", "priority_tier": 1},
        ],
    )
    rows = plan(bed)
    order = ["tier 1", "tier 3", "visit sooner", "visit", "never", "older", "old", "healed"]
    assert [row["contact_id"] for row in rows] == order
    assert [row["rank"] for row in rows] == list(range(1, 9))


BUDGETS = {
    "no budget set: no cut": (None, 0, 10),
    "room for all": (1.00, 0, 10),
    "exactly room for four": (0.06, 0, 4),
    "not quite room for five": (0.074, 0, 4),
    "three were asked this month": (0.12, 3, 5),
    "the month is used up": (0.045, 3, 0),
    "nothing to spend": (0.0, 0, 0),
}


@pytest.mark.parametrize(("budget", "asked", "kept"), BUDGETS.values(), ids=BUDGETS.keys())
def test_the_months_budget_cuts_the_plan(budget: float | None, asked: int, kept: int) -> None:
    bed = plan_bed({f"c{place}": {"phone": number(place)} for place in range(10)}, monthly_budget_usd=budget)
    # 1 March 04:59 UTC is still February in New York.
    february = {"phone": number(99), "checked_at": datetime.fromisoformat("2026-03-01T04:59:00+00:00")}
    march = [{"phone": number(50 + place), "checked_at": ago(place)} for place in range(asked)]
    bed.table("staging.phone_lookup", [february, *march])
    rows = plan(bed)
    assert [row["is_left_out"] for row in rows] == [False] * kept + [True] * (10 - kept)
    assert {row["estimated_cost"] for row in rows} == {0.015}
