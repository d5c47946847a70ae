"""The policies of a practice as `policy.*` tables, so that SQL joins them and repeats no threshold."""

from collections.abc import Sequence
from datetime import date, datetime

import duckdb

from hygiene_pipeline.policies.care import care_tables
from hygiene_pipeline.policies.insurance import insurance_tables
from hygiene_pipeline.practice import Practice

Row = Sequence[object]

# The database of reassigned numbers is of the United States.
_ONLY_IN = {"reassigned_number": "US"}


def write_policy_tables(con: duckdb.DuckDBPyConnection, practice: Practice, *, as_of: datetime) -> dict[str, int]:
    """Write every policy table for one run; returns rows by table. Call inside a transaction.

    `policy.clock` is the only clock that SQL knows: `previous_as_of` is the latest earlier run that reached it.
    """
    con.execute("create table if not exists history.night (as_of timestamptz)")
    con.execute("delete from history.night where as_of = $as_of", {"as_of": as_of})
    con.execute("insert into history.night values ($as_of)", {"as_of": as_of})
    written = {"clock": _write_clock(con, practice, as_of)}
    for name, (columns, rows) in _tables(practice, on=as_of.astimezone(practice.zone).date()).items():
        con.execute(f"create or replace table policy.{name} ({columns})")
        if rows:
            marks = ", ".join("?" for _ in rows[0])
            con.executemany(f"insert into policy.{name} values ({marks})", [list(row) for row in rows])
        written[name] = len(rows)
    return written


def _write_clock(con: duckdb.DuckDBPyConnection, practice: Practice, as_of: datetime) -> int:
    con.execute(
        """create or replace table policy.clock as select
             $as_of::timestamptz as as_of,
             $local_date::date as as_of_date,
             (select max(as_of) from history.night where as_of < $as_of::timestamptz) as previous_as_of,
             $practice::varchar as practice,
             $timezone::varchar as timezone""",
        {
            "as_of": as_of,
            "local_date": as_of.astimezone(practice.zone).date(),
            "practice": practice.practice,
            "timezone": practice.timezone,
        },
    )
    return 1


def _tables(practice: Practice, *, on: date) -> dict[str, tuple[str, list[Row]]]:
    """Columns and rows of each table, in the order in which a reader meets them."""
    insurance = insurance_tables(practice.policies.insurance, on=on)
    return {**_practice_tables(practice), **insurance, **_rule_tables(practice), **_people_tables(practice)}


def _practice_tables(practice: Practice) -> dict[str, tuple[str, list[Row]]]:
    policies = practice.policies
    phone = policies.phone
    messages = policies.reengagement
    return {
        "practice": (
            "practice varchar, name varchar, timezone varchar, phone varchar, monthly_spend double,"
            " hygiene_cost_per_year double, crm_kind varchar, crm_sync varchar",
            [
                (
                    practice.practice,
                    practice.name,
                    practice.timezone,
                    practice.phone,
                    practice.outreach.monthly_spend,
                    practice.outreach.hygiene_cost_per_year,
                    practice.crm.kind,
                    practice.crm.sync,
                )
            ],
        ),
        "phone": (
            "confirmed_for_days integer, revalidate_after_days integer, shared_number_limit integer,"
            " default_region varchar, lookup_price_usd double, monthly_budget_usd double",
            [
                (
                    phone.confirmed_for_days,
                    phone.revalidate_after_days,
                    phone.shared_number_limit,
                    phone.default_region,
                    phone.lookup_price_usd,
                    phone.monthly_budget_usd,
                )
            ],
        ),
        "phone_lookup_package": (
            "package varchar, price_usd double, needs_confirmation boolean, only_region varchar",
            _lookup_packages(practice),
        ),
        "reengagement": (
            "max_tries integer, wait_days integer, quiet_from_hour integer, quiet_to_hour integer",
            [(messages.max_tries, messages.wait_days, messages.quiet_from_hour, messages.quiet_to_hour)],
        ),
        "audit": ("sample_size integer", [(policies.audit.sample_size,)]),
    }


def _lookup_packages(practice: Practice) -> list[Row]:
    """What is asked of each number and what it costs; a lookup without packages is one package."""
    phone = practice.policies.phone
    packages = practice.phone_lookup.asked_packages
    if not packages:
        return [("lookup", phone.lookup_price_usd, False, None)]
    return [
        (package, phone.package_prices_usd.get(package, 0.0), package == "reassigned_number", _ONLY_IN.get(package))
        for package in packages
    ]


def _rule_tables(practice: Practice) -> dict[str, tuple[str, list[Row]]]:
    policies = practice.policies
    bands = policies.benchmarks
    return {
        "placeholder_phone": (
            "pattern varchar, note varchar",
            [(each.pattern, each.note) for each in policies.phone.placeholders],
        ),
        **care_tables(policies.care),
        "source_of_truth": (
            'field varchar, source varchar, source_rank integer, strategy varchar, "write" varchar',
            [
                (name, source, rank, field.strategy, field.write)
                for name, field in policies.source_of_truth.fields.items()
                for rank, source in enumerate(field.sources, start=1)
            ],
        ),
        "benchmark_policy": (
            "metric varchar, unit varchar, higher_is_better boolean, target double, acceptable_from double,"
            " lag_window_days integer",
            [
                (name, band.unit, band.higher_is_better, band.target, band.acceptable_from, bands.lag_window_days)
                for name, band in bands.metrics.items()
            ],
        ),
        "delivery": (
            "place varchar, min_share double, is_required boolean",
            [(place, each.min_share, each.is_required) for place, each in policies.delivery.places.items()],
        ),
    }


def _people_tables(practice: Practice) -> dict[str, tuple[str, list[Row]]]:
    priorities = practice.policies.priorities
    assignment = practice.policies.assignment
    return {
        "priority": (
            "visit_soon_days integer, seen_within_months integer, dormant_after_months integer",
            [(priorities.visit_soon_days, priorities.seen_within_months, priorities.dormant_after_months)],
        ),
        "due": ("tier integer, days integer", [*sorted(priorities.due_days.items())]),
        "assignment": (
            "staleness_type varchar, role varchar, is_fallback boolean",
            [
                *((kind, role, False) for kind, role in assignment.roles.items()),
                *((kind, assignment.fallback, True) for kind in assignment.roles),
            ],
        ),
        "staff": (
            "staff_id varchar, role varchar, handles varchar, capacity_per_day integer",
            [
                (person.id, person.role, handled, person.capacity_per_day)
                for person in practice.staff
                for handled in (*person.handles, *([] if person.handles else [None]))
            ],
        ),
        "staff_absence": (
            "staff_id varchar, absent_from date, absent_to date",
            [(person.id, absence.first, absence.last) for person in practice.staff for absence in person.absent],
        ),
    }
