"""Loads tabular extracts, set-based: CSV files of the landing folder, or a table that a CRM adapter read.

Every column is read as text with the line it stands on, then cast as a set; what cannot be used goes to quarantine with
file, line and reason, and the rest loads. The texts stay in memory, outside DuckDB: of a full list nearly all is known
already, and only what is new is ever stored. Runs inside the caller's transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import duckdb
import pyarrow as pa

from hygiene_pipeline.landing.csv_lines import BLANKS, Lines, column, in_batches, numbered, split, told_apart, trimmed
from hygiene_pipeline.landing.csv_records import add_records, lay_records
from hygiene_pipeline.landing.csv_text import LATIN_1, MARKS, beginning, decoded, is_utf_16
from hygiene_pipeline.landing.delivery import ColumnNames, Delivery, of_file
from hygiene_pipeline.landing.file import LandingFile, Loaded
from hygiene_pipeline.landing.headers import Found, Matched, matched
from hygiene_pipeline.landing.places import EXTRACTS
from hygiene_pipeline.landing.record_versions import create_raw_table, lay_known, write_versions
from hygiene_pipeline.landing.rejects import reject, reject_rows
from hygiene_pipeline.landing.typed_records import lay_typed
from hygiene_pipeline.sql_spelling import literal

_ROW_AS_JSON = """
select row_number() over () as source_line, to_json(landing_arrow)::varchar as original
from landing_arrow"""


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
    is_whole: bool = True,
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
        is_whole=is_whole,
    )
    create_raw_table(con, extract)
    return load_table(con, delivery, table)


def load_csv(con: duckdb.DuckDBPyConnection, delivery: Delivery, data: bytes) -> Loaded:
    """Load the bytes of one CSV file."""
    header = lay_csv(con, delivery, data)
    if isinstance(header, Loaded):
        return header
    return take_csv(con, delivery, *header)


def load_table(con: duckdb.DuckDBPyConnection, delivery: Delivery, table: pa.Table) -> Loaded:
    """Load the rows of an Arrow table of text columns; a row's line is its number, from 1."""
    header = matched(delivery.extract, table.column_names, delivery.names)
    if refused := _refuse(con, delivery, header, ",".join(table.column_names)):
        return refused
    texts = {each.position: trimmed(table.column(each.position - 1)) for each in header.found if each.position}
    _register(con, header.found, texts, {"lines_above": pa.chunked_array([numbered(table.num_rows)])})
    con.register("landing_arrow", table)
    con.execute(f"create or replace temp view landing_text as {_plain(header.found)}")
    loaded = take(con, delivery, header.found, 0, original=_ROW_AS_JSON)
    con.unregister("landing_plain")
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
    """Type, check and write what the view `landing_text` shows; `original` gives a line's text for the quarantine."""
    con.execute(f"create or replace temp view landing_original as {original}")
    lay_known(con, delivery)
    quarantined += lay_typed(con, delivery, found)
    rows = write_versions(con, delivery)
    con.execute("drop table landing_typed; drop table landing_known")
    con.execute("drop view landing_original; drop view landing_text")
    return Loaded(rows=rows, quarantined=quarantined)


def take_csv(
    con: duckdb.DuckDBPyConnection,
    delivery: Delivery,
    found: Sequence[Found],
    quarantined: int,
    *,
    records: str = "from landing_csv",
) -> Loaded:
    """Type, check and write what `lay_csv` laid out, as the query `records` shows it."""
    con.execute(f"create or replace temp view landing_text as {records}")
    loaded = take(con, delivery, found, quarantined)
    con.execute("drop view landing_csv; drop table landing_record")
    con.unregister("landing_plain")
    return loaded


def lay_csv(con: duckdb.DuckDBPyConnection, delivery: Delivery, data: bytes) -> tuple[tuple[Found, ...], int] | Loaded:
    """Show a CSV file as `landing_csv`; gives its columns and the lines quarantined, or how it was refused whole."""
    if is_utf_16(data):
        return Loaded(rows=0, quarantined=reject(con, delivery, "not_utf8", original=beginning(data)))
    text, has_marks = decoded(data)
    if not text.strip():
        return Loaded(rows=0, quarantined=reject(con, delivery, "empty_file"))
    lines = told_apart(text, has_marks=has_marks)
    lay_records(con, lines.quoted)
    first = con.execute("select line, text, fields from landing_record order by line limit 1").fetchone() or (1, "", [])
    header_line, header_text, fields = first[0], first[1], first[2] or []
    header = matched(delivery.extract, fields, delivery.names)
    if refused := _refuse(con, delivery, header, header_text):
        con.execute("drop table landing_record")
        return refused
    con.execute("delete from landing_record where line <= ?", [header_line])
    last = _lay_plain(con, header.found, lines, width=len(fields))
    is_cut = not text.endswith("\n")
    bad = _reject_records(con, delivery, width=len(fields), has_marks=has_marks, cut_after=last if is_cut else None)
    _show(con, header.found)
    return header.found, bad


def _show(con: duckdb.DuckDBPyConnection, found: Sequence[Found]) -> None:
    """Make the view `landing_csv` of the plain lines, and of the other records if there are any."""
    query = _plain(found, "original")
    if con.execute("select 1 from landing_record limit 1").fetchone():
        columns = ", ".join(_text_column(each, f"fields[{each.position}]" if each.position else None) for each in found)
        query += f" union all select line as source_line, {columns}, text as original from landing_record"
    con.execute(f"create or replace temp view landing_csv as {query}")


def _lay_plain(con: duckdb.DuckDBPyConnection, found: Sequence[Found], lines: Lines, *, width: int) -> int:
    """Register the plain lines of the header's width, and leave the others to `landing_record`; returns the last."""
    plain, others = split(lines.plain, width=width)
    texts = {each.position: trimmed(column(plain["fields"], each.position)) for each in found if each.position}
    _register(con, found, texts, {"lines_above": plain["lines_above"], "original": plain["text"]})
    if others.num_rows:
        add_records(con, others)
    return plain["lines_above"][-1].as_py() + 1 if plain.num_rows else 0


def _register(
    con: duckdb.DuckDBPyConnection,
    found: Sequence[Found],
    texts: Mapping[int, pa.ChunkedArray],
    beside: Mapping[str, pa.ChunkedArray],
) -> None:
    """Make `landing_plain`, whose columns are called as ours."""
    named = {each.column.name: texts[each.position] for each in found if each.position}
    con.register("landing_plain", in_batches(pa.table({**beside, **named})))


def _plain(found: Sequence[Found], *beside: str) -> str:
    """The query of every column of ours; one that the extract lacks is null.

    The line is an expression, as no filter of a join may reach into the Arrow scan: it refuses some kinds of them.
    """
    columns = [f'"{each.column.name}"' if each.position else _text_column(each, None) for each in found]
    return f"select {', '.join(['lines_above + 1 as source_line', *columns, *beside])} from landing_plain"


def _text_column(found: Found, expression: str | None) -> str:
    value = f"nullif(trim({expression}, {literal(BLANKS)}), '')" if expression else "cast(null as varchar)"
    return f'{value} as "{found.column.name}"'


def _refuse(con: duckdb.DuckDBPyConnection, delivery: Delivery, header: Matched, original: str) -> Loaded | None:
    """A file without a required column, or with one twice, says nothing that can be relied on: refused whole."""
    wrong, reason = (header.missing, "missing_column") if header.missing else (header.doubled, "doubled_column")
    if not wrong:
        return None
    count = reject(con, delivery, reason, line=1, field=", ".join(wrong), original=original)
    return Loaded(rows=0, quarantined=count)


def _reject_records(
    con: duckdb.DuckDBPyConnection, delivery: Delivery, *, width: int, has_marks: bool, cut_after: int | None
) -> int:
    """Quarantine the records of `landing_record` that have no usable form. Surplus empty fields may pass.

    With `cut_after`, the last plain line, the file's last record may be cut off, if it comes after that.
    """
    last = "false" if cut_after is None else f"line > {cut_after} and line = (select max(line) from landing_record)"
    con.execute(
        f"""alter table landing_record add column reason varchar;
            update landing_record set reason = case
              when {has_marks} and regexp_matches(text, '[{MARKS[0]}-{MARKS[-1]}]') then 'not_utf8'
              when {last} and coalesce(len(fields), 0) < {width} then 'truncated_line'
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
