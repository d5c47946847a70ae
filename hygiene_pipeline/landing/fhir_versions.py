"""The raw FHIR tables: a log of resource versions. A resource that an export no longer holds is not removed by that.

A row is added only if the elements kept of the resource differ from the latest stored version of the same id, and from
the version before it in the same file: exports repeat resources, and some repeat ids.
"""

from dataclasses import dataclass
from datetime import datetime

import duckdb

from hygiene_pipeline.landing.fhir_schemas import ALWAYS, RESOURCES, Element, elements, table_name
from hygiene_pipeline.landing.file import LandingFile

# Resources of R4 that nothing here reads: that they came is recorded, their content stays in the landing file.
OTHER = "raw.fhir_other"
_PROVENANCE = """source_file varchar, source_line bigint, file_id varchar, take_seq bigint, extracted_at timestamptz,
                 row_hash varchar"""


@dataclass(frozen=True, kw_only=True)
class _Table:
    name: str
    columns: tuple[Element, ...]

    @property
    def key(self) -> str:
        return '"resourceType", id' if self.name == OTHER else "id"

    @property
    def row_hash(self) -> str:
        return "lower(hex(hash(" + ", ".join(f'p."{column.name}"' for column in self.columns) + ")))"


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """One raw table a resource type, and one for the types that nothing reads."""
    for table in (*(_table(resource) for resource in RESOURCES), _other()):
        columns = ", ".join(f'"{column.name}" {column.duckdb_type}' for column in table.columns)
        con.execute(f"create table if not exists {table.name} ({columns}, last_updated timestamptz, {_PROVENANCE})")


def append_versions(con: duckdb.DuckDBPyConnection, resource: str, file: LandingFile, *, extracted_at: datetime) -> int:
    """Add the page's new versions of one resource type, leaving out the lines in `fhir_fault`; how many were added."""
    table = _table(resource) if resource in RESOURCES else _other()
    con.execute(_new_versions(table), {"resource": f'"{resource}"'})
    values = ", ".join(f'{_typed(column)} as "{column.name}"' for column in table.columns)
    row = con.execute(
        f"""insert into {table.name}
            select {values}, {_LAST_UPDATED}, $source_file, coalesce(page_line.line, p.rowid + 1), $file_id, $take_seq,
                   $extracted_at, {table.row_hash}
            from fhir_page as p
            left join fhir_page_line as page_line on page_line.ordinal = p.rowid
            where p.rowid in (select ordinal from fhir_new)""",
        {
            "source_file": file.name,
            "file_id": file.file_id,
            "take_seq": file.take_seq,
            "extracted_at": extracted_at,
        },
    ).fetchone()
    con.execute("drop table fhir_new")
    return int(row[0]) if row else 0


_LAST_UPDATED = "try_cast(p.meta ->> '$.lastUpdated' as timestamptz)"


def _new_versions(table: _Table) -> str:
    return f"""
        create or replace temp table fhir_new as
        with arriving as (
            select p.rowid as ordinal, p."resourceType" ->> '$' as "resourceType", p.id ->> '$' as id,
                   {_LAST_UPDATED} as last_updated, {table.row_hash} as row_hash
            from fhir_page as p
            where p."resourceType" = $resource and p.rowid not in (select ordinal from fhir_fault)
        ),
        stored as (
            select {table.key}, arg_max(row_hash, row(extracted_at, take_seq, last_updated, source_line)) as row_hash
            from {table.name}
            where id in (select id from arriving)
            group by {table.key}
        ),
        in_order as (
            select ordinal, {table.key}, row_hash,
                   lag(row_hash) over (partition by id order by last_updated nulls first, ordinal) as row_hash_before
            from arriving
        )
        select in_order.ordinal
        from in_order
        left join stored using ({table.key})
        where in_order.row_hash is distinct from coalesce(in_order.row_hash_before, stored.row_hash)"""


def _typed(column: Element) -> str:
    json_text = f'p."{column.name}"'
    if column.kind in ("object", "list"):
        return f"from_json({json_text}, '{column.json_structure}')"
    if column.kind == "boolean":
        return f"cast({json_text} as boolean)"
    return f"{json_text} ->> '$'"


def _table(resource: str) -> _Table:
    return _Table(name=table_name(resource), columns=elements(resource))


def _other() -> _Table:
    return _Table(name=OTHER, columns=(Element(name="resourceType", kind="code"), *ALWAYS))
