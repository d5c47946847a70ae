"""From `landing_text` (every column as text) to `landing_typed`: typed, one record a key, the rest in quarantine.

What a record looked like before it was read is in `landing_original`, by line, and looked up for the quarantine only.
A value that cannot be read costs the field; a record is lost only if what it is known by cannot be read. Of a record
that the raw table has already, only what it is known by is kept: of a full list that is nearly all.
"""

from collections.abc import Sequence

import duckdb

from hygiene_pipeline.failures import PracticeFileError
from hygiene_pipeline.landing.delivery import Delivery
from hygiene_pipeline.landing.headers import Found
from hygiene_pipeline.landing.places import Extract
from hygiene_pipeline.landing.rejects import reject_rows
from hygiene_pipeline.landing.typed_columns import REASONS, typed
from hygiene_pipeline.sql_spelling import literal


def lay_typed(con: duckdb.DuckDBPyConnection, delivery: Delivery, found: Sequence[Found]) -> int:
    """Fill the temporary table `landing_typed` from `landing_text`; returns how many things went to quarantine.

    `landing_known` holds the versions that the raw table has.
    """
    _check_formats(con, delivery, found)
    _read_types(con, delivery, found)
    fields = reject_rows(
        con,
        delivery,
        """select source_line, problem.field, problem.reason, problem.original
           from (select source_line, unnest(problems) as problem from landing_read)""",
    )
    return fields + _reject_unknown(con, delivery) + _one_a_key(con, delivery)


def key_columns(extract: Extract) -> str:
    """The key columns as an SQL list."""
    return ", ".join(f'"{name}"' for name in extract.key)


def same_key(extract: Extract, left: str, right: str) -> str:
    """The SQL condition that a record on either side has the same key."""
    return " and ".join(f'{left}."{name}" is not distinct from {right}."{name}"' for name in extract.key)


def _reject_unknown(con: duckdb.DuckDBPyConnection, delivery: Delivery) -> int:
    """Take out the records without a value that they are known by."""
    required = delivery.extract.required
    unknown = " or ".join(f'"{name}" is null' for name in required)
    names = ", ".join(f"case when \"{name}\" is null then '{name}' end" for name in required)
    if not con.execute(f"select 1 from landing_read where {unknown} limit 1").fetchone():
        return 0
    # A required value that is there but unreadable has its reason among the field problems already.
    rows = reject_rows(
        con,
        delivery,
        f"""select source_line, concat_ws(', ', {names}) as field,
              case when len(problems) = 0 then 'missing_key' else 'unusable_key' end as reason, original
            from landing_read inner join landing_original using (source_line) where {unknown}""",
    )
    con.execute(f"delete from landing_read where {unknown}")
    return rows


def _check_formats(con: duckdb.DuckDBPyConnection, delivery: Delivery, found: Sequence[Found]) -> None:
    """Refuse a date format of the practice file that no date can have, by column."""
    for each in found:
        if each.format is None:
            continue
        try:
            con.execute(f"select try_strptime('', {literal(each.format)})")
        except duckdb.Error:
            raise PracticeFileError(
                f"columns: {delivery.extract.place}: {each.column.name}: {each.format!r} is not a date format;"
                " allowed: strptime's codes, such as %m/%d/%Y"
            ) from None


def _is_read(found: Found) -> bool:
    """Whether a column is more than its text."""
    return found.column.type != "varchar" or found.column.codes is not None


def _read_types(con: duckdb.DuckDBPyConnection, delivery: Delivery, found: Sequence[Found]) -> None:
    """Fill `landing_read`: what a record is known by, its problems and hash; and all of it (`record`) if it is new."""
    extract = delivery.extract
    readable = [each for each in found if _is_read(each)]
    spelt = ", ".join(f"{typed(each) if _is_read(each) else _name(each)} as {_name(each)}" for each in found)
    texts = "".join(f", {_name(each)} as {_text_of(each)}" for each in readable)
    hashed = ", ".join(_hashable(each) for each in found)
    known_by = dict.fromkeys((*extract.key, *extract.required, *filter(None, [extract.version])))
    kept = ", ".join(f'hashed."{name}"' for name in known_by)
    record = ", ".join(f"{_name(each)}: hashed.{_name(each)}" for each in found)
    con.execute(
        f"""create or replace temp table landing_read as
            with delivery as (
              select $timezone as timezone,
                cast($extracted_at::timestamptz at time zone $timezone as date) as local_date
            ),
            read as (select source_line, {spelt}{texts} from landing_text, delivery),
            hashed as (select *, md5(concat_ws(chr(31), {hashed})) as row_hash from read),
            known as (select {key_columns(extract)}, row_hash from landing_known where not is_removed)
            select source_line, {kept}, {_problems(readable)} as problems, hashed.row_hash,
              case when known.row_hash is null then {{{record}}} end as record
            from hashed
            left join known on {same_key(extract, "hashed", "known")} and hashed.row_hash = known.row_hash""",
        {"timezone": delivery.timezone, "extracted_at": delivery.extracted_at},
    )


def _name(found: Found) -> str:
    return f'"{found.column.name}"'


def _text_of(found: Found) -> str:
    return f'"text of {found.column.name}"'


def _problems(readable: Sequence[Found]) -> str:
    """The list of a record's fields that have a text and no value; the list is made for the few that have one."""
    if not readable:
        return "[]"
    wrong = [f"({_text_of(each)} is not null and hashed.{_name(each)} is null)" for each in readable]
    told = ", ".join(
        f"case when {is_wrong} then "
        f"{{field: '{each.column.name}', reason: {literal(_reason(each))}, original: {_text_of(each)}}} end"
        for is_wrong, each in zip(wrong, readable, strict=True)
    )
    return f"case when {' or '.join(wrong)} then list_filter([{told}], lambda each: each is not null) else [] end"


def _reason(found: Found) -> str:
    return "unknown_code" if found.column.codes is not None else REASONS[found.column.type]


def _hashable(found: Found) -> str:
    value = f'"{found.column.name}"'
    if found.column.type == "timestamptz":
        value = f"epoch_us({value})"
    return f"coalesce({value}::varchar, chr(30))"


def _one_a_key(con: duckdb.DuckDBPyConnection, delivery: Delivery) -> int:
    """Keep the latest record of each key; equal records collapse in silence, others are quarantined."""
    extract = delivery.extract
    repeated = f"select 1 from landing_read group by {key_columns(extract)} having count(*) > 1 limit 1"
    if not con.execute(repeated).fetchone():
        con.execute("drop table if exists landing_typed; alter table landing_read rename to landing_typed")
        return 0
    latest = f'"{extract.version}" desc nulls last, ' if extract.version else ""
    con.execute(
        f"""create or replace temp table landing_typed as
            select *, row_number() over latest_first as place, first_value(row_hash) over latest_first as kept
            from landing_read
            window latest_first as (partition by {key_columns(extract)} order by {latest}source_line desc)"""
    )
    con.execute("drop table landing_read")
    conflicts = reject_rows(
        con,
        delivery,
        f"""select source_line, {literal(", ".join(extract.key))} as field, 'duplicate_key' as reason, original
            from landing_typed inner join landing_original using (source_line)
            where place > 1 and row_hash <> kept""",
    )
    con.execute("delete from landing_typed where place > 1")
    return conflicts
