"""Loads what patients answered to our messages (NDJSON) into `raw.replies`, set-based."""

from collections.abc import Sequence
from datetime import datetime

import duckdb

from hygiene_pipeline.landing.csv_text import LATIN_1, MARKS, decoded
from hygiene_pipeline.landing.delivery import Delivery, of_file
from hygiene_pipeline.landing.file import LandingFile, Loaded
from hygiene_pipeline.landing.headers import Found
from hygiene_pipeline.landing.places import REPLIES
from hygiene_pipeline.landing.record_versions import create_raw_table
from hygiene_pipeline.landing.rejects import reject_rows
from hygiene_pipeline.landing.tabular import take

_FOUND = tuple(Found(column=column, position=number) for number, column in enumerate(REPLIES.columns, start=1))

_STOPS = [
    word
    for column in REPLIES.columns
    if column.name == "kind"
    for word, kind in (column.codes or {}).items()
    if kind == "stop"
]


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """`raw.replies`: one row a reply."""
    create_raw_table(con, REPLIES)


def load_replies(con: duckdb.DuckDBPyConnection, files: Sequence[LandingFile], *, extracted_at: datetime) -> Loaded:
    """Load replies, a JSON object a line; a time without offset is UTC, as message services give it."""
    create_tables(con)
    loaded = Loaded(rows=0, quarantined=0)
    for file in sorted(files, key=lambda each: each.take_seq):
        delivery = of_file(REPLIES, file, extracted_at=extracted_at, timezone="UTC", names={})
        quarantined = _lay_replies(con, delivery, file.path.read_bytes())
        con.execute("create or replace temp view landing_text as from landing_reply")
        loaded += take(con, delivery, _FOUND, quarantined)
        con.execute("drop table landing_reply")
    return loaded


def _lay_replies(con: duckdb.DuckDBPyConnection, delivery: Delivery, data: bytes) -> int:
    """Fill `landing_reply` from NDJSON; returns how many lines went to quarantine."""
    text, has_marks = decoded(data)
    columns = ", ".join(
        f"""nullif(trim(json_extract_string(record, '$.{column.name}')), '') as "{column.name}" """
        for column in REPLIES.columns
    )
    con.execute(
        """create or replace temp table landing_line as
           with lines as (select string_split($text, chr(10)) as texts),
           numbered as (select unnest(texts) as text, generate_subscripts(texts, 1) as line from lines)
           select line, text, case when json_valid(text) then text::json end as record
           from numbered where trim(text, ' \t') <> ''""",
        {"text": text},
    )
    is_marked = f"{has_marks} and regexp_matches(text, '[{MARKS[0]}-{MARKS[-1]}]')"
    unusable = f"(record is null or json_type(record) <> 'OBJECT' or ({is_marked}))"
    quarantined = reject_rows(
        con,
        delivery,
        f"""select line as source_line, null as field, translate(text, ?, ?) as original,
              case when {is_marked} then 'not_utf8' else 'not_json' end as reason
            from landing_line where {unusable}""",
        [MARKS, LATIN_1],
    )
    con.execute(
        f"""create or replace temp table landing_reply as
            select line as source_line, text as original, {columns} from landing_line where not {unusable}"""
    )
    con.execute("drop table landing_line")
    return quarantined + _date_stops(con, delivery)


def _date_stops(con: duckdb.DuckDBPyConnection, delivery: Delivery) -> int:
    """A stop counts from when it was taken if its own time cannot be read; the time itself goes to quarantine."""
    undated = "list_contains(?, lower(kind)) and try_cast(received_at as timestamptz) is null"
    quarantined = reject_rows(
        con,
        delivery,
        f"""select source_line, 'received_at' as field, original,
              case when received_at is null then 'missing_key' else 'bad_timestamp' end as reason
            from landing_reply where {undated}""",
        [_STOPS],
    )
    taken_at = delivery.extracted_at.isoformat()
    con.execute(f"update landing_reply set received_at = ? where {undated}", [taken_at, _STOPS])
    return quarantined
