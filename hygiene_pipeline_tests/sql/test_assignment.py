"""Who works an issue: roles, handling, absence, who knows the patient, and fair shares by capacity."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hygiene_pipeline_tests.bed import Bed
from hygiene_pipeline_tests.sql.nights import ABSENCE, DUE, ledger_bed, night, run, stale

Rows = list[dict[str, Any]]


def person(staff_id: str, handles: str = "", role: str = "care_coordinator", capacity: int = 40) -> Rows:
    """The rows of a person, one for each kind of work they handle."""
    shared = {"staff_id": staff_id, "role": role, "capacity_per_day": capacity}
    return [{**shared, "handles": handled} for handled in handles.split() or [None]]


def employ(bed: Bed, *people: list[dict[str, Any]], away: dict[str, tuple[int, int | None]] | None = None) -> None:
    """Replace the staff; `away` gives first and last night of an absence, the last one open if None."""
    bed.table("policy.staff", [row for rows in people for row in rows])
    absences = [
        {
            "staff_id": staff_id,
            "absent_from": night(first).date(),
            "absent_to": None if last is None else night(last).date(),
        }
        for staff_id, (first, last) in (away or {}).items()
    ]
    bed.table("policy.staff_absence", absences, ABSENCE)


MANAGER = person("manager-1", role="practice_manager")
STAFFED: dict[str, tuple[list[Rows], dict[str, tuple[int, int | None]], str, str]] = {
    "who handles it": ([person("a", "phone"), person("b", "insurance", "billing"), MANAGER], {}, "phone", "a"),
    "handling goes before role": ([person("a", "email"), person("b", "phone", "billing")], {}, "phone", "b"),
    "nobody handles it: who has its role": ([MANAGER, person("a", "email")], {}, "phone", "a"),
    "nobody has its role: who has the fallback role": ([person("a", "phone"), MANAGER], {}, "insurance", "manager-1"),
    "not even that: anybody": ([person("a", "phone")], {}, "insurance", "a"),
    "the handler is away today": ([person("a", "phone"), MANAGER], {"a": (0, 0)}, "phone", "manager-1"),
    "the handler is away without an end": ([person("a", "phone"), MANAGER], {"a": (-9, None)}, "phone", "manager-1"),
    "the handler came back today": ([person("a", "phone"), MANAGER], {"a": (-9, -1)}, "phone", "a"),
    "the handler leaves tomorrow": ([person("a", "phone"), MANAGER], {"a": (1, 9)}, "phone", "a"),
    "everybody is away: the handler": ([person("b"), person("a", "phone")], {"a": (0, 9), "b": (0, 9)}, "phone", "a"),
}


@pytest.mark.parametrize(("people", "away", "kind", "assignee"), STAFFED.values(), ids=STAFFED.keys())
def test_every_issue_finds_its_person(
    people: list[Rows], away: dict[str, tuple[int, int | None]], kind: str, assignee: str
) -> None:
    bed = ledger_bed("c1")
    employ(bed, *people, away=away)
    assert run(bed, 0, [stale("c1", kind)])[f"c1 {kind}"]["assignee"] == assignee


TWO = (person("a", "phone email"), person("b", "phone email"))
KNOWN: dict[str, tuple[dict[str, Any], list[dict[str, Any]], str]] = {
    "nobody: the first in turn": ({}, [], "a"),
    "the owner of the contact": ({"owner": "b"}, [], "b"),
    "an owner who is not on the staff list": ({"owner": "z"}, [], "a"),
    "who spoke with the patient": ({}, [{"staff": "b", "occurred_at": night(-9)}], "b"),
    "who spoke last": (
        {},
        [{"staff": "a", "occurred_at": night(-9)}, {"staff": "b", "occurred_at": night(-2)}],
        "b",
    ),
    "who spoke goes before the owner": ({"owner": "a"}, [{"staff": "b", "occurred_at": night(-400)}], "b"),
    "a call of the future does not count": ({}, [{"staff": "b", "occurred_at": night(2)}], "a"),
    "the last speaker does not handle it": (
        {},
        [{"staff": "b", "occurred_at": night(-9)}, {"staff": "billing-9", "occurred_at": night(-2)}],
        "b",
    ),
}


@pytest.mark.parametrize(("contact", "calls", "assignee"), KNOWN.values(), ids=KNOWN.keys())
def test_who_knows_the_patient_keeps_the_patient(
    contact: dict[str, Any], calls: list[dict[str, Any]], assignee: str
) -> None:
    bed = ledger_bed("c1")
    employ(bed, *TWO, person("billing-9", "insurance", "billing"))
    bed.table("staging.crm_contact", [{"contact_id": "c1", **contact}])
    bed.table("staging.crm_interaction", [{"contact_id": "c1", **call} for call in calls])
    assert run(bed, 0, [stale("c1")])["c1 phone"]["assignee"] == assignee


def test_an_issue_stays_with_its_person_until_they_are_away_and_then_with_the_next() -> None:
    bed = ledger_bed("c1")
    bed.table("staging.crm_contact", [{"contact_id": "c1", "owner": "b"}])
    assignees = []
    for number, away in enumerate([{}, {}, {"b": (2, 2)}, {}]):
        employ(bed, *TWO, away=away)
        assignees.append(run(bed, number, [stale("c1")])["c1 phone"]["assignee"])
    assert assignees == ["b", "b", "a", "a"]


def test_a_person_who_left_hands_over() -> None:
    bed = ledger_bed("c1")
    employ(bed, person("b", "phone"))
    run(bed, 0, [stale("c1")])
    employ(bed, person("a", "phone"))
    assert run(bed, 1, [stale("c1")])["c1 phone"]["assignee"] == "a"


def test_a_patients_second_issue_goes_to_whoever_has_the_first() -> None:
    bed = ledger_bed("c1", "c2")
    employ(bed, *TWO)
    first = run(bed, 0, [stale("c1"), stale("c2")])
    second = run(bed, 1, [stale("c1"), stale("c2"), stale("c1", "email"), stale("c2", "email")])
    for contact in ("c1", "c2"):
        assert second[f"{contact} email"]["assignee"] == first[f"{contact} phone"]["assignee"]
    assert {row["assignee"] for row in first.values()} == {"a", "b"}


def test_one_patients_issues_of_one_night_go_to_one_person() -> None:
    contacts = [f"c{number}" for number in range(10)]
    bed = ledger_bed(*contacts)
    employ(bed, *TWO)
    rows = run(bed, 0, [stale(contact, kind) for contact in contacts for kind in ("phone", "email")])
    for contact in contacts:
        assert rows[f"{contact} phone"]["assignee"] == rows[f"{contact} email"]["assignee"]
    assert Counter(row["assignee"] for row in rows.values()) == {"a": 10, "b": 10}


def test_new_work_is_shared_by_capacity_and_by_what_everyone_has_already() -> None:
    contacts = [f"c{number:02}" for number in range(60)]
    bed = ledger_bed(*contacts)
    employ(bed, person("a", "phone", capacity=30), person("b", "phone", capacity=10))
    rows = run(bed, 0, [stale(contact) for contact in contacts[:40]])
    assert Counter(row["assignee"] for row in rows.values()) == {"a": 30, "b": 10}
    employ(bed, person("a", "phone", capacity=20), person("b", "phone", capacity=20))
    rows = run(bed, 1, [stale(contact) for contact in contacts])
    assert Counter(row["assignee"] for row in rows.values()) == {"a": 30, "b": 30}


def test_work_that_only_one_person_can_do_counts_when_the_rest_is_shared() -> None:
    contacts = [f"c{number:02}" for number in range(30)]
    bed = ledger_bed(*contacts)
    employ(bed, person("a", "phone"), person("b", "phone insurance"))
    findings = [stale(contact, "insurance") for contact in contacts[:10]] + [
        stale(contact) for contact in contacts[10:]
    ]
    rows = run(bed, 0, findings)
    assert Counter(row["assignee"] for row in rows.values()) == {"a": 15, "b": 15}


def test_the_most_urgent_are_dealt_first_to_the_least_loaded() -> None:
    bed = ledger_bed("c1", "c2", "c3")
    employ(bed, person("a", "phone", capacity=10), person("b", "phone", capacity=10))
    bed.table("staging.crm_contact", [{"contact_id": "c3", "care_status": "active"}, {"contact_id": "c1"}])
    assert run(bed, 0, [stale("c1"), stale("c3")])["c3 phone"]["assignee"] == "a"


def test_a_long_overdue_issue_goes_to_the_fallback_role_only_if_somebody_has_it() -> None:
    for people, last in (((*TWO, MANAGER), "manager-1"), (TWO, "a")):
        bed = ledger_bed("c1")
        employ(bed, *people)
        bed.table("staging.crm_contact", [{"contact_id": "c1", "care_status": "active"}])
        bed.table("policy.due", DUE)
        assignees = [run(bed, number, [stale("c1")])["c1 phone"]["assignee"] for number in (0, 4, 5)]
        assert assignees == ["a", "a", last]


def test_a_practice_without_staff_leaves_the_person_open_for_the_check_to_find() -> None:
    bed = ledger_bed("c1")
    employ(bed)
    assert run(bed, 0, [stale("c1")])["c1 phone"]["assignee"] is None


HANDLED = st.sampled_from(["phone", "email", "phone email"])
SHARES = st.lists(st.tuples(HANDLED, st.integers(1, 50)), min_size=1, max_size=4)


@settings(max_examples=3)
@given(SHARES, st.integers(1, 25))
def test_no_issue_is_left_over_and_every_run_deals_alike(shares: list[tuple[str, int]], patients: int) -> None:
    contacts = [f"c{number:02}" for number in range(patients)]
    bed = ledger_bed(*contacts)
    employ(bed, *(person(f"s{place}", handles, capacity=size) for place, (handles, size) in enumerate(shares)))
    findings = [stale(contact, kind) for contact in contacts for kind in ("phone", "email", "insurance")]
    rows = run(bed, 0, findings)
    assert len(rows) == len(findings)
    assert {row["assignee"] for row in rows.values()} <= {f"s{place}" for place in range(len(shares))}
    assert run(bed, 0, list(reversed(findings))) == rows
