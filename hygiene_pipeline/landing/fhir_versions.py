"""The raw FHIR tables: a log of resource versions. A resource that an export no longer holds is not removed by that.

A row is added only if the elements kept of the resource differ from the version of the same id before it, stored or
arriving with it: exports repeat resources, and some repeat ids. A later file's version is the later one, and within a
file the one that was updated later.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import duckdb

from hygiene_pipeline.landing.fhir_schemas import ALWAYS, RESOURCES, TEXT, Element, Shape, elements, table_name
from hygiene_pipeline.landing.fhir_source import Source
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


def find_new(con: duckdb.DuckDBPyConnection, resource: str) -> int:
    """Put the lines of `fhir_line` that are new versions into `fhir_new`, and say how many there are."""
    is_own = "true" if resource in RESOURCES else f"\"resourceType\" = '{resource}'"
    con.execute(
        f"""
        create or replace temp table fhir_new as
        with arriving as (
            select fhir_line.ordinal, fhir_line.id, fhir_line.last_updated, fhir_line.row_hash,
                   coalesce(fhir_number.line, fhir_line.ordinal + 1) as line, coalesce(fhir_number.file, 0) as file
            from fhir_line
            left join fhir_number on fhir_number.ordinal = fhir_line.ordinal
            where fhir_line.resource_type = $resource
                and fhir_line.ordinal not in (select ordinal from fhir_fault)
        ),
        stored as (
            select id, arg_max(
                       row_hash, row(extracted_at, take_seq, last_updated is not null, last_updated, source_line)
                   ) as row_hash
            from {_table(resource)}
            where {is_own} and id in (select id from arriving)
            group by id
        ),
        in_order as (
            select *, lag(row_hash) over (
                       partition by id order by file, last_updated nulls first, ordinal
                   ) as row_hash_before
            from arriving
        )
        select in_order.ordinal, in_order.id, in_order.last_updated, in_order.row_hash, in_order.line, in_order.file
        from in_order
        left join stored on stored.id = in_order.id
        where in_order.row_hash is distinct from coalesce(in_order.row_hash_before, stored.row_hash)""",
        {"resource": resource},
    )
    row = con.execute("select count(*) from fhir_new").fetchone()
    return int(row[0]) if row else 0


def keep_files(con: duckdb.DuckDBPyConnection, files: Sequence[LandingFile]) -> None:
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


def append_new(con: duckdb.DuckDBPyConnection, resource: str, source: Source, *, extracted_at: datetime) -> None:
    """Read the elements of the lines in `fhir_new`, typed, into the raw table."""
    kept = elements(resource) if resource in RESOURCES else _OTHER_COLUMNS
    columns: dict[str, Shape] = {"resourceType": TEXT, **{column.name: column.shape for column in kept}}
    values = ", ".join(f'resource."{column.name}"' for column in kept)
    with _joined_as_written(con):
        con.execute(
            f"""insert into {_table(resource)}
                select {values}, fhir_new.last_updated, fhir_file.source_file, fhir_new.line, fhir_file.file_id,
                       fhir_file.take_seq, $extracted_at, fhir_new.row_hash
                from {source.relation(columns)} as resource
                inner join fhir_new on fhir_new.{source.key} = resource.{source.key}
                inner join fhir_file on fhir_file.file = fhir_new.file
                where resource."resourceType" = $resource""",
            {"resource": resource, "extracted_at": extracted_at},
        )


@contextmanager
def _joined_as_written(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Keep DuckDB, which takes a JSON file for a few rows, from building its hash table of the file's whole content."""
    row = con.execute("select current_setting('disabled_optimizers')").fetchone()
    before = str(row[0]) if row else ""
    con.execute("set disabled_optimizers = 'join_order,build_side_probe_side'")
    try:
        yield
    finally:
        con.execute(f"set disabled_optimizers = '{before}'")


def _table(resource: str) -> str:
    return table_name(resource) if resource in RESOURCES else OTHER
