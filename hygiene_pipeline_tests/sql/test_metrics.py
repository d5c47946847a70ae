"""The benchmarks and their grades, stale rates, sync lag, savings, coverage of asking and the queue's size."""

from datetime import datetime, timedelta
from math import inf
from typing import Any

import pytest

from hygiene_pipeline_tests.bed import Bed

AS_OF = datetime.fromisoformat("2026-03-20T07:00:00+00:00")
BANDS = [
    {"metric": metric, "unit": unit, "higher_is_better": higher, "target": target, "acceptable_from": acceptable}
    | {"lag_window_days": 30}
    for metric, unit, higher, target, acceptable in (
        ("contact_validity_rate", "share", True, 0.90, 0.75),
        ("insurance_status_accuracy", "share", True, 0.95, 0.80),
        ("care_status_sync_lag_hours", "hours", False, 24.0, 72.0),
        ("stale_record_rate", "share", False, 0.08, 0.25),
        ("phone_validation_cadence_days", "days", False, 31.0, 100.0),
    )
]
CRM_VERSION = {
    "contact_id": "VARCHAR",
    "care_status": "VARCHAR",
    "last_modified": "TIMESTAMPTZ",
    "is_removed": "BOOLEAN",
    "take_seq": "BIGINT",
    "extracted_at": "TIMESTAMPTZ",
    "row_hash": "VARCHAR",
}
METRICS = ("metrics.stale_rate", "metrics.sync_lag", "metrics.benchmark")
READS = {"stale_record_rate": ["metrics.stale_rate"], "care_status_sync_lag_hours": ["metrics.sync_lag"]}


def hours_ago(hours: float) -> datetime:
    return AS_OF - timedelta(hours=hours)


def metrics_bed() -> Bed:
    bed = Bed()
    bed.con.execute("set threads = 1")
    bed.clock(AS_OF.isoformat())
    bed.policies(benchmark_policy=BANDS)
    bed.declare("raw.crm_contacts", CRM_VERSION)
    bed.build(*METRICS)
    return bed


@pytest.fixture(scope="module")
def shared() -> Bed:
    """A bed for tests that lay every table they are about."""
    bed = metrics_bed()
    links = [("crm", "c1", "p1"), ("ehr", "e1", "p1")]
    bed.table("identity.patient_link", [{"source": s, "source_id": i, "patient_id": p} for s, i, p in links])
    return bed


def benchmark(bed: Bed, metric: str) -> dict[str, Any]:
    """Tonight's row of a metric, after rebuilding what it is made of."""
    bed.build(*READS.get(metric, ()), "metrics.benchmark")
    return bed.rows("select * from metrics.benchmark where metric = ?", metric)[0]


def lay_contacts(bed: Bed, counts: dict[str, int]) -> None:
    """Active contacts by the state of phone and insurance; those in state `stale` are stale records."""
    bed.table("hygiene.contact_status", [])
    for state, count in counts.items():
        bed.con.execute(
            """
            insert into hygiene.contact_status (contact_id, is_active, phone_state, insurance_state, is_stale)
            select $state || unnest(range($count)), true, $state, $state, $state = 'stale'
            """,
            {"state": state, "count": count},
        )


GRADES = [
    ("contact_validity_rate", 0, 0, "no_data"),
    ("contact_validity_rate", 0, 1000, "poor"),
    ("contact_validity_rate", 749, 1000, "poor"),
    ("contact_validity_rate", 750, 1000, "acceptable"),
    ("contact_validity_rate", 850, 1000, "acceptable"),
    ("contact_validity_rate", 851, 1000, "acceptable"),
    ("contact_validity_rate", 899, 1000, "acceptable"),
    ("contact_validity_rate", 900, 1000, "target"),
    ("contact_validity_rate", 2880, 3200, "target"),
    ("contact_validity_rate", 1000, 1000, "target"),
    ("insurance_status_accuracy", 0, 0, "no_data"),
    ("insurance_status_accuracy", 799, 1000, "poor"),
    ("insurance_status_accuracy", 800, 1000, "acceptable"),
    ("insurance_status_accuracy", 949, 1000, "acceptable"),
    ("insurance_status_accuracy", 950, 1000, "target"),
    ("stale_record_rate", 0, 0, "no_data"),
    ("stale_record_rate", 0, 1000, "target"),
    ("stale_record_rate", 79, 1000, "target"),
    ("stale_record_rate", 80, 1000, "acceptable"),
    ("stale_record_rate", 99, 1000, "acceptable"),
    ("stale_record_rate", 100, 1000, "acceptable"),
    ("stale_record_rate", 250, 1000, "acceptable"),
    ("stale_record_rate", 251, 1000, "poor"),
    ("stale_record_rate", 896, 3200, "poor"),
    ("stale_record_rate", 192, 3200, "target"),
]


@pytest.mark.parametrize(("metric", "counted", "of", "grade"), GRADES)
def test_a_rate_is_graded_by_its_band(metric: str, counted: int, of: int, grade: str, shared: Bed) -> None:
    good, bad = ("stale", "current") if metric == "stale_record_rate" else ("current", "stale")
    lay_contacts(shared, {good: counted, bad: of - counted})
    row = benchmark(shared, metric)
    assert (row["numerator"], row["denominator"], row["grade"]) == (counted, of, grade)
    assert row["value"] == (counted / of if of else None)
    assert (row["as_of"], row["unit"]) == (AS_OF, "share")


def test_only_active_contacts_and_only_evidence_count(shared: Bed) -> None:
    lay_contacts(shared, {"current": 3, "stale": 1, "unverified": 4, "unknown": 2})
    shared.add("hygiene.contact_status", [{"contact_id": "off", "is_active": False, "is_stale": True}])
    shared.build(*METRICS)
    found = {row["metric"]: row for row in shared.rows("select * from metrics.benchmark")}
    assert found["contact_validity_rate"]["value"] == 0.3
    assert found["insurance_status_accuracy"]["value"] == 0.75
    assert found["stale_record_rate"]["value"] == 0.1
    assert len(found) == 5


CADENCE: dict[str, tuple[list[float | None], float | None, str]] = {
    "nobody": ([], None, "no_data"),
    "this month": ([1, 31, 40], 31, "target"),
    "just over a month": ([1, 32, 40], 32, "acceptable"),
    "between two contacts": ([31, 32], 31.5, "acceptable"),
    "a hundred days": ([100], 100, "acceptable"),
    "a hundred and one": ([101], 101, "poor"),
    "half a year": ([200], 200, "poor"),
    "a minority never": ([1, 2, None], 2, "target"),
    "half never": ([1, 2, None, None], inf, "poor"),
    "all never": ([None, None], inf, "poor"),
}


@pytest.mark.parametrize("by", ["confirmed", "looked up"])
@pytest.mark.parametrize(("ages", "value", "grade"), CADENCE.values(), ids=CADENCE.keys())
def test_the_cadence_counts_never_as_infinite(
    ages: list[float | None], value: float | None, grade: str, by: str, shared: Bed
) -> None:
    bed = shared
    at = [None if age is None else hours_ago(24 * age) for age in ages]
    bed.table("staging.crm_contact", [{"contact_id": f"c{n}", "phone": f"+1617253000{n}"} for n in range(len(ages))])
    confirmed = [{"phone_confirmed_at": each} if by == "confirmed" else {} for each in at]
    bed.table(
        "hygiene.contact_status", [{"contact_id": f"c{n}", "is_active": True, **row} for n, row in enumerate(confirmed)]
    )
    lookups = [
        {"phone": f"+1617253000{n}", "checked_at": each} for n, each in enumerate(at) if each and not confirmed[n]
    ]
    bed.table("staging.phone_lookup", lookups)
    row = benchmark(bed, "phone_validation_cadence_days")
    assert (row["value"], row["grade"]) == (value, grade)
    assert row["numerator"] == sum(age is not None and age <= 31 for age in ages)


def test_a_lookup_that_could_not_tell_validates_nothing() -> None:
    bed = metrics_bed()
    bed.table("staging.crm_contact", [{"contact_id": "c1", "phone": "+16172530001"}])
    bed.table("staging.phone_lookup", [{"phone": "+16172530001", "checked_at": hours_ago(1)}])
    status = {"contact_id": "c1", "is_active": True, "phone_confirmed_at": hours_ago(24 * 50)}
    bed.table("hygiene.contact_status", [{**status, "phone_reason": "lookup_inconclusive"}])
    assert benchmark(bed, "phone_validation_cadence_days")["value"] == 50


def event(at: float, status: str = "discharged", **more: object) -> dict[str, Any]:
    """A care event `at` hours ago, received two hours later or tonight."""
    return {
        "ehr_patient_id": "e1",
        "event_id": f"{status}-{at}",
        "event_at": hours_ago(at),
        "received_at": hours_ago(max(at - 2, 0)),
        "care_status": status,
        **more,
    }


def version(read: float, status: str, edited: float | None = None, **more: object) -> dict[str, Any]:
    """A version of the CRM contact read so many hours ago, edited then or earlier."""
    last_modified = hours_ago(read if edited is None else edited)
    return {"contact_id": "c1", "care_status": status, "extracted_at": hours_ago(read), **more} | {
        "last_modified": last_modified
    }


def change(planned: float, applied: float | None, status: str = "discharged", **more: object) -> dict[str, Any]:
    row = {"contact_id": "c1", "field": "care_status", "new_value": status, "planned_at": hours_ago(planned)}
    done = {"state": "planned"} if applied is None else {"state": "applied", "applied_at": hours_ago(applied)}
    return {**row, **done, **more}


FIRST = version(2000, "active")
LAGS: dict[str, tuple[dict[str, list[dict[str, Any]]], list[float]]] = {
    "written by us": ({"events": [event(50)], "changes": [change(40, 38)]}, [12]),
    "planned and not applied": ({"events": [event(50)], "changes": [change(40, None)]}, [50]),
    "nothing done yet": ({"events": [event(50)]}, [50]),
    "undone since": ({"events": [event(50)], "changes": [change(40, 38, state="undone")]}, [50]),
    "another status was written": ({"events": [event(50)], "changes": [change(40, 38, "completed")]}, [50]),
    "another field was written": ({"events": [event(50)], "changes": [change(40, 38, field="phone")]}, [50]),
    "edited in the CRM, read a night later": (
        {"events": [event(50)], "versions": [FIRST, version(20, "discharged", edited=44)]},
        [6],
    ),
    "our write comes back in the next extract": (
        {"events": [event(50)], "changes": [change(40, 38)], "versions": [FIRST, version(14, "discharged", edited=14)]},
        [12],
    ),
    "shown already when it happened": (
        {"events": [event(50)], "versions": [FIRST, version(100, "discharged")]},
        [],
    ),
    "edited before it happened, read after": (
        {"events": [event(50)], "versions": [FIRST, version(20, "discharged", edited=60)]},
        [],
    ),
    "shown by the first version we ever read": ({"events": [event(50)], "versions": [version(20, "discharged")]}, []),
    "a removed contact's tombstone shows nothing": (
        {"events": [event(50)], "versions": [FIRST, version(20, "discharged", is_removed=True)]},
        [50],
    ),
    "a cancelled event": ({"events": [event(50, is_cancelled=True)]}, []),
    "an event of the future": ({"events": [event(-3)]}, []),
    "an event before the window": ({"events": [event(24 * 30)]}, []),
    "just inside the window": ({"events": [event(24 * 30 - 1)]}, [719]),
    "a repeated status changes nothing": (
        {"events": [event(60, "active"), event(50, "active")], "changes": [change(59, 58, "active")]},
        [2],
    ),
    "overtaken before it was shown": (
        {"events": [event(60, "referred"), event(50)], "changes": [change(40, 40)]},
        [10],
    ),
    "overtaken after it was shown": (
        {"events": [event(60, "referred"), event(50)], "changes": [change(58, 55, "referred"), change(40, 40)]},
        [5, 10],
    ),
    "nothing comes after a death": ({"events": [event(60, "deceased"), event(50, "active")]}, [60]),
}


@pytest.mark.parametrize(("given", "lags"), LAGS.values(), ids=LAGS.keys())
def test_the_sync_lag_runs_from_the_event_until_the_crm_shows_it(
    given: dict[str, list[dict[str, Any]]], lags: list[float], shared: Bed
) -> None:
    bed = shared
    bed.table("staging.ehr_care_event", given["events"])
    bed.table("sync.crm_change", given.get("changes", []))
    bed.table("raw.crm_contacts", given.get("versions", [FIRST]))
    row = benchmark(bed, "care_status_sync_lag_hours")
    assert row["denominator"] == len(lags)
    assert row["value"] == (pytest.approx(sum(lags) / len(lags)) if lags else None)
    assert row["numerator"] == sum(lag < 24 for lag in lags)


LAG_GRADES = [(1, "target"), (23, "target"), (24, "acceptable"), (72, "acceptable"), (73, "poor"), (168, "poor")]


@pytest.mark.parametrize(("hours", "grade"), LAG_GRADES)
def test_the_lag_is_graded_by_its_band(hours: int, grade: str, shared: Bed) -> None:
    shared.table("staging.ehr_care_event", [event(hours)])
    shared.table("raw.crm_contacts", [FIRST])
    shared.table("sync.crm_change", [])
    assert benchmark(shared, "care_status_sync_lag_hours")["grade"] == grade


def test_the_lag_is_split_by_the_stage_in_which_the_time_went(shared: Bed) -> None:
    bed = shared
    bed.table("staging.ehr_care_event", [event(60, "referred"), event(20)])
    bed.table("sync.crm_change", [change(50, 49, "referred"), change(8, None)])
    bed.table("raw.crm_contacts", [FIRST])
    bed.build("metrics.sync_lag")
    rows = bed.rows("select stage, events, waiting, median_hours, p95_hours from metrics.sync_lag")
    found = {row.pop("stage"): row for row in rows}
    assert found["total"] == {"events": 2, "waiting": 1, "median_hours": 15.5, "p95_hours": pytest.approx(19.55)}
    assert found["event_to_received"]["median_hours"] == 2
    assert found["received_to_decided"] == {
        "events": 2,
        "waiting": 0,
        "median_hours": 9,
        "p95_hours": pytest.approx(9.9),
    }
    assert (found["decided_to_written"]["waiting"], found["decided_to_written"]["median_hours"]) == (1, 4.5)


def test_stale_rates_are_told_by_type_and_in_all() -> None:
    bed = metrics_bed()
    parts = ("phone", "insurance", "care", "referring_provider")
    rows = [
        {f"{part}_state": "stale" if place <= rank else "current" for rank, part in enumerate(parts)}
        | {"contact_id": f"c{place}", "is_active": True, "is_stale": place <= 3}
        for place in range(10)
    ]
    bed.table("hygiene.contact_status", rows)
    bed.build("metrics.stale_rate")
    found = {row["staleness_type"]: row for row in bed.rows("select * from metrics.stale_rate")}
    assert {name: row["rate"] for name, row in found.items()} == {
        "phone": 0.1,
        "insurance": 0.2,
        "care": 0.3,
        "referring_provider": 0.4,
        "any": 0.4,
    }
    assert {row["contacts"] for row in found.values()} == {10}


SAVINGS = [
    (1000, 220, 800, 1200, (176, 2112, 912)),
    (2500, 600, 1800, 2400, (432, 5184, 2784)),
    (5000, 1300, 3500, 4200, (910, 10920, 6720)),
    (10000, 2800, 6500, 7500, (1820, 21840, 14340)),
    (3200, 896, 2240, 4200, (627.2, 7526.4, 3326.4)),
    (1000, 0, 800, 1200, (0, 0, -1200)),
]


@pytest.mark.parametrize(("patients", "stale", "spend", "cost", "expected"), SAVINGS)
def test_savings_come_out_to_the_cent(
    patients: int, stale: int, spend: float, cost: float, expected: tuple[float, float, float], shared: Bed
) -> None:
    shared.table("policy.practice", [{"monthly_spend": spend, "hygiene_cost_per_year": cost}])
    lay_contacts(shared, {"stale": stale, "unverified": patients - stale})
    shared.build("metrics.stale_rate", "metrics.roi")
    (row,) = shared.rows("select * from metrics.roi")
    assert (row["wasted_per_month"], row["annual_waste"], row["net_annual_saving"]) == expected


def test_no_contacts_waste_nothing_known() -> None:
    bed = metrics_bed()
    bed.table(
        "hygiene.insurance_evidence",
        [],
        {"contact_id": "VARCHAR", "answer": "VARCHAR", "answered_at": "TIMESTAMPTZ", "answer_age_days": "BIGINT"},
    )
    bed.build("metrics.stale_rate", "metrics.roi", "metrics.coverage_of_asking")
    assert bed.rows("select patients, annual_waste from metrics.roi") == [{"patients": 0, "annual_waste": None}]
    assert bed.rows("select share_asked from metrics.coverage_of_asking") == [{"share_asked": None}]


def test_coverage_of_asking_tells_how_many_were_asked_and_how_old_answers_are() -> None:
    bed = metrics_bed()
    reasons = {"0": "verified", "1": "subscriber_not_found", "2": "payer_error", "3": "never_verified"}
    states = {"verified": "current", "subscriber_not_found": "stale"}
    statuses = [
        {"contact_id": p, "patient_id": p, "is_active": True, "insurance_reason": reason}
        | {"insurance_state": states.get(reason, "unverified")}
        for p, reason in reasons.items()
    ]
    bed.table("hygiene.contact_status", [*statuses, {**statuses[0], "contact_id": "gone", "is_active": False}])
    bed.table("identity.patient_link", [{"source": "pm", "source_id": f"pm{p}", "patient_id": p} for p in reasons])
    checks = [("0", 240, "active"), ("0", 24, "payer_error"), ("1", 480, "not_found"), ("2", 24, "payer_error")]
    bed.table(
        "staging.pm_eligibility",
        [{"pm_patient_id": f"pm{p}", "checked_at": hours_ago(h), "result": result} for p, h, result in checks],
    )
    evidence = [("0", "active", 10), ("1", "not_found", 91), ("2", None, None), ("3", None, None)]
    bed.declare(
        "hygiene.insurance_evidence",
        {"contact_id": "VARCHAR", "answer": "VARCHAR", "answered_at": "TIMESTAMPTZ", "answer_age_days": "BIGINT"},
    )
    bed.table(
        "hygiene.insurance_evidence",
        [
            {"contact_id": p, "answer": said, "answer_age_days": age, "answered_at": age and hours_ago(24 * age)}
            for p, said, age in evidence
        ],
    )
    bed.build("metrics.coverage_of_asking")
    (row,) = bed.rows("select * exclude (as_of) from metrics.coverage_of_asking")
    assert row == {
        "contacts": 4,
        "asked": 3,
        "answered": 2,
        "answered_about_present_plan": 2,
        "answered_this_plan_year": 1,
        "answered_in_time": 1,
        "known": 2,
        "payer_could_not_answer": 1,
        "share_asked": 0.75,
        "share_answered": 0.5,
        "share_answered_this_plan_year": 0.25,
        "share_answered_in_time": 0.25,
        "share_known": 0.5,
        "median_answer_age_days": 15,
        "p90_answer_age_days": 19,
    }


def test_the_queue_counts_open_and_overdue_work_of_each_person() -> None:
    bed = metrics_bed()
    cases = [("new", 1, "a", -5), ("open", 1, "a", 5), ("reopened", 2, "a", -5), ("resolved", 1, "a", 5)]
    rows = [
        {"issue_id": f"i{n}", "state": state, "priority_tier": tier, "assignee": who, "due_at": hours_ago(late)}
        for n, (state, tier, who, late) in enumerate([*cases, ("open", 1, "b", 0)])
    ]
    bed.table("hygiene.issue", rows)
    bed.build("metrics.queue")
    found = bed.rows("select tier, assignee, open_issues, overdue from metrics.queue order by tier, assignee")
    assert [tuple(row.values()) for row in found] == [(1, "a", 2, 1), (1, "b", 1, 0), (2, "a", 1, 0)]


def test_a_night_measured_twice_gives_the_same_rows(shared: Bed) -> None:
    bed = shared
    lay_contacts(bed, {"current": 7, "stale": 2})
    bed.table("staging.ehr_care_event", [event(50)])
    bed.table("raw.crm_contacts", [FIRST])
    measured = []
    for _ in range(2):
        bed.build(*METRICS, "metrics.roi")
        measured.append([bed.rows(f"from {name} order by all") for name in (*METRICS, "metrics.roi")])
    assert measured[0] == measured[1]


def test_another_night_adds_its_rows_and_leaves_the_first() -> None:
    bed = metrics_bed()
    lay_contacts(bed, {"current": 3, "stale": 1})
    bed.build("metrics.stale_rate", "metrics.roi", "metrics.benchmark")
    bed.clock(hours_ago(-24).isoformat())
    lay_contacts(bed, {"current": 4})
    bed.build("metrics.stale_rate", "metrics.sync_lag", "metrics.roi", "metrics.benchmark")
    rows = bed.rows(
        "select as_of, value, grade from metrics.benchmark where metric = 'stale_record_rate' order by as_of"
    )
    assert [tuple(row.values()) for row in rows] == [(AS_OF, 0.25, "acceptable"), (hours_ago(-24), 0.0, "target")]
    assert bed.rows("select count(*) as nights from metrics.roi") == [{"nights": 2}]
