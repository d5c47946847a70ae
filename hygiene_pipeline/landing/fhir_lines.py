"""The lines that get a closer look: which of a file's they are, and the narrow table `fhir_line` of what is found.

A line is passed over if, byte for byte, it is the one that the latest stored version of its resource came from: of an
export that repeats what is known, which is most of a nightly one, no JSON is read.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date

import duckdb

from hygiene_pipeline.landing.fhir_schemas import ALWAYS, RESOURCES, Shape, elements, table_name
from hygiene_pipeline.landing.fhir_screen import fault, is_suspicious
from hygiene_pipeline.landing.fhir_source import ROW_HASH, add_lines, parsed, streaming
from hygiene_pipeline.landing.ndjson_file import SCHEMA, NdjsonFile

LATEST = "row(extracted_at, take_seq, last_updated is not null, last_updated, source_line)"
"""Of the versions of one id the one with the greatest of these is the latest."""


def keep_changed(con: duckdb.DuckDBPyConnection, file: NdjsonFile, types: Iterable[str]) -> None:
    """Put the lines of a file that are not known already into `fhir_text`, and the others into `fhir_known`."""
    latest = " union all ".join(
        f"""select '{resource}' as resource_type, id, arg_max(row_hash, {LATEST}) as row_hash
            from {table_name(resource)} group by id"""
        for resource in sorted(types)
    )
    nothing = "select null::varchar as resource_type, null::varchar as id, null::varchar as row_hash limit 0"
    con.execute(f"create or replace temp table fhir_latest as {latest or nothing}")
    with streaming(con, file.batches(), SCHEMA):
        con.execute(
            f"""create or replace temp table fhir_text as
                select line as ordinal, line, 0::bigint as file, row_hash, case when not is_known then text end as text,
                       is_known
                from (select *, coalesce(row_hash in (select row_hash from fhir_latest), false) as is_known
                      from (select line, text, {ROW_HASH} as row_hash from fhir_stream))"""
        )
    con.execute("create or replace temp table fhir_known as select line, row_hash from fhir_text where is_known")
    con.execute("delete from fhir_text where is_known")
    con.execute("alter table fhir_text drop column is_known")


def look_again(con: duckdb.DuckDBPyConnection, file: NdjsonFile) -> bool:
    """Take known lines back whose resource comes in the file in another version too; whether there were any.

    Which of the two is the later one, and so whether there is a new version, only both of them tell.
    """
    found = con.execute(
        """select fhir_known.line
           from fhir_known
           inner join fhir_latest on fhir_latest.row_hash = fhir_known.row_hash
           inner join (select distinct resource_type, id from fhir_line) as arriving
               on arriving.resource_type = fhir_latest.resource_type and arriving.id = fhir_latest.id
           order by fhir_known.line"""
    ).fetchall()
    wanted = sorted({int(row[0]) for row in found})
    if wanted:
        add_lines(con, file.lines(wanted))
    return bool(wanted)


def screen(con: duckdb.DuckDBPyConnection, guessed: Iterable[str], today: date) -> None:
    """Fill `fhir_line` from `fhir_text`, again if there are types that nobody had guessed."""
    if con.execute("select 1 from fhir_text limit 1").fetchone() is None:
        guessed = ()
    _screen(con, set(guessed), today)
    missed = {name for name in resource_types(con) if name in RESOURCES} - set(guessed)
    if missed:
        _screen(con, missed | set(guessed), today)


def resource_types(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The resource types that the lines name, known or not."""
    found = con.execute("select distinct resource_type from fhir_line where resource_type is not null order by 1")
    return [str(row[0]) for row in found.fetchall()]


def _screen(con: duckdb.DuckDBPyConnection, types: set[str], today: date) -> None:
    known = sorted(types)
    names = ["resourceType", *(element.name for element in ALWAYS)]
    names += [element.name for resource in known for element in elements(resource)]
    columns: Mapping[str, Shape] = dict.fromkeys(names, "JSON")
    values = ", ".join(f'x."{name}"' for name in columns)
    con.execute(
        f"""create or replace temp table fhir_line as
            select ordinal, line, file, row_hash,
                   case when starts_with("resourceType", '"') then "resourceType" ->> '$' end as resource_type,
                   id ->> '$' as id,
                   try_cast(meta ->> '$.lastUpdated' as timestamptz) as last_updated,
                   {_by_type(known, lambda resource: fault(resource, today), "null")} as fault,
                   {_by_type(known, is_suspicious, "false")} as is_suspicious
            from (select ordinal, line, file, row_hash, {values}
                  from (select *, {parsed(columns)} as x from fhir_text)) as p"""
    )


def _by_type(resources: list[str], expression: Callable[[str], str], otherwise: str) -> str:
    if not resources:
        return otherwise
    cases = " ".join(f"when '\"{resource}\"' then {expression(resource)}" for resource in resources)
    return f'case p."resourceType" {cases} else {otherwise} end'
