"""Every `policy.*` table says exactly what the YAML files and the practice file say, and the clock is the run's own."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from pydantic import ValidationError

from hygiene_pipeline.clock import read_clock
from hygiene_pipeline.failures import PermanentError
from hygiene_pipeline.policies.insurance import PlanYear
from hygiene_pipeline.policies.load import merged
from hygiene_pipeline.policies.tables import write_policy_tables
from hygiene_pipeline.practice import Practice

FOLDER = Path(__file__).parents[2] / "hygiene_pipeline" / "policies"
AS_OF = datetime(2026, 3, 1, 7, tzinfo=UTC)
PRACTICE: dict[str, Any] = {
    "practice": "lakeside",
    "name": "Lakeside Family Medicine",
    "timezone": "America/Chicago",
    "phone": "+1 312 555 0100",
    "crm": {"kind": "files", "sync": "dry_run"},
    "outreach": {"monthly_spend": 800, "hygiene_cost_per_year": 1200.5},
    "staff": [
        {"id": "c1", "role": "care_coordinator", "handles": ["phone", "email"], "capacity_per_day": 7},
        {
            "id": "m1",
            "role": "practice_manager",
            "absent": [
                {"first": date(2026, 3, 2), "last": date(2026, 3, 6)},
                {"first": "2026-07-01", "last": "2026-07-01"},
            ],
        },
    ],
}


def practice(**changes: Any) -> Practice:
    policies = merged(changes.pop("policies", {}))
    return Practice.model_validate({**PRACTICE, **changes, "policies": policies})


def shipped(name: str) -> Any:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute("set TimeZone = 'UTC'; create schema policy; create schema history")
        yield con


def rows(con: duckdb.DuckDBPyConnection, table: str) -> list[dict[str, Any]]:
    result = con.execute(f"from policy.{table}")
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def written(con: duckdb.DuckDBPyConnection, table: str, **changes: Any) -> list[dict[str, Any]]:
    write_policy_tables(con, practice(**changes), as_of=AS_OF)
    return rows(con, table)


def insurance_tables() -> dict[str, list[Mapping[str, Any]]]:
    insurance = shipped("insurance")
    recheck = insurance["recheck"]
    year = recheck["plan_year"]
    return {
        "insurance": [{"answer_valid_days": insurance["answer_valid_days"]}],
        "recheck": [
            {
                **{name: recheck[name] for name in ("ahead_days", "before_visit_days", "visit_answer_days")},
                "plan_year_began_on": date(2026, year["month"], year["day"]),
                "plan_year_days": year["for_days"],
                **{name: recheck[name] for name in ("max_retries", "daily_limit")},
            }
        ],
        "recheck_retry": [
            {"errors": errors, "wait_hours": hours}
            for errors, hours in enumerate(recheck["retry_after_hours"], start=1)
        ],
        "recheck_follow_up": [
            *({"follow_up": letter, "wait_days": None, "is_held": True} for letter in recheck["held_follow_ups"]),
            *({"follow_up": k, "wait_days": days, "is_held": False} for k, days in recheck["wait_days"].items()),
        ],
        "suppressed_reason": [{"reason": reason} for reason in insurance["suppressed_reasons"]],
    }


def expected_tables() -> dict[str, list[Mapping[str, Any]]]:
    """What the tables must hold, read from the YAML files themselves."""
    phone, care, benchmarks = shipped("phone"), shipped("care"), shipped("benchmarks")
    priorities, assignment = shipped("priorities"), shipped("assignment")
    statuses = ("active", "completed", "referred", "discharged", "deceased")
    return {
        "practice": [
            {
                "practice": "lakeside",
                "name": "Lakeside Family Medicine",
                "timezone": "America/Chicago",
                "phone": "+13125550100",
                "monthly_spend": 800.0,
                "hygiene_cost_per_year": 1200.5,
                "crm_kind": "files",
                "crm_sync": "dry_run",
            }
        ],
        "phone": [{key: value for key, value in phone.items() if key not in ("placeholders", "package_prices_usd")}],
        "phone_lookup_package": [
            {
                "package": "lookup",
                "price_usd": phone["lookup_price_usd"],
                "needs_confirmation": False,
                "only_region": None,
            }
        ],
        "placeholder_phone": phone["placeholders"],
        **insurance_tables(),
        "reengagement": [{key: value for key, value in shipped("reengagement").items() if key != "templates"}],
        "audit": [shipped("audit")],
        "care_event_mapping": [{"pathway": None, **each} for each in care["events"]],
        "care_event_taken_back": [
            {"message": message, "takes_back": taken}
            for message, all_taken in care["takes_back"].items()
            for taken in all_taken
        ],
        "referral_ended": [{"status": status} for status in care["referral_ended"]],
        "discharge_disposition": care["dispositions"],
        "segment": care["segments"],
        "segment_exit": [{"care_status": each, "leaves": each in care["leave_segments"]} for each in statuses],
        "source_of_truth": [
            {
                "field": field,
                "source": source,
                "source_rank": rank,
                "strategy": rule["strategy"],
                "write": rule["write"],
            }
            for field, rule in shipped("source_of_truth")["fields"].items()
            for rank, source in enumerate(rule["sources"], start=1)
        ],
        "benchmark_policy": [
            {"metric": metric, **band, "lag_window_days": benchmarks["lag_window_days"]}
            for metric, band in benchmarks["metrics"].items()
        ],
        "delivery": [{"place": place, **limit} for place, limit in shipped("delivery")["places"].items()],
        "priority": [{key: value for key, value in priorities.items() if key != "due_days"}],
        "due": [{"tier": tier, "days": days} for tier, days in priorities["due_days"].items()],
        "assignment": [
            *({"staleness_type": k, "role": role, "is_fallback": False} for k, role in assignment["roles"].items()),
            *({"staleness_type": k, "role": assignment["fallback"], "is_fallback": True} for k in assignment["roles"]),
        ],
        "staff": [
            {"staff_id": "c1", "role": "care_coordinator", "handles": "phone", "capacity_per_day": 7},
            {"staff_id": "c1", "role": "care_coordinator", "handles": "email", "capacity_per_day": 7},
            {"staff_id": "m1", "role": "practice_manager", "handles": None, "capacity_per_day": 40},
        ],
        "staff_absence": [
            {"staff_id": "m1", "absent_from": date(2026, 3, 2), "absent_to": date(2026, 3, 6)},
            {"staff_id": "m1", "absent_from": date(2026, 7, 1), "absent_to": date(2026, 7, 1)},
        ],
    }


EXPECTED = expected_tables()
PRICE = {"package_prices_usd": {"reassigned_number": 0.03}}


@pytest.mark.parametrize("table", EXPECTED)
def test_a_table_holds_what_its_file_says(con: duckdb.DuckDBPyConnection, table: str) -> None:
    assert written(con, table) == EXPECTED[table]


def test_what_a_vendor_is_asked_is_a_table_with_its_prices(con: duckdb.DuckDBPyConnection) -> None:
    packages = ["reassigned_number", "line_status", "line_status"]
    lookup = {"kind": "twilio", "account_sid": "AC00000000", "packages": packages}
    found = written(con, "phone_lookup_package", phone_lookup=lookup, policies={"phone": PRICE})
    assert [tuple(row.values()) for row in found] == [
        ("reassigned_number", 0.03, True, "US"),
        ("line_status", 0.007, False, None),
    ]


def test_there_is_no_other_policy_table(con: duckdb.DuckDBPyConnection) -> None:
    counts = write_policy_tables(con, practice(), as_of=AS_OF)
    tables = {
        name
        for (name,) in con.execute("select table_name from duckdb_tables() where schema_name = 'policy'").fetchall()
    }
    assert tables == {*EXPECTED, "clock"}
    assert counts == {name: len(rows(con, name)) for name in tables}


@pytest.mark.parametrize(
    ("overrides", "table", "told"),
    [
        pytest.param(
            {"phone": {"revalidate_after_days": 7, "monthly_budget_usd": 12.5}},
            "phone",
            [{**EXPECTED["phone"][0], "revalidate_after_days": 7, "monthly_budget_usd": 12.5}],
            id="one value, its neighbours stand",
        ),
        pytest.param(
            {"phone": {"placeholders": [{"pattern": "9+", "note": "nines"}]}},
            "placeholder_phone",
            [{"pattern": "9+", "note": "nines"}],
            id="a list is replaced",
        ),
        pytest.param({"phone": {"placeholders": []}}, "placeholder_phone", [], id="an empty list empties its table"),
        pytest.param(
            {"priorities": {"due_days": {1: 1}}},
            "due",
            [{"tier": 1, "days": 1}, *EXPECTED["due"][1:]],
            id="one key of a mapping",
        ),
        pytest.param(
            {"delivery": {"places": {"replies": {"min_share": 0.1, "is_required": False}}}},
            "delivery",
            [*EXPECTED["delivery"], {"place": "replies", "min_share": 0.1, "is_required": False}],
            id="a further key",
        ),
        pytest.param(
            {"care": {"leave_segments": ["deceased"]}},
            "segment_exit",
            [{**row, "leaves": row["care_status"] == "deceased"} for row in EXPECTED["segment_exit"]],
            id="who leaves segments",
        ),
    ],
)
def test_an_override_of_the_practice_is_in_the_table(
    con: duckdb.DuckDBPyConnection, overrides: dict[str, Any], table: str, told: list[dict[str, Any]]
) -> None:
    assert written(con, table, policies=overrides) == told


def test_a_changed_policy_replaces_the_old_one_in_the_next_run(con: duckdb.DuckDBPyConnection) -> None:
    assert len(written(con, "staff")) == 3
    assert len(written(con, "staff", staff=[{"id": "m1", "role": "practice_manager"}])) == 1


@pytest.mark.parametrize(
    ("as_of", "timezone", "local_date"),
    [
        pytest.param("2026-03-01T04:59:59Z", "America/New_York", "2026-02-28", id="a second before midnight"),
        pytest.param("2026-03-01T05:00:00Z", "America/New_York", "2026-03-01", id="midnight in winter"),
        pytest.param("2026-07-01T04:00:00Z", "America/New_York", "2026-07-01", id="midnight in summer"),
        pytest.param("2026-07-01T03:59:59Z", "America/New_York", "2026-06-30", id="a second before it in summer"),
        pytest.param("2026-03-08T04:59:59Z", "America/New_York", "2026-03-07", id="before the day that lacks an hour"),
        pytest.param("2026-03-09T03:59:59Z", "America/New_York", "2026-03-08", id="end of the day that lacks an hour"),
        pytest.param("2026-03-09T04:00:00Z", "America/New_York", "2026-03-09", id="midnight after it"),
        pytest.param("2026-11-02T04:59:59Z", "America/New_York", "2026-11-01", id="end of the day with an hour more"),
        pytest.param("2026-11-02T05:00:00Z", "America/New_York", "2026-11-02", id="midnight after that"),
        pytest.param("2026-03-01T09:59:59Z", "Pacific/Honolulu", "2026-02-28", id="west of everybody"),
        pytest.param("2026-03-01T10:00:00Z", "Pacific/Guam", "2026-03-01", id="east of the date line"),
        pytest.param("2026-03-01T14:00:00Z", "Pacific/Guam", "2026-03-02", id="where it is tomorrow already"),
        pytest.param("2026-03-01T02:00:00-05:00", "America/New_York", "2026-03-01", id="with another offset"),
    ],
)
def test_the_date_of_a_run_is_the_practice_s_own(
    con: duckdb.DuckDBPyConnection, as_of: str, timezone: str, local_date: str
) -> None:
    at = datetime.fromisoformat(as_of)
    write_policy_tables(con, practice(timezone=timezone), as_of=at)
    clock = read_clock(con)
    assert (clock.as_of, clock.as_of_date) == (at, date.fromisoformat(local_date))
    assert con.execute("select as_of_date, timezone, practice from policy.clock").fetchall() == [
        (date.fromisoformat(local_date), timezone, "lakeside")
    ]


def test_the_previous_run_is_the_latest_earlier_one_also_on_replay(con: duckdb.DuckDBPyConnection) -> None:
    first, second, third = (datetime(2026, 3, day, 7, tzinfo=UTC) for day in (1, 2, 5))
    seen = []
    for as_of in (first, second, third, second, first, third):
        write_policy_tables(con, practice(), as_of=as_of)
        seen.append(read_clock(con).previous_as_of)
    assert seen == [None, first, second, first, None, second]


def test_a_run_between_two_others_is_their_neighbour(con: duckdb.DuckDBPyConnection) -> None:
    night, event, next_night = (datetime(2026, 3, day, hour, tzinfo=UTC) for day, hour in ((1, 7), (1, 15), (2, 7)))
    for as_of in (night, next_night, event):
        write_policy_tables(con, practice(), as_of=as_of)
    assert read_clock(con).previous_as_of == night
    write_policy_tables(con, practice(), as_of=next_night)
    assert read_clock(con).previous_as_of == event


def test_a_run_that_is_rolled_back_was_never_there(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("begin")
    write_policy_tables(con, practice(), as_of=AS_OF)
    con.execute("rollback")
    with pytest.raises(PermanentError, match="clock: is not set"):
        read_clock(con)
    write_policy_tables(con, practice(), as_of=datetime(2026, 3, 2, 7, tzinfo=UTC))
    assert read_clock(con).previous_as_of is None


@pytest.mark.parametrize(
    ("on", "began_on"),
    [
        pytest.param(date(2026, 6, 30), date(2025, 7, 1), id="the day before it begins"),
        pytest.param(date(2026, 7, 1), date(2026, 7, 1), id="the day it begins"),
        pytest.param(date(2027, 1, 1), date(2026, 7, 1), id="in the next calendar year"),
    ],
)
def test_a_plan_year_may_begin_on_any_day(on: date, began_on: date) -> None:
    assert PlanYear(month=7, day=1, for_days=60, ends_answers=False).began_on(on) == began_on


@pytest.mark.parametrize(
    ("on", "ends_answers", "days"),
    [
        pytest.param(date(2026, 1, 1), True, 0, id="on New Year's Day only what was answered that day"),
        pytest.param(date(2026, 3, 1), True, 59, id="later what was answered since"),
        pytest.param(date(2026, 6, 1), True, 90, id="in summer what is within the limit"),
        pytest.param(date(2026, 1, 1), False, 90, id="where plans are not known to change what is within the limit"),
    ],
)
def test_an_answer_may_end_with_the_plan_year(on: date, ends_answers: bool, days: int) -> None:
    assert PlanYear(month=1, day=1, for_days=60, ends_answers=ends_answers).counted_days(90, on) == days


def test_a_plan_year_begins_on_a_day_of_every_year() -> None:
    with pytest.raises(ValidationError, match="day is out of range"):
        PlanYear(month=2, day=29, for_days=60, ends_answers=False)


def test_a_practices_own_event_comes_in_place_of_the_shipped_one_of_its_pathway(con: duckdb.DuckDBPyConnection) -> None:
    own = [
        {"kind": "ADT", "event": "A03", "care_status": "completed", "rank": 4},
        {"kind": "ADT", "event": "A03", "pathway": "O", "care_status": "unchanged", "rank": 4},
    ]
    found = written(con, "care_event_mapping", policies={"care": {"more_events": own}})
    shipped_rows = [row for row in EXPECTED["care_event_mapping"] if (row["kind"], row["event"]) != ("ADT", "A03")]
    assert [row for row in found if row["event"] != "A03"] == shipped_rows
    assert [(row["pathway"], row["care_status"]) for row in found if row["event"] == "A03"] == [
        (None, "completed"),
        ("O", "unchanged"),
    ]


def test_a_message_that_is_taken_back_is_named_as_hl7_names_it() -> None:
    with pytest.raises(ValidationError, match="takes_back"):
        practice(policies={"care": {"takes_back": {"A13": ["A03"]}}})
