"""Any text a person typed as a phone number, to E.164, a whole set at a time.

libphonenumber's patterns run inside DuckDB for plain text; the library itself reads the rest. Either way the verdict is
`normalise_one`'s. This module knows DuckDB and phone numbers, and nothing of who owns them.
"""

from dataclasses import fields

import duckdb
import pyarrow as pa

from hygiene_pipeline.phone.number import INVALID_FORMAT, PhoneNumber, normalise_one
from hygiene_pipeline.phone.numbering_plan import NumberingPlan, numbering_plan
from hygiene_pipeline.phone.plain_text import north_american_sql, plain_text_sql

__all__ = ["PhoneNumber", "normalise_one", "normalise_phones"]

# Compiling a country's patterns costs as much as asking the library about this many numbers.
_WORTH_A_PLAN = 200

_COLUMNS = ", ".join(field.name for field in fields(PhoneNumber))
_SCHEMA = pa.schema(
    [(field.name, pa.bool_() if field.name == "is_possible" else pa.string()) for field in fields(PhoneNumber)]
)


def normalise_phones(
    con: duckdb.DuckDBPyConnection,
    source_sql: str,
    target_table: str,
    *,
    default_region: str = "US",
    worth_a_plan: int = _WORTH_A_PLAN,
) -> int:
    """Make `target_table` with one row per text, in the columns of `PhoneNumber`.

    Args:
        con: where both the source and the target live.
        source_sql: a query with one VARCHAR column `raw` of distinct texts; null is no text and gets no row.
        target_table: name of the table to make or replace, with its schema.
        default_region: where a number without a country is dialled from.
        worth_a_plan: a calling code with fewer texts than this is read by the library.

    Returns:
        The number of rows made.
    """
    shaped = f"({north_american_sql(source_sql, default_region)})"
    unread = f"select raw from {target_table} where is_possible is null"
    plain_text = plain_text_sql(unread, default_region)
    con.execute(f"create or replace table {target_table} as {_verdict_sql(numbering_plan(1), shaped)}")
    con.execute(f"create or replace temp table phone_text as {plain_text}")
    con.execute(f"delete from {target_table} where is_possible is null")
    plans = [numbering_plan(code) for code in _calling_codes(con, worth_a_plan)]
    for plan in plans:
        settled = f"(select raw, national, extension from phone_text where {_is_settled(plan)})"
        # An insert of nothing is not tried: DuckDB 1.5 loses a later one of more than a row group after it.
        if con.execute(f"select 1 from {settled} limit 1").fetchone():
            con.execute(f"insert into {target_table} {_verdict_sql(plan, settled)}")
    _insert_rest(con, target_table, plans, default_region)
    con.execute("drop table phone_text")
    return _count(con, target_table)


def _calling_codes(con: duckdb.DuckDBPyConnection, at_least: int) -> list[int]:
    found = con.execute(
        "select calling_code from phone_text where calling_code is not null"
        " group by calling_code having count(*) >= ? order by calling_code",
        [at_least],
    )
    return [code for (code,) in found.fetchall()]


def _is_settled(plan: NumberingPlan) -> str:
    return f"(calling_code = {plan.calling_code} and {plan.is_clear})"


def _verdict_sql(plan: NumberingPlan, relation: str) -> str:
    """The columns of `PhoneNumber` for a relation of raw, national, extension; no national, no verdict."""
    steps, latest = [], relation
    for column, number_type in plan.whole_plan_types.items():
        steps.append(f"read_{column} as (select *, {number_type} as {column} from {latest}),")
        latest = f"read_{column}"
    return f"""
    with {" ".join(steps)}
    claimed as (
        select *, {plan.region} as region from {latest}
    ),
    judged as (
        select raw, national, extension, region, {plan.number_type} as number_type, {plan.length} as length from claimed
    )
    select
        raw,
        case when number_type is not null then '+{plan.calling_code}' || national end as e164,
        case when number_type is not null then region end as region,
        case when number_type is null then '{INVALID_FORMAT}' end as reason,
        national as digits,
        number_type,
        length in ('possible', 'local_only') as is_possible,
        extension,
        case when number_type is null then replace(length, 'possible', 'invalid_but_possible') end as parse_reason
    from judged
    """


def _insert_rest(
    con: duckdb.DuckDBPyConnection, target_table: str, plans: list[NumberingPlan], default_region: str
) -> None:
    settled = " or ".join(map(_is_settled, plans)) or "false"
    texts = con.execute(f"select raw from phone_text where not coalesce({settled}, false)").fetchall()
    numbers = [vars(normalise_one(text, default_region)) for (text,) in texts]
    con.register("phone_read_by_library", pa.Table.from_pylist(numbers, schema=_SCHEMA))
    con.execute(f"insert into {target_table} select {_COLUMNS} from phone_read_by_library")
    con.unregister("phone_read_by_library")


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    row = con.execute(f"select count(*) from {table}").fetchone()
    return int(row[0]) if row else 0
