"""The narrow table `fhir_line`: for each line of a file its type, id, version, hash, and what the screen says of it.

Its `ordinal` is the line's. The elements themselves are not kept here; they are read once more, typed, and
only for the types that have something new.
"""

import json
from collections.abc import Callable, Iterable
from datetime import date

import duckdb
import pyarrow as pa

from hygiene_pipeline.landing.fhir_schemas import ALWAYS, RESOURCES, Shape, elements
from hygiene_pipeline.landing.fhir_screen import fault, is_suspicious
from hygiene_pipeline.landing.fhir_source import DirectSource, Source, keep_lines
from hygiene_pipeline.landing.ndjson_file import NdjsonFile

_SAMPLE = 1 << 20
# The reader refuses a line of 16 MiB; a block of lines is never shorter than its longest line.
_LONGEST_LINE = 15 << 20
_PROBES = 32


def screen_file(con: duckdb.DuckDBPyConnection, file: NdjsonFile, today: date, sample_share: float) -> Source:
    """Fill `fhir_line` and `fhir_number` from a file, by the fastest way the file allows."""
    guessed = file.likely_types() & RESOURCES.keys()
    lines = file.count(may_be_blank=False)
    # It is not tried out whether the reader takes the file, because an error would end the caller's transaction.
    if _is_plain(file):
        source = DirectSource(path=file.path, is_gzip=file.is_gzip)
        rows = screen_source(con, source, guessed, today, sample_share)
        if (rows == lines or rows == file.count()) and _is_in_order(con, file, rows):
            _number(con, file)
            return source
    file.count()
    text = keep_lines(con, file.lines())
    screen_source(con, text, guessed, today, sample_share)
    return text


def screen_source(
    con: duckdb.DuckDBPyConnection, source: Source, guessed: Iterable[str], today: date, sample_share: float
) -> int:
    """Fill `fhir_line`, again if there are types that nobody had guessed; how many lines there are."""
    _screen(con, source, set(guessed), today, sample_share)
    missed = {name for name in resource_types(con) if name in RESOURCES} - set(guessed)
    if missed:
        _screen(con, source, missed | set(guessed), today, sample_share)
    row = con.execute("select count(*) from fhir_line").fetchone()
    return int(row[0]) if row else 0


def resource_types(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The resource types that the lines name, known or not."""
    found = con.execute("select distinct resource_type from fhir_line where resource_type is not null order by 1")
    return [str(row[0]) for row in found.fetchall()]


def _is_plain(file: NdjsonFile) -> bool:
    is_pattern = any(sign in str(file.path) for sign in "*?[")
    return not (is_pattern or file.is_cut_off or file.starts_with_bom or file.longest_block > _LONGEST_LINE)


def _is_in_order(con: duckdb.DuckDBPyConnection, file: NdjsonFile, rows: int) -> bool:
    """Whether some lines spread over the file are where DuckDB's reader says that they are."""
    probes = sorted({index * max(rows - 1, 0) // _PROBES for index in range(_PROBES + 1)} if rows else ())
    # By row id, so that a few rows are read and not all.
    first = con.execute("select min(rowid) from fhir_screened").fetchone() or (0,)
    row_ids = ", ".join(str(first[0] + ordinal) for ordinal in probes) or "null"
    found = con.execute(
        f"select rowid - {first[0] or 0}, id from fhir_screened where rowid in ({row_ids}) and given_ordinal is null"
    ).fetchall()
    ids = {int(ordinal): own_id for ordinal, own_id in found if own_id is not None}
    return all(
        json.dumps(ids[line.ordinal], ensure_ascii=False).encode() in line.text
        for line in file.lines(probes)
        if line.ordinal in ids
    )


def _number(con: duckdb.DuckDBPyConnection, file: NdjsonFile) -> None:
    """Keep line numbers only if they do not follow from the order."""
    con.execute("create or replace temp table fhir_number (ordinal bigint, line bigint, file bigint)")
    numbers = file.line_numbers()
    if numbers is not None:
        con.register("fhir_numbers", pa.table({"line": numbers}))
        con.execute("insert into fhir_number select row_number() over () - 1, line, 0 from fhir_numbers")
        con.unregister("fhir_numbers")


def _screen(con: duckdb.DuckDBPyConnection, source: Source, types: set[str], today: date, sample_share: float) -> None:
    known = sorted(types)
    names = ["resourceType", *(element.name for element in ALWAYS)]
    names += [element.name for resource in known for element in elements(resource)]
    columns: dict[str, Shape] = dict.fromkeys(names, "JSON")
    con.execute(
        f"""create or replace temp table fhir_screened as
            select {source.ordinal} as given_ordinal,
                   case when starts_with("resourceType", '"') then "resourceType" ->> '$' end as resource_type,
                   id ->> '$' as id,
                   try_cast(meta ->> '$.lastUpdated' as timestamptz) as last_updated,
                   lower(hex({_by_type(known, _hash, 'hash("resourceType", id, meta)')})) as row_hash,
                   {_by_type(known, lambda resource: fault(resource, today), "null")} as fault,
                   {_by_type(known, is_suspicious, "false")} as is_suspicious,
                   hash(id, meta) % {_SAMPLE} < {int(sample_share * _SAMPLE)} as is_sampled
            from {source.relation(columns)} as p"""
    )
    # Row ids follow the order of lines, but inside a transaction they start from somewhere high.
    con.execute(
        """create or replace temp view fhir_line as
           select coalesce(given_ordinal, rowid - (select min(rowid) from fhir_screened)) as ordinal, *
           from fhir_screened"""
    )


def _hash(resource: str) -> str:
    return "hash(" + ", ".join(f'p."{element.name}"' for element in elements(resource)) + ")"


def _by_type(resources: list[str], expression: Callable[[str], str], otherwise: str) -> str:
    if not resources:
        return otherwise
    cases = " ".join(f"when '\"{resource}\"' then {expression(resource)}" for resource in resources)
    return f'case p."resourceType" {cases} else {otherwise} end'
