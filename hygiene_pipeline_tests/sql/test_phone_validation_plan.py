"""Which numbers are looked up next: never validated or due again, riskiest first, within the month's budget."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from hygiene_pipeline_tests.bed import Bed

AS_OF = datetime.fromisoformat("2026-03-20T07:00:00+00:00")
CONTEXT = {
    "contact_id": "VARCHAR",
    "patient_id": "VARCHAR",
    "is_active": "BOOLEAN",
    "next_visit_on": "DATE",
    "failed_contacts": "BIGINT",
}
CLAIM = {
    "patient_id": "VARCHAR",
    "phone": "VARCHAR",
    "source": "VARCHAR",
    "confirmed_at": "TIMESTAMPTZ",
    "stood_by_at": "TIMESTAMPTZ",
}
ISSUE = {
    "as_of": "TIMESTAMPTZ",
    "issue_id": "VARCHAR",
    "contact_id": "VARCHAR",
    "state": "VARCHAR",
    "priority_tier": "INTEGER",
}
PACKAGES = [
    {"package": "line_status", "price_usd": 0.007, "needs_confirmation": False},
    {"package": "reassigned_number", "price_usd": 0.02, "needs_confirmation": True, "only_region": "US"},
]


def ago(days: float) -> datetime:
    return AS_OF - timedelta(days=days)


def number(place: int) -> str:
    return f"+1617253{place:04}"


def claim(contact: str, phone: str | None, at: datetime, source: str = "pm") -> dict[str, Any]:
    return {"patient_id": f"p-{contact}", "phone": phone, "source": source, "confirmed_at": at, "stood_by_at": at}


def plan_bed(contacts: dict[str, dict[str, Any]], *claims: dict[str, Any], **phone: object) -> Bed:
    """A bed with these contacts: `phone`, `confirmed_at` of it, and columns of issue_context."""
    bed = Bed()
    bed.con.execute("set threads = 1")
    bed.clock(AS_OF.isoformat())
    bed.raw()
    bed.policies(
        phone=[
            {
                "revalidate_after_days": 30,
                "lookup_price_usd": 0.015,
                "monthly_budget_usd": None,
                "shared_number_limit": 3,
                **phone,
            }
        ]
    )
    bed.declare("hygiene.issue_context", CONTEXT)
    bed.declare("reconciled.phone_claim", CLAIM)
    bed.declare("reconciled.placeholder_phone", {"digits": "VARCHAR"})
    bed.declare("history.hygiene_issue", ISSUE)
    bed.table("staging.crm_contact", [{"contact_id": c, "phone": row.get("phone")} for c, row in contacts.items()])
    bed.table(
        "hygiene.issue_context",
        [
            {"contact_id": c, "patient_id": f"p-{c}", "is_active": True}
            | {key: value for key, value in row.items() if key in CONTEXT}
            for c, row in contacts.items()
        ],
    )
    own = [claim(c, row["phone"], row["confirmed_at"], "crm") for c, row in contacts.items() if "confirmed_at" in row]
    bed.table("reconciled.phone_claim", [*own, *claims])
    return bed


def called(bed: Bed, calls: Sequence[tuple[str, datetime, str, float]]) -> None:
    """Numbers that we asked a vendor about: phone, when, state and cost."""
    keys = ("phone", "as_of", "state", "cost_usd")
    bed.table("history.phone_lookup_call", [dict(zip(keys, call, strict=True)) for call in calls])


def bought(bed: Bed, lookups: Sequence[tuple[str, datetime]], extracted_at: datetime = AS_OF) -> None:
    """Lookups bought elsewhere, which came in a file."""
    bed.table("staging.phone_number", [{"raw": phone, "e164": phone} for phone in {phone for phone, _ in lookups}])
    rows = [{"phone": phone, "checked_at": at, "provider": "x", "extracted_at": extracted_at} for phone, at in lookups]
    bed.table("raw.phone_lookups", rows)


def plan(bed: Bed) -> list[dict[str, Any]]:
    bed.build("hygiene.phone_validation_plan")
    return bed.rows("select * from hygiene.phone_validation_plan order by rank")


def planned_phones(bed: Bed) -> list[str]:
    return [row["phone"] for row in plan(bed)]


# The columns of a contact; days since a file brought a lookup; days since and state of a call of ours; the reason.
PLANNED: dict[str, tuple[dict[str, Any], float | None, tuple[float, str] | None, str | None]] = {
    "never validated": ({}, None, None, "never"),
    "confirmed 30 days ago": ({"confirmed_at": ago(30)}, None, None, None),
    "confirmed 31 days ago": ({"confirmed_at": ago(31)}, None, None, "due"),
    "confirmed on the local day 31 days ago": ({"confirmed_at": ago(30.2)}, None, None, "due"),
    "looked up elsewhere 30 days ago": ({}, 30, None, None),
    "looked up elsewhere 31 days ago": ({}, 31, None, "due"),
    "confirmed long ago, looked up lately": ({"confirmed_at": ago(300)}, 3, None, None),
    "looked up long ago, confirmed lately": ({"confirmed_at": ago(3)}, 300, None, None),
    "a lookup of the future": ({}, -1, None, "never"),
    "we asked 30 days ago": ({}, None, (30, "answered"), None),
    "we asked 31 days ago": ({}, None, (31, "answered"), "due"),
    "the vendor does not know it as a number": ({}, None, (1, "refused"), None),
    "the vendor did not answer last night": ({}, None, (1, "failed"), "never"),
    "the run died before the answer was stored": ({}, None, (1, "lost"), "never"),
    "stopped before it went out": ({}, None, (1, "unasked"), "never"),
    "answered already tonight, before a rerun": ({}, None, (0, "answered"), "never"),
    "the practice's own number": ({"phone": "+16175550100"}, None, None, None),
    "a placeholder": ({"phone": "+16172220000"}, None, None, None),
    "missing, or wrong by its form": ({"phone": None}, None, None, None),
    "an inactive contact": ({"is_active": False}, None, None, None),
}


@pytest.fixture(scope="module")
def planned() -> dict[str, str]:
    """The reason of every planned number."""
    contacts = {f"c{place:02}": {"phone": number(place), **case[0]} for place, case in enumerate(PLANNED.values())}
    bed = plan_bed(contacts)
    bed.table("reconciled.placeholder_phone", [{"digits": "6172220000"}])
    cases = list(enumerate(PLANNED.values()))
    bought(bed, [(number(place), ago(case[1])) for place, case in cases if case[1] is not None])
    called(bed, [(number(place), ago(case[2][0]), case[2][1], 0.015) for place, case in cases if case[2]])
    return {row["phone"]: row["reason"] for row in plan(bed)}


@pytest.mark.parametrize("sentence", PLANNED)
def test_a_number_is_planned_when_it_is_due(sentence: str, planned: dict[str, str]) -> None:
    place = list(PLANNED).index(sentence)
    phone = PLANNED[sentence][0].get("phone", number(place))
    assert planned.get(phone) == PLANNED[sentence][3]


def test_a_shared_number_is_asked_once_for_the_contact_most_at_risk() -> None:
    shared = {"phone": number(1)}
    bed = plan_bed({"c1": {**shared, "confirmed_at": ago(50)}, "c2": {**shared, "confirmed_at": ago(400)}})
    bed.table("history.hygiene_issue", [issue("c2", 2)])
    (row,) = plan(bed)
    # Whoever of them stood by it last: a family's number has no new owner because another member was away.
    assert (row["phone"], row["contact_id"], row["last_confirmed_on"]) == (number(1), "c2", ago(50).date())


@pytest.mark.parametrize(("contacts", "is_planned"), [(3, True), (4, False)], ids=["up to the limit", "beyond it"])
def test_a_number_that_too_many_share_is_nobodys(contacts: int, is_planned: bool) -> None:
    bed = plan_bed({f"c{place}": {"phone": number(1)} for place in range(contacts)})
    assert planned_phones(bed) == [number(1)] * is_planned


def issue(contact: str, tier: int, state: str = "open", at: datetime = ago(1)) -> dict[str, Any]:  # noqa: B008
    return {
        "as_of": at,
        "issue_id": f"i-{contact}-{tier}",
        "contact_id": contact,
        "state": state,
        "priority_tier": tier,
    }


# The rival's claims and whether it is asked about before it is written.
CANDIDATES: dict[str, tuple[list[dict[str, Any]], str | None]] = {
    "told to the EHR later": ([claim("c1", number(90), ago(1), "ehr")], number(90)),
    "told by the patient": ([claim("c1", number(90), ago(1), "patient")], number(90)),
    "told earlier than the CRM's own": ([claim("c1", number(90), ago(9), "ehr")], None),
    "of the CRM alone": ([claim("c1", number(90), ago(1), "crm")], None),
    "the number that is there already": ([claim("c1", number(1), ago(1), "ehr")], None),
    "a number looked up before": ([claim("c1", number(80), ago(1), "ehr")], None),
    "a placeholder": ([claim("c1", "+16172220000", ago(1), "ehr")], None),
    "the latest of two": ([claim("c1", number(90), ago(2), "pm"), claim("c1", number(91), ago(1), "ehr")], number(91)),
    "another patient's": ([claim("c9", number(90), ago(1), "ehr")], None),
}


@pytest.mark.parametrize(("claims", "phone"), CANDIDATES.values(), ids=CANDIDATES.keys())
def test_a_number_is_looked_up_before_it_is_written(claims: list[dict[str, Any]], phone: str | None) -> None:
    bed = plan_bed({"c1": {"phone": number(1), "confirmed_at": ago(3)}}, *claims)
    bed.table("reconciled.placeholder_phone", [{"digits": "6172220000"}])
    called(bed, [(number(80), ago(400), "answered", 0.015)])
    assert [(row["phone"], row["reason"]) for row in plan(bed)] == [(phone, "candidate")] * bool(phone)


def test_the_riskiest_come_first() -> None:
    due = {"confirmed_at": ago(40)}
    bed = plan_bed(
        {
            "old": {"phone": number(1), "confirmed_at": ago(500)},
            "older": {"phone": number(2), "confirmed_at": ago(900)},
            "never": {"phone": number(3)},
            "visit": {"phone": number(4), **due, "next_visit_on": ago(-9).date()},
            "visit sooner": {"phone": number(5), **due, "next_visit_on": ago(-2).date()},
            "tier 3": {"phone": number(6), **due},
            "tier 1": {"phone": number(7), **due},
            "healed": {"phone": number(8), "confirmed_at": ago(400)},
            "not reached": {"phone": number(9), **due, "failed_contacts": 2},
            "not reached often": {"phone": number(10), **due, "failed_contacts": 5},
        }
    )
    bed.table(
        "history.hygiene_issue",
        [
            issue("tier 3", 3),
            # Tonight's row, of a run that is run again: the plan stands on what was known before.
            {**issue("tier 3", 3, at=AS_OF), "priority_tier": 1},
            issue("tier 1", 1, "new"),
            issue("tier 1", 4),
            issue("healed", 1, at=ago(5)),
            {**issue("healed", 1), "state": "resolved"},
        ],
    )
    rows = plan(bed)
    risky = ["tier 1", "tier 3", "visit sooner", "visit", "not reached often", "not reached"]
    assert [row["contact_id"] for row in rows] == [*risky, "never", "older", "old", "healed"]
    assert [row["rank"] for row in rows] == list(range(1, 11))


def test_each_number_is_asked_what_can_be_answered_and_costs_what_is_asked() -> None:
    bed = plan_bed(
        {
            "never": {"phone": number(1)},
            "once": {"phone": number(2), "confirmed_at": ago(40)},
            "in Canada": {"phone": "+14165550100", "confirmed_at": ago(40)},
        }
    )
    bed.table("policy.phone_lookup_package", PACKAGES)
    bed.table(
        "staging.phone_number",
        [{"raw": "1", "e164": number(2), "region": "US"}, {"raw": "2", "e164": "+14165550100", "region": "CA"}],
    )
    found = {row["contact_id"]: (row["packages"], row["estimated_cost"], row["last_confirmed_on"]) for row in plan(bed)}
    assert found == {
        "never": (["line_status"], 0.007, None),
        "once": (["line_status", "reassigned_number"], 0.027, ago(40).date()),
        "in Canada": (["line_status"], 0.007, ago(40).date()),
    }


# Budget, lookups of this month by file and by ours (state), and how many of ten numbers are kept.
BUDGETS: dict[str, tuple[float | None, int, list[str], int]] = {
    "no budget set: no cut": (None, 0, [], 10),
    "room for all": (1.00, 0, [], 10),
    "exactly room for four": (0.06, 0, [], 4),
    "not quite room for five": (0.074, 0, [], 4),
    "three came in files this month": (0.12, 3, [], 5),
    "three were asked this month": (0.12, 0, ["answered"] * 3, 5),
    "what may have been charged counts too": (0.12, 0, ["lost", "answered", "refused"], 5),
    "the month is used up": (0.045, 3, [], 0),
    "nothing to spend": (0.0, 0, [], 0),
}


@pytest.mark.parametrize(("budget", "files", "calls", "kept"), BUDGETS.values(), ids=BUDGETS.keys())
def test_the_months_budget_cuts_the_plan(budget: float | None, files: int, calls: list[str], kept: int) -> None:
    bed = plan_bed({f"c{place}": {"phone": number(place)} for place in range(10)}, monthly_budget_usd=budget)
    # 1 March 04:59 UTC is still February in New York; what tonight has cost so far is the asking's business.
    february = datetime.fromisoformat("2026-03-01T04:59:00+00:00")
    bought(bed, [(number(99), february), *((number(50 + place), ago(place)) for place in range(files))])
    ours = [(number(70 + place), ago(1 + place), state, 0.015) for place, state in enumerate(calls)]
    called(bed, [(number(98), february, "answered", 0.5), (number(97), AS_OF, "answered", 0.5), *ours])
    rows = plan(bed)
    assert [row["is_left_out"] for row in rows] == [False] * kept + [True] * (10 - kept)
    assert {row["estimated_cost"] for row in rows} == {0.015}
    assert rows[3]["cost_so_far"] == 0.06
