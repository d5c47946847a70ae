"""Loads eligibility answers in three formats (X12 271, FHIR NDJSON, CSV) into one table, `raw.pm_eligibility`.

For X12 the line of a record is the number of its first segment in the file: most files have no lines.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from hygiene_pipeline.landing.csv_text import decoded, is_utf_16
from hygiene_pipeline.landing.delivery import ColumnNames, Delivery, of_file
from hygiene_pipeline.landing.file import LandingFile, Loaded
from hygiene_pipeline.landing.headers import Found
from hygiene_pipeline.landing.places import ELIGIBILITY
from hygiene_pipeline.landing.record_versions import create_raw_table
from hygiene_pipeline.landing.rejects import reject, reject_rows
from hygiene_pipeline.landing.tabular import lay_csv, take, take_csv
from hygiene_pipeline.pm.fhir_eligibility import read_response
from hygiene_pipeline.pm.outcomes import Outcomes
from hygiene_pipeline.pm.protocol import EligibilityAnswer, Unusable
from hygiene_pipeline.pm.x12_271 import read_271

_X12 = {".271", ".edi", ".x12", ".txt"}
_FOUND = tuple(Found(column=column, position=number) for number, column in enumerate(ELIGIBILITY.columns, start=1))
_QUARANTINED = ("source_line", "field", "reason", "original")
_COLUMNS = ("source_line", "original", *(column.name for column in ELIGIBILITY.columns))
_CSV_ANSWERS = "select * replace ('csv' as source_format, 'eligibility/' || check_id as evidence_ref) from landing_csv"


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """`raw.pm_eligibility`: one row an answer."""
    create_raw_table(con, ELIGIBILITY)


def load_eligibility(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[LandingFile],
    *,
    extracted_at: datetime,
    timezone: str,
    outcomes: Outcomes,
    mapping: Mapping[str, ColumnNames] | None = None,
) -> Loaded:
    """Load answers by file ending; X12 times, and others without offset, are in the practice's `timezone`.

    `outcomes` says what a payer's codes mean.
    """
    create_tables(con)
    names = (mapping or {}).get(ELIGIBILITY.place, {})
    loaded = Loaded(rows=0, quarantined=0)
    for file in sorted(files, key=lambda each: each.take_seq):
        delivery = of_file(ELIGIBILITY, file, extracted_at=extracted_at, timezone=timezone, names=names)
        loaded += _load_file(con, delivery, file.path.suffix.lower(), file.path.read_bytes(), outcomes)
    return loaded


def _load_file(
    con: duckdb.DuckDBPyConnection, delivery: Delivery, suffix: str, data: bytes, outcomes: Outcomes
) -> Loaded:
    if suffix == ".csv":
        return _load_csv(con, delivery, data)
    if suffix not in (*_X12, ".ndjson"):
        return Loaded(rows=0, quarantined=reject(con, delivery, "unknown_format"))
    text = _text(data)
    if not text.strip():
        return Loaded(rows=0, quarantined=reject(con, delivery, "empty_file"))
    zone = ZoneInfo(delivery.timezone)
    if suffix == ".ndjson":
        return _load_answers(con, delivery, _read_fhir(text, zone, outcomes))
    return _load_answers(con, delivery, read_271(text, outcomes=outcomes, timezone=zone))


def _text(data: bytes) -> str:
    """X12 is read in any encoding: all that matters of it is ASCII."""
    if is_utf_16(data):
        return data.decode("utf-16", "replace")
    text, has_marks = decoded(data)
    return data.decode("latin-1") if has_marks else text


def _read_fhir(text: str, zone: ZoneInfo, outcomes: Outcomes) -> Iterator[EligibilityAnswer | Unusable]:
    for line, original in enumerate(text.split("\n"), start=1):
        if not original.strip():
            continue
        try:
            resource = json.loads(original)
        except (ValueError, RecursionError):
            yield Unusable(position=line, reason="not_json", original=original)
            continue
        yield read_response(resource, position=line, original=original, outcomes=outcomes, timezone=zone)


def _load_answers(
    con: duckdb.DuckDBPyConnection, delivery: Delivery, read: Iterator[EligibilityAnswer | Unusable]
) -> Loaded:
    rows: list[dict[str, object]] = []
    unusable: list[dict[str, object]] = []
    for each in read:
        row = dict(vars(each))
        row["source_line"] = row.pop("position")
        if isinstance(each, Unusable):
            unusable.append(row)
        else:
            rows.append({**row, "original": json.dumps(row)})
    with _registered(con, unusable, _QUARANTINED):
        quarantined = reject_rows(con, delivery, "select source_line, field, reason, original from landing_arrow")
    with _registered(con, rows, _COLUMNS):
        con.execute("create or replace temp table landing_answer as from landing_arrow")
    con.execute("create or replace temp view landing_text as from landing_answer")
    loaded = take(con, delivery, _FOUND, quarantined)
    con.execute("drop table landing_answer")
    return loaded


@contextmanager
def _registered(
    con: duckdb.DuckDBPyConnection, rows: list[dict[str, object]], columns: Sequence[str]
) -> Iterator[None]:
    schema = pa.schema([(name, pa.int64() if name == "source_line" else pa.string()) for name in columns])
    con.register("landing_arrow", pa.Table.from_pylist(rows, schema=schema))
    try:
        yield
    finally:
        con.unregister("landing_arrow")


def _load_csv(con: duckdb.DuckDBPyConnection, delivery: Delivery, data: bytes) -> Loaded:
    laid = lay_csv(con, delivery, data)
    if isinstance(laid, Loaded):
        return laid
    return take_csv(con, delivery, *laid, records=_CSV_ANSWERS)
