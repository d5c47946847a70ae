"""The ledger of issues: what opens, stays, heals and comes back, how urgent it is and when it is due."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hygiene_pipeline_tests.bed import Bed
from hygiene_pipeline_tests.sql.nights import keep, ledger_bed, night, run, stale

STORIES = {
    "found once": ("x", ["new"]),
    "found twice": ("xx", ["new", "open"]),
    "found, then healed": ("x.", ["new", "resolved"]),
    "healed stays healed": ("x..", ["new", "resolved", "resolved"]),
    "back after a healed night": ("x.x", ["new", "resolved", "reopened"]),
    "five nights": ("x.xx.", ["new", "resolved", "reopened", "open", "resolved"]),
    "back twice": ("x.x.x", ["new", "resolved", "reopened", "resolved", "reopened"]),
}


@pytest.fixture(scope="module")
def stories() -> dict[str, list[dict[str, Any]]]:
    """The ledger's row of every story, each a contact, night by night."""
    contacts = dict(zip(STORIES, (f"s{number}" for number in range(len(STORIES))), strict=True))
    bed = ledger_bed(*contacts.values())
    nights = [
        run(bed, number, [stale(contacts[name]) for name, (found, _) in STORIES.items() if found[number:][:1] == "x"])
        for number in range(5)
    ]
    return {name: [rows[f"{contact} phone"] for rows in nights] for name, contact in contacts.items()}


@pytest.mark.parametrize("name", STORIES)
def test_an_issue_goes_through_its_states_night_by_night(name: str, stories: dict[str, list[dict[str, Any]]]) -> None:
    found, states = STORIES[name]
    seen = stories[name][: len(found)]
    assert [row["state"] for row in seen] == states
    assert {row["issue_id"] for row in seen} == {seen[0]["issue_id"]}
    assert {row["first_seen"] for row in seen} == {night(0)}
    last_found = [max(day for day in range(number + 1) if found[day] == "x") for number in range(len(found))]
    assert [row["last_seen"] for row in seen] == [night(number) for number in last_found]


def test_an_issue_id_is_made_of_contact_and_type_alone() -> None:
    rows = run(ledger_bed("c1"), 0, [stale("c1"), stale("c1", "email", "bounced")])
    assert rows["c1 phone"]["issue_id"] == "i-7def0fec18ca"
    assert rows["c1 email"]["issue_id"] != rows["c1 phone"]["issue_id"]


def test_another_reason_is_the_same_issue() -> None:
    bed = ledger_bed("c1")
    run(bed, 0, [stale("c1", reason="disconnected", evidence_ref="lookup/1")])
    row = run(bed, 1, [stale("c1", reason="superseded", evidence_ref="Patient/7")])["c1 phone"]
    assert (row["state"], row["reason"], row["evidence_ref"]) == ("open", "superseded", "Patient/7")
    assert row["first_seen"] == night(0)


def test_a_long_open_issue_heals_with_the_last_run_as_its_last_night() -> None:
    bed = ledger_bed("c1")
    for number in range(3):
        run(bed, number, [stale("c1")])
    row = run(bed, 9, [], previous=2)["c1 phone"]
    assert (row["last_seen"], row["resolved_at"]) == (night(2), night(9))
    assert bed.rows("select count(*) as kept from history.hygiene_issue") == [{"kept": 3}]


def test_a_resolved_issue_keeps_its_night_and_its_reason() -> None:
    bed = ledger_bed("c1")
    run(bed, 0, [stale("c1")])
    first = run(bed, 1, [])["c1 phone"]
    assert run(bed, 2, [])["c1 phone"] == first
    assert (first["reason"], first["resolved_at"], first["assignee"]) == ("missing", night(1), "coordinator-1")


HEALED: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "a verified phone, by the lookup": (
        "phone",
        {},
        {"phone_reason": "verified", "phone_evidence_source": "phone", "phone_evidence_ref": "lookup/9"},
        "phone verified by phone lookup/9",
    ),
    "a number changed and not verified yet": ("phone", {}, {"phone_reason": "never_verified"}, "phone never_verified"),
    "insurance, by an answer": (
        "insurance",
        {},
        {"insurance_reason": "verified", "insurance_evidence_source": "eligibility"},
        "insurance verified by eligibility",
    ),
    "care": ("care", {}, {"care_reason": "in_sync"}, "care in_sync"),
    "a referring provider": (
        "referring_provider",
        {},
        {"referring_provider_reason": "confirmed"},
        "referring_provider confirmed",
    ),
    "a type without a state of its own": ("email", {}, {}, "email no longer found stale"),
    "a contact that was switched off": ("phone", {"is_active": False}, {}, "contact made inactive"),
    "a contact that is gone": ("phone", {"contact_id": "another"}, {}, "contact no longer in the CRM"),
}


@pytest.fixture(scope="module")
def healed() -> dict[str, dict[str, Any]]:
    """The ledger's row of every case on the night it healed, each a contact."""
    contacts = dict(zip(HEALED, (f"h{number}" for number in range(len(HEALED))), strict=True))
    bed = ledger_bed(*contacts.values())
    run(bed, 0, [stale(contacts[name], case[0]) for name, case in HEALED.items()])
    bed.table("staging.crm_contact", [{"contact_id": contacts[name], **case[1]} for name, case in HEALED.items()])
    bed.table("hygiene.contact_status", [{"contact_id": contacts[name], **case[2]} for name, case in HEALED.items()])
    rows = run(bed, 1, [])
    return {name: rows[f"{contacts[name]} {case[0]}"] for name, case in HEALED.items()}


@pytest.mark.parametrize("name", HEALED)
def test_a_healed_issue_says_by_what(name: str, healed: dict[str, dict[str, Any]]) -> None:
    assert (healed[name]["state"], healed[name]["resolved_by"]) == ("resolved", HEALED[name][3])


def test_an_inactive_contact_opens_no_issue_but_a_death() -> None:
    bed = ledger_bed("c1")
    bed.table("staging.crm_contact", [{"contact_id": "c1", "is_active": False}])
    rows = run(bed, 0, [stale("c1"), stale("c1", "care", "deceased_not_marked")])
    assert rows.keys() == {"c1 care"}


def test_a_night_run_twice_gives_the_same_rows() -> None:
    bed = ledger_bed("c1", "c2")
    run(bed, 0, [stale("c1")])
    once = run(bed, 1, [stale("c2")])
    assert run(bed, 1, [stale("c2")]) == once


def test_a_past_night_replays_after_later_ones() -> None:
    bed = ledger_bed("c1", "c2")
    findings = [[stale("c1")], [stale("c1"), stale("c2")], [stale("c2")], [stale("c1"), stale("c2")]]
    lived = [run(bed, number, found) for number, found in enumerate(findings)]
    assert run(bed, 2, findings[2]) == lived[2]
    assert run(bed, 3, findings[3]) == lived[3]


def _visit(contact_id: str, days: int, status: str) -> dict[str, Any]:
    return {"pm_patient_id": f"pm-{contact_id}", "scheduled_at": night(days) + timedelta(hours=8), "status": status}


LAPSED = ("insurance", "coverage_inactive")
TIERS: dict[str, dict[str, Any]] = {
    "a wrong phone in active care by the EHR": {"tier": 1, "event": "active"},
    "a wrong phone in active care by the CRM": {"tier": 1, "crm": "active"},
    "lapsed coverage in active care": {"tier": 1, "crm": "active", "what": LAPSED},
    "coverage terminated in active care": {"tier": 1, "crm": "active", "what": ("insurance", "coverage_terminated")},
    "subscriber unknown in active care": {"tier": 1, "crm": "active", "what": ("insurance", "subscriber_not_found")},
    "a payer mismatch is no lapse": {
        "tier": 3,
        "crm": "active",
        "what": ("insurance", "payer_mismatch"),
    },
    "a wrong phone with a visit today": {"tier": 1, "booked": 0},
    "a wrong phone with a visit in 14 days": {"tier": 1, "booked": 14},
    "a wrong phone with a visit in 15 days": {"tier": 3, "booked": 15},
    "a cancelled visit does not count": {"tier": 3, "cancelled": 3},
    "a visit in the EHR counts too": {"tier": 1, "ehr_booked": 5},
    "a visit soon outranks long absence": {"tier": 1, "booked": 5, "seen": -2000},
    "a death not marked": {"tier": 1, "what": ("care", "deceased_not_marked")},
    "care status outdated in active care": {"tier": 3, "crm": "active", "what": ("care", "outdated_status")},
    "active care ends with death": {"tier": 3, "crm": "active", "event": "deceased"},
    "active care that the EHR completed since": {"tier": 3, "event": "active", "then": "completed"},
    "a stale phone, seen 17 months ago": {"tier": 2, "seen": -520},
    "a stale phone, seen 19 months ago": {"tier": 3, "seen": -580},
    "a payer mismatch, seen last week": {"tier": 2, "seen": -7, "what": ("insurance", "payer_mismatch")},
    "an encounter is being seen": {"tier": 2, "encounter": -30},
    "an unfinished encounter is not": {"tier": 3, "unfinished": -30},
    "a no-show is not being seen": {"tier": 3, "noshow": -30},
    "an email, seen last week": {"tier": 3, "seen": -7, "what": ("email", "bounced")},
    "seen 35 months ago": {"tier": 3, "seen": -1060},
    "not seen for 37 months": {"tier": 4, "seen": -1130},
    "an address, not seen for 37 months": {"tier": 4, "seen": -1130, "what": ("address", "mismatch")},
    "never seen is unknown, not dormant": {"tier": 3},
}


@pytest.fixture(scope="module")
def tiers() -> dict[str, int]:
    """The tier of every case, each a contact of one night."""
    cases = {f"c{number}": case for number, case in enumerate(TIERS.values())}
    bed = ledger_bed(*cases)
    bed.table("staging.crm_contact", [{"contact_id": c, "care_status": case.get("crm")} for c, case in cases.items()])
    kept = {"booked": "booked", "cancelled": "cancelled", "seen": "fulfilled", "noshow": "noshow"}
    visits = [_visit(c, case[k], s) for c, case in cases.items() for k, s in kept.items() if k in case]
    bed.table("staging.pm_appointment", visits)
    ehr_visits = [
        {"ehr_patient_id": f"ehr-{c}", "status": "booked", "scheduled_at": night(case["ehr_booked"] + 1)}
        for c, case in cases.items()
        if "ehr_booked" in case
    ]
    bed.table("staging.ehr_appointment", ehr_visits)
    encounters = [
        {"ehr_patient_id": f"ehr-{c}", "status": status, "started_at": night(case[key])}
        for c, case in cases.items()
        for key, status in (("encounter", "finished"), ("unfinished", "in-progress"))
        if key in case
    ]
    bed.table("staging.ehr_encounter", encounters)
    events = [
        {"ehr_patient_id": f"ehr-{c}", "event_id": f"{c}-{key}", "event_at": night(day), "care_status": case[key]}
        for c, case in cases.items()
        for key, day in (("event", -9), ("then", -3))
        if key in case
    ]
    bed.table("staging.ehr_care_event", events)
    findings = [stale(c, *case.get("what", ("phone", "disconnected"))) for c, case in cases.items()]
    rows = run(bed, 0, findings).values()
    found = {row["contact_id"]: row["priority_tier"] for row in rows}
    return {sentence: found[c] for sentence, c in zip(TIERS, cases, strict=True)}


@pytest.mark.parametrize("sentence", TIERS)
def test_the_tier_says_who_is_worked_on_first(sentence: str, tiers: dict[str, int]) -> None:
    assert tiers[sentence] == TIERS[sentence]["tier"]


DUE = {
    "tier 3, three weeks": ("2026-01-05T07:00:00Z", {}, "2026-01-27T04:59:59Z"),
    "tier 1, two days": ("2026-01-05T07:00:00Z", {"care_status": "active"}, "2026-01-08T04:59:59Z"),
    "across the change to summer time": ("2026-03-06T07:00:00Z", {"care_status": "active"}, "2026-03-09T03:59:59Z"),
    "counted from the local day": ("2026-01-05T03:00:00Z", {"care_status": "active"}, "2026-01-07T04:59:59Z"),
}


@pytest.mark.parametrize(("as_of", "contact", "due"), DUE.values(), ids=DUE.keys())
def test_an_issue_is_due_at_the_end_of_a_local_day(as_of: str, contact: dict[str, Any], due: str) -> None:
    bed = ledger_bed("c1")
    bed.table("staging.crm_contact", [{"contact_id": "c1", **contact}])
    bed.table("hygiene.finding", [stale("c1")])
    bed.clock(as_of)
    bed.build("hygiene.issue_context", "hygiene.issue_lifecycle", "hygiene.issue_priority")
    assert bed.rows("select due_at from hygiene.issue_priority") == [{"due_at": datetime.fromisoformat(due)}]


def _care(bed: Bed, status: str) -> None:
    bed.table("staging.crm_contact", [{"contact_id": "c1", "care_status": status}])


def test_a_rise_in_tier_brings_the_due_date_forward_and_a_fall_never_moves_it_back() -> None:
    bed = ledger_bed("c1")
    later = run(bed, 0, [stale("c1")])["c1 phone"]
    _care(bed, "active")
    risen = run(bed, 5, [stale("c1")], previous=0)["c1 phone"]
    _care(bed, "none")
    fallen = run(bed, 6, [stale("c1")])["c1 phone"]
    assert (later["priority_tier"], risen["priority_tier"], fallen["priority_tier"]) == (3, 1, 3)
    assert risen["due_at"] == datetime.fromisoformat("2026-03-10T03:59:59Z")
    assert fallen["due_at"] == risen["due_at"] < later["due_at"]


def test_an_issue_that_comes_back_gets_a_fresh_due_date() -> None:
    bed = ledger_bed("c1")
    first = run(bed, 0, [stale("c1")])["c1 phone"]
    run(bed, 1, [])
    again = run(bed, 40, [stale("c1")], previous=1)["c1 phone"]
    assert (again["first_seen"], again["opened_at"], again["escalated"]) == (night(0), night(40), False)
    assert again["due_at"] == first["due_at"] + timedelta(days=40)


def test_an_overdue_issue_escalates_the_day_after_and_again_a_term_later() -> None:
    bed = ledger_bed("c1", "c2")
    _care(bed, "active")
    rows = [run(bed, number, [stale("c1")])["c1 phone"] for number in range(6)]
    assert [row["escalated"] for row in rows] == [False, False, False, True, True, True]
    assert [row["priority_score"] for row in rows] == [75.0, 75.0, 75.0, 80.0, 80.0, 85.0]
    assert [row["assignee"] for row in rows] == ["coordinator-1"] * 5 + ["manager-1"]


def test_the_score_adds_visit_and_failed_contacts_and_stays_within_the_tier() -> None:
    bed = ledger_bed("c1", "c2", "c3")
    bed.table("staging.pm_appointment", [_visit("c1", 10, "booked"), _visit("c2", 20, "booked")])
    called = {"contact_id": "c3", "outcome": "no_answer"}
    days = [-1, -30, -60, -89, -91, 1]
    bed.table("staging.crm_interaction", [{**called, "occurred_at": night(day)} for day in days])
    scores = {key: row["priority_score"] for key, row in run(bed, 0, [stale(c) for c in ("c1", "c2", "c3")]).items()}
    assert scores == {"c1 phone": 83.0, "c2 phone": 29.0, "c3 phone": 29.0}
    many = [{**called, "occurred_at": night(-1)}] * 50
    bed.table("staging.crm_interaction", many)
    assert run(bed, 0, [stale("c3")])["c3 phone"]["priority_score"] == 32.0


def test_the_queue_puts_each_persons_work_in_order_and_marks_a_days_share() -> None:
    bed = ledger_bed("c1", "c2", "c3")
    bed.policies(staff=[{"staff_id": "a", "role": "care_coordinator", "handles": "phone", "capacity_per_day": 2}])
    bed.table("staging.crm_contact", [{"contact_id": "c2", "care_status": "active"}, {"contact_id": "c1"}])
    run(bed, 0, [stale("c1"), stale("c2"), stale("c3")])
    bed.build("hygiene.queue")
    rows = bed.rows("select contact_id, is_for_today from hygiene.queue order by assignee, position")
    assert rows[0] == {"contact_id": "c2", "is_for_today": True}
    assert [row["is_for_today"] for row in rows] == [True, True, False]


def test_the_audit_sample_is_drawn_again_the_same_and_differently_another_night() -> None:
    bed = Bed()
    bed.policies(audit=[{"sample_size": 10}])
    contacts = [{"contact_id": f"c{number}", "is_active": number < 200} for number in range(300)]
    bed.table("hygiene.contact_status", contacts)
    drawn = []
    for as_of in ("2026-03-01T07:00:00Z", "2026-03-01T07:00:00Z", "2026-04-01T07:00:00Z"):
        bed.clock(as_of)
        bed.build("hygiene.audit_sample")
        drawn.append(bed.rows("select * from hygiene.audit_sample order by sample_number"))
    assert drawn[0] == drawn[1] != drawn[2]
    assert [row["sample_number"] for row in drawn[0]] == list(range(1, 11))
    assert [row["needs_second_review"] for row in drawn[0]] == [True] * 2 + [False] * 8
    assert {int(row["contact_id"][1:]) < 200 for row in drawn[0]} == {True}


NIGHTS = st.lists(
    st.sets(st.sampled_from(["c1 phone", "c1 email", "c2 phone", "c2 insurance", "c3 identity"]), max_size=4),
    min_size=2,
    max_size=3,
)


@settings(max_examples=4)
@given(NIGHTS)
def test_whatever_the_nights_bring_the_ledger_holds_together(nights: list[set[str]]) -> None:
    bed = ledger_bed("c1", "c2", "c3")
    before: dict[str, Any] = {}
    for number, names in enumerate(nights):
        findings = [stale(*name.split()) for name in sorted(names)]
        rows = run(bed, number, findings)
        assert {key for key, row in rows.items() if row["state"] != "resolved"} == names
        assert before.keys() <= rows.keys()
        for key, row in rows.items():
            is_open = row["state"] != "resolved"
            assert (row["resolved_at"] is None) == (row["resolved_by"] is None) == is_open
            assert row["assignee"] in {"coordinator-1", "billing-1", "manager-1"}
            assert row["first_seen"] <= row["last_seen"] <= night(number)
            assert row["first_seen"] == before.get(key, row)["first_seen"]
        before = rows
    keep(bed)
    assert run(bed, len(nights) - 1, findings) == before
