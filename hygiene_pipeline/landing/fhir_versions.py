"""The raw FHIR tables: a log of resource versions. A resource that an export no longer holds is not removed by that.

A row is added only if the elements kept of the resource differ from the latest stored version of the same id, and from
the version before it in the same file: exports repeat resources, and some repeat ids.
"""

from collections.abc import Iterator
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
            select ordinal, id, last_updated, row_hash
            from fhir_line
            where resource_type = $resource and ordinal not in (select ordinal from fhir_fault)
        ),
        stored as (
            select id, arg_max(row_hash, row(extracted_at, take_seq, last_updated, source_line)) as row_hash
            from {_table(resource)}
            where {is_own} and id in (select id from arriving)
            group by id
        ),
        in_order as (
            select *, lag(row_hash) over (partition by id order by last_updated nulls first, ordinal) as row_hash_before
            from arriving
        )
        select in_order.ordinal, in_order.id, in_order.last_updated, in_order.row_hash,
               coalesce(fhir_number.line, in_order.ordinal + 1) as line
        from in_order
        left join stored on stored.id = in_order.id
        left join fhir_number on fhir_number.ordinal = in_order.ordinal
        where in_order.row_hash is distinct from coalesce(in_order.row_hash_before, stored.row_hash)""",
        {"resource": resource},
    )
    row = con.execute("select count(*) from fhir_new").fetchone()
    return int(row[0]) if row else 0


def append_new(
    con: duckdb.DuckDBPyConnection, resource: str, source: Source, file: LandingFile, *, extracted_at: datetime
) -> None:
    """Read the elements of the lines in `fhir_new`, typed, into the raw table."""
    kept = elements(resource) if resource in RESOURCES else _OTHER_COLUMNS
    columns: dict[str, Shape] = {"resourceType": TEXT, **{column.name: column.shape for column in kept}}
    values = ", ".join(f'resource."{column.name}"' for column in kept)
    with _joined_as_written(con):
        con.execute(
            f"""insert into {_table(resource)}
                select {values}, fhir_new.last_updated, $source_file, fhir_new.line, $file_id, $take_seq, $extracted_at,
                       fhir_new.row_hash
                from {source.relation(columns)} as resource
                inner join fhir_new on fhir_new.{source.key} = resource.{source.key}
                where resource."resourceType" = $resource""",
            {
                "resource": resource,
                "source_file": file.name,
                "file_id": file.file_id,
                "take_seq": file.take_seq,
                "extracted_at": extracted_at,
            },
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
