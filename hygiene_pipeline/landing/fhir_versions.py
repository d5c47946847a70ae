"""The raw FHIR tables: a log of resource versions. A resource that an export no longer holds is not removed by that.

A row is added only if the elements kept of the resource differ from the version of the same id before it, stored or
arriving with it: exports repeat resources, and some repeat ids. A later file's version is the later one, and within a
file the one that was updated later.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

import duckdb

from hygiene_pipeline.landing.fhir_lines import LATEST, resource_types
from hygiene_pipeline.landing.fhir_schemas import ALWAYS, RESOURCES, TEXT, Element, Shape, elements, table_name
from hygiene_pipeline.landing.fhir_source import optimized_without, parsed
from hygiene_pipeline.landing.file import LandingFile

# Resources of R4 that nothing here reads: that they came is recorded, their content stays in the landing file.
OTHER = "raw.fhir_other"
_OTHER_COLUMNS = (Element(name="resourceType", kind="code"), *ALWAYS)
_PROVENANCE = """last_updated timestamptz, source_file varchar, source_line bigint, file_id varchar, take_seq bigint,
                 extracted_at timestamptz, row_hash varchar"""


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """One raw table a resource type, and one for the types that nothing reads; what exists is not parsed again."""
    found = con.execute(
        """select 'raw.' || table_name from duckdb_tables()
           where schema_name = 'raw' and database_name = current_database()"""
    ).fetchall()
    existing = {str(row[0]) for row in found}
    for name, kept in [(table_name(resource), elements(resource)) for resource in RESOURCES] + [
        (OTHER, _OTHER_COLUMNS)
    ]:
        if name not in existing:
            columns = ", ".join(f'"{column.name}" {column.duckdb_type}' for column in kept)
            con.execute(f"create table {name} ({columns}, {_PROVENANCE})")


def first_types(con: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """The resource types of which nothing is stored yet."""
    return frozenset(
        resource
        for resource in RESOURCES
        if con.execute(f"select 1 from {table_name(resource)} limit 1").fetchone() is None
    )


def append(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[LandingFile],
    *,
    extracted_at: datetime,
    first: Collection[str] = (),
) -> int:
    """Append the new versions among `fhir_line` to the raw tables, but for the lines in `fhir_fault`.

    Of the types in `first` every line is appended: what they repeat is found by `drop_repeated` once all files are in.
    """
    rows = 0
    _keep_files(con, files)
    for resource in resource_types(con):
        _read_page(con, resource)
        if new := _find_all(con) if resource in first else _find_new(con, resource):
            _append_new(con, resource, extracted_at=extracted_at)
            rows += new
    return rows


def drop_repeated(con: duckdb.DuckDBPyConnection, resource: str) -> int:
    """Drop the rows of a first export that repeat the version before them; how many there were."""
    table = table_name(resource)
    row = con.execute(f"select count(id) - count(distinct id), count(*) from {table}").fetchone()
    if row is None or not row[0]:
        return 0
    con.execute(
        f"""create or replace temp table fhir_page as
            select row_id
            from (select rowid as row_id, id, take_seq, last_updated, source_line, {_kept_hash(resource)} as kept_hash
                  from {table}
                  where id in (select id from {table} group by id having count(*) > 1))
            qualify kept_hash = lag(kept_hash) over (
                partition by id order by take_seq, last_updated nulls first, source_line
            )"""
    )
    # The table is made anew: DuckDB 1.5 does not survive the end of a transaction that deletes many of its own rows.
    con.execute(
        f"create or replace temp table fhir_new as from {table} where rowid not in (select row_id from fhir_page)"
    )
    con.execute(f"create or replace table {table} as from fhir_new")
    kept = con.execute(f"select count(*) from {table}").fetchone()
    return int(row[1]) - int(kept[0] if kept else 0)


def _keep_files(con: duckdb.DuckDBPyConnection, files: Sequence[LandingFile]) -> None:
    """Put the files that the lines of `fhir_line` come from into `fhir_file`, numbered as the lines number them."""
    con.execute(
        """create or replace temp table fhir_file as
           select unnest(range(len($names))) as file, unnest($names) as source_file, unnest($ids) as file_id,
                  unnest($seqs) as take_seq""",
        {
            "names": [file.name for file in files],
            "ids": [file.file_id for file in files],
            "seqs": [file.take_seq for file in files],
        },
    )


def _read_page(con: duckdb.DuckDBPyConnection, resource: str) -> None:
    """Read the sound lines of a type, typed, into `fhir_page`."""
    columns: dict[str, Shape] = {"resourceType": TEXT, **{element.name: element.shape for element in _kept(resource)}}
    values = ", ".join(f'x."{name}"' for name in columns)
    con.execute(
        f"""create or replace temp table fhir_page as
            select ordinal, {values}
            from (select ordinal, {parsed(columns)} as x
                  from fhir_text
                  where ordinal in (select ordinal from fhir_line where resource_type = $resource)
                      and ordinal not in (select ordinal from fhir_fault))""",
        {"resource": resource},
    )


def _find_all(con: duckdb.DuckDBPyConnection) -> int:
    row = con.execute("create or replace temp table fhir_new as select ordinal from fhir_page").fetchone()
    return int(row[0]) if row else 0


def _find_new(con: duckdb.DuckDBPyConnection, resource: str) -> int:
    """Put the lines of `fhir_page` that are new versions into `fhir_new`, and say how many there are."""
    is_own = "true" if resource in RESOURCES else f"\"resourceType\" = '{resource}'"
    row = con.execute(
        f"""
        create or replace temp table fhir_new as
        with arriving as (
            select fhir_line.ordinal, fhir_line.id, fhir_line.last_updated, fhir_line.file, fhir_page.kept_hash
            from (select ordinal, {_kept_hash(resource)} as kept_hash from fhir_page) as fhir_page
            inner join fhir_line on fhir_line.ordinal = fhir_page.ordinal
        ),
        stored as (
            select id, arg_max({_kept_hash(resource)}, {LATEST}) as kept_hash
            from {_table(resource)}
            where {is_own} and id in (select id from arriving)
            group by id
        ),
        in_order as (
            select *, lag(kept_hash) over (
                       partition by id order by file, last_updated nulls first, ordinal
                   ) as kept_hash_before
            from arriving
        )
        select in_order.ordinal
        from in_order
        left join stored on stored.id = in_order.id
        where in_order.kept_hash is distinct from coalesce(in_order.kept_hash_before, stored.kept_hash)"""
    ).fetchone()
    return int(row[0]) if row else 0


def _append_new(con: duckdb.DuckDBPyConnection, resource: str, *, extracted_at: datetime) -> None:
    values = ", ".join(f'fhir_page."{element.name}"' for element in _kept(resource))
    # DuckDB shall look the page's wide rows up in the narrow tables, and not the other way round.
    with optimized_without(con, "join_order,build_side_probe_side"):
        con.execute(
            f"""insert into {_table(resource)}
                select {values}, fhir_line.last_updated, fhir_file.source_file, fhir_line.line, fhir_file.file_id,
                       fhir_file.take_seq, $extracted_at, fhir_line.row_hash
                from fhir_page
                inner join fhir_new on fhir_new.ordinal = fhir_page.ordinal
                inner join fhir_line on fhir_line.ordinal = fhir_page.ordinal
                inner join fhir_file on fhir_file.file = fhir_line.file""",
            {"extracted_at": extracted_at},
        )


def _kept(resource: str) -> Sequence[Element]:
    return elements(resource) if resource in RESOURCES else _OTHER_COLUMNS


def _kept_hash(resource: str) -> str:
    """What tells versions apart: the elements that are kept. How they are spelt, and all other elements, do not."""
    return "hash(" + ", ".join(f'"{element.name}"' for element in _kept(resource)) + ")"


def _table(resource: str) -> str:
    return table_name(resource) if resource in RESOURCES else OTHER
