"""Loads eligibility answers in three formats (X12 271, FHIR NDJSON, CSV) into one table, `raw.pm_eligibility`.

For X12 the line of a record is the number of its first segment in the file: most files have no lines.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from hygiene_pipeline.landing.answer_files import Answers, answers_of, has_answers
from hygiene_pipeline.landing.delivery import ColumnNames, Delivery, of_file
from hygiene_pipeline.landing.file import LandingFile, Loaded
from hygiene_pipeline.landing.headers import Found
from hygiene_pipeline.landing.places import ELIGIBILITY
from hygiene_pipeline.landing.record_versions import create_raw_table
from hygiene_pipeline.landing.rejects import reject, reject_rows
from hygiene_pipeline.landing.tabular import lay_csv, take, take_csv
from hygiene_pipeline.pm.outcomes import Outcomes

_FOUND = tuple(Found(column=column, position=number) for number, column in enumerate(ELIGIBILITY.columns, start=1))
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
    ordered = sorted(files, key=lambda each: each.take_seq)
    with answers_of([file.path for file in ordered], outcomes=outcomes, timezone=timezone) as answers:
        for file in ordered:
            delivery = of_file(ELIGIBILITY, file, extracted_at=extracted_at, timezone=timezone, names=names)
            loaded += _load_file(con, delivery, file.path, answers)
    return loaded


def _load_file(
    con: duckdb.DuckDBPyConnection, delivery: Delivery, path: Path, answers: Iterator[Answers | None]
) -> Loaded:
    if path.suffix.lower() == ".csv":
        return _load_csv(con, delivery, path.read_bytes())
    if not has_answers(path):
        return Loaded(rows=0, quarantined=reject(con, delivery, "unknown_format"))
    read = next(answers)
    if read is None:
        return Loaded(rows=0, quarantined=reject(con, delivery, "empty_file"))
    with _registered(con, read.unusable):
        quarantined = reject_rows(con, delivery, "select source_line, field, reason, original from landing_arrow")
    with _registered(con, read.usable):
        con.execute("create or replace temp table landing_answer as from landing_arrow")
    con.execute("create or replace temp view landing_text as from landing_answer")
    loaded = take(con, delivery, _FOUND, quarantined)
    con.execute("drop table landing_answer")
    return loaded


@contextmanager
def _registered(con: duckdb.DuckDBPyConnection, table: pa.Table) -> Iterator[None]:
    con.register("landing_arrow", table)
    try:
        yield
    finally:
        con.unregister("landing_arrow")


def _load_csv(con: duckdb.DuckDBPyConnection, delivery: Delivery, data: bytes) -> Loaded:
    laid = lay_csv(con, delivery, data)
    if isinstance(laid, Loaded):
        return laid
    return take_csv(con, delivery, *laid, records=_CSV_ANSWERS)
