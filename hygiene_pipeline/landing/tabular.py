"""Loads tabular extracts, set-based: CSV files of the landing folder, or a table that a CRM adapter read.

Every column is read as text with the line it stands on, then cast as a set; what cannot be used goes to quarantine with
file, line and reason, and the rest loads. Runs inside the caller's transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import duckdb
import pyarrow as pa

from hygiene_pipeline.landing.csv_records import lay_records
from hygiene_pipeline.landing.csv_text import LATIN_1, MARKS, beginning, decoded, is_utf_16
from hygiene_pipeline.landing.delivery import ColumnNames, Delivery, of_file
from hygiene_pipeline.landing.file import LandingFile, Loaded
from hygiene_pipeline.landing.headers import Found, Matched, matched
from hygiene_pipeline.landing.places import EXTRACTS
from hygiene_pipeline.landing.record_versions import create_raw_table, write_versions
from hygiene_pipeline.landing.rejects import reject, reject_rows
from hygiene_pipeline.landing.typed_records import lay_typed
from hygiene_pipeline.sql_spelling import literal

_ROW_AS_JSON = """
select row_number() over () as source_line, to_json(landing_arrow)::varchar as original
from landing_arrow"""
_BLANKS = " \t\r\n\u00a0"


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """The raw tables of every tabular extract."""
    for extract in EXTRACTS.values():
        create_raw_table(con, extract)


def load_tabular(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[LandingFile],
    *,
    extracted_at: datetime,
    timezone: str,
    mapping: Mapping[str, ColumnNames],
) -> Loaded:
    """Load CSV files, each a full extract or an addition as its place says, in the order they were taken.

    `mapping` holds the practice's own column names by place; a time without offset is in the practice's `timezone`.
    """
    create_tables(con)
    loaded = Loaded(rows=0, quarantined=0)
    for file in sorted(files, key=lambda each: each.take_seq):
        names = mapping.get(file.place, {})
        extract = EXTRACTS[file.place]
        delivery = of_file(extract, file, extracted_at=extracted_at, timezone=timezone, names=names)
        loaded += load_csv(con, delivery, file.path.read_bytes())
    return loaded


def load_rows(
    con: duckdb.DuckDBPyConnection,
    place: str,
    table: pa.Table,
    *,
    source_file: str,
    file_id: str,
    take_seq: int,
    extracted_at: datetime,
    timezone: str,
    mapping: Mapping[str, ColumnNames],
) -> Loaded:
    """Load what an adapter read, all columns text: same checks and same raw table as the CSV file it replaces."""
    extract = EXTRACTS[place]
    delivery = Delivery(
        extract=extract,
        source_file=source_file,
        file_id=file_id,
        take_seq=take_seq,
        extracted_at=extracted_at,
        timezone=timezone,
        names=mapping.get(place, {}),
    )
    create_raw_table(con, extract)
    return load_table(con, delivery, table)


def load_csv(con: duckdb.DuckDBPyConnection, delivery: Delivery, data: bytes) -> Loaded:
    """Load the bytes of one CSV file."""
    header = lay_csv(con, delivery, data)
    if isinstance(header, Loaded):
        return header
    found, quarantined = header
    return take(con, delivery, found, quarantined)


def load_table(con: duckdb.DuckDBPyConnection, delivery: Delivery, table: pa.Table) -> Loaded:
    """Load the rows of an Arrow table of text columns; a row's line is its number, from 1."""
    header = matched(delivery.extract, table.column_names, delivery.names)
    if refused := _refuse(con, delivery, header, ",".join(table.column_names)):
        return refused
    text = ", ".join(
        _text_column(each, f'"{table.column_names[each.position - 1]}"' if each.position else None)
        for each in header.found
    )
    con.register("landing_arrow", table)
    con.execute(
        f"""create or replace temp table landing_text as
            select row_number() over () as source_line, {text} from landing_arrow"""
    )
    loaded = take(con, delivery, header.found, 0, original=_ROW_AS_JSON)
    con.unregister("landing_arrow")
    return loaded


def take(
    con: duckdb.DuckDBPyConnection,
    delivery: Delivery,
    found: Sequence[Found],
    quarantined: int,
    *,
    original: str = "select source_line, original from landing_text",
) -> Loaded:
    """Type, check and write what `landing_text` holds; `original` gives the text of a line for the quarantine."""
    con.execute(f"create or replace temp view landing_original as {original}")
    quarantined += lay_typed(con, delivery, found)
    rows = write_versions(con, delivery)
    con.execute("drop view landing_original")
    con.execute("drop table landing_typed")
    con.execute("drop table landing_text")
    return Loaded(rows=rows, quarantined=quarantined)


def lay_csv(con: duckdb.DuckDBPyConnection, delivery: Delivery, data: bytes) -> tuple[tuple[Found, ...], int] | Loaded:
    """Fill `landing_text` from a CSV file; gives its columns and the lines quarantined, or how it was refused whole."""
    if is_utf_16(data):
        return Loaded(rows=0, quarantined=reject(con, delivery, "not_utf8", original=beginning(data)))
    text, has_marks = decoded(data)
    if not text.strip():
        return Loaded(rows=0, quarantined=reject(con, delivery, "empty_file"))
    lay_records(con, text)
    first = con.execute("select line, text, fields from landing_record order by line limit 1").fetchone() or (1, "", [])
    header_line, header_text, fields = first[0], first[1], first[2] or []
    header = matched(delivery.extract, fields, delivery.names)
    if refused := _refuse(con, delivery, header, header_text):
        con.execute("drop table landing_record")
        return refused
    con.execute("delete from landing_record where line <= ?", [header_line])
    bad = _reject_records(con, delivery, width=len(fields), has_marks=has_marks, is_cut=not text.endswith("\n"))
    columns = ", ".join(
        _text_column(each, f"fields[{each.position}]" if each.position else None) for each in header.found
    )
    con.execute(
        f"create or replace temp table landing_text as select line as source_line, text as original, {columns}"
        " from landing_record"
    )
    con.execute("drop table landing_record")
    return header.found, bad


def _text_column(found: Found, expression: str | None) -> str:
    value = f"nullif(trim({expression}, {literal(_BLANKS)}), '')" if expression else "cast(null as varchar)"
    return f'{value} as "{found.column.name}"'


def _refuse(con: duckdb.DuckDBPyConnection, delivery: Delivery, header: Matched, original: str) -> Loaded | None:
    """A file without a required column, or with one twice, says nothing that can be relied on: refused whole."""
    wrong, reason = (header.missing, "missing_column") if header.missing else (header.doubled, "doubled_column")
    if not wrong:
        return None
    count = reject(con, delivery, reason, line=1, field=", ".join(wrong), original=original)
    return Loaded(rows=0, quarantined=count)


def _reject_records(
    con: duckdb.DuckDBPyConnection, delivery: Delivery, *, width: int, has_marks: bool, is_cut: bool
) -> int:
    """Quarantine the records of `landing_record` that have no usable form. Surplus empty fields may pass."""
    con.execute(
        f"""alter table landing_record add column reason varchar;
            update landing_record set reason = case
              when {has_marks} and regexp_matches(text, '[{MARKS[0]}-{MARKS[-1]}]') then 'not_utf8'
              when {is_cut} and line = (select max(line) from landing_record) and coalesce(len(fields), 0) < {width}
                then 'truncated_line'
              when fields is null then 'unclosed_quote'
              when len(fields) < {width} then 'missing_fields'
              when len(list_filter(fields[{width + 1}:], lambda field: trim(field) <> '')) > 0 then 'surplus_fields'
            end"""
    )
    count = reject_rows(
        con,
        delivery,
        """select line as source_line, null as field, reason, translate(text, ?, ?) as original
           from landing_record where reason is not null""",
        [MARKS, LATIN_1],
    )
    con.execute("delete from landing_record where reason is not null")
    return count
