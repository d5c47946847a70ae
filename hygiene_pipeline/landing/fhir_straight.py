"""The straight way of a first export: a file of one resource type, line by line, typed, into an empty raw table.

It takes only the lines that are plainly sound, as they stream by, in one statement: nothing of them is kept beside the
raw table, and nothing is read twice. What it leaves is for the closer look.
"""

from datetime import datetime
from itertools import chain

import duckdb
import pyarrow as pa

from hygiene_pipeline.landing import fhir_verdict
from hygiene_pipeline.landing.fhir_odd_text import MARKED, marked
from hygiene_pipeline.landing.fhir_plain import is_plain, read_as
from hygiene_pipeline.landing.fhir_schemas import elements, table_name
from hygiene_pipeline.landing.fhir_source import ROW_HASH, optimized_without, parsed, streaming
from hygiene_pipeline.landing.file import LandingFile
from hygiene_pipeline.landing.ndjson_file import NdjsonFile
from hygiene_pipeline.sql_spelling import literal

_TRIED = 2_000


def append_plain(
    con: duckdb.DuckDBPyConnection, resource: str, ndjson: NdjsonFile, file: LandingFile, *, extracted_at: datetime
) -> int:
    """Append every plainly sound line, also a repeated one; how many, or none at all if few of the first lines are.

    To have tried it out also spares the table a statement that puts nothing into it: DuckDB would lose the next one.
    """
    batches = marked(resource, ndjson.batches())
    first = next(batches, None)
    if first is None or not _mostly_plain(con, resource, first.slice(0, _TRIED), extracted_at):
        return 0
    columns = ", ".join(f'x."{element.name}"' for element in elements(resource))
    with streaming(con, chain([first], batches), MARKED), optimized_without(con, "filter_pushdown"):
        row = con.execute(
            f"""insert into {table_name(resource)}
                select {columns}, try_cast(x.meta."lastUpdated" as timestamptz), $source_file, line, $file_id,
                       $take_seq, $extracted_at, {ROW_HASH}
                from {_plain_lines(resource, extracted_at)}""",
            {
                "source_file": file.name,
                "file_id": file.file_id,
                "take_seq": file.take_seq,
                "extracted_at": extracted_at,
            },
        ).fetchone()
    return int(row[0]) if row else 0


def sample(con: duckdb.DuckDBPyConnection, resource: str, file: LandingFile, share: float) -> set[int]:
    """The lines taken straight that fall into the sample."""
    return fhir_verdict.sample(con, _taken(resource, file), share)


def lines_left(con: duckdb.DuckDBPyConnection, resource: str, ndjson: NdjsonFile, file: LandingFile) -> list[int]:
    """The numbers of the lines that were not taken straight, in order."""
    con.register("fhir_numbers", ndjson.numbers())
    found = con.execute(
        f"select line from fhir_numbers where line not in (select line from {_taken(resource, file)}) order by line"
    ).fetchall()
    con.unregister("fhir_numbers")
    return [int(row[0]) for row in found]


def _taken(resource: str, file: LandingFile) -> str:
    """The lines of the file that are in the raw table, as a relation."""
    return f"""(select source_line as line, row_hash from {table_name(resource)}
                where take_seq = {file.take_seq} and file_id = {literal(file.file_id)}
                    and source_file = {literal(file.name)})"""


def _mostly_plain(con: duckdb.DuckDBPyConnection, resource: str, batch: pa.RecordBatch, at: datetime) -> bool:
    with streaming(con, iter([batch]), MARKED), optimized_without(con, "filter_pushdown"):
        row = con.execute(f"select count(*) from {_plain_lines(resource, at)}").fetchone()
    return row is not None and 2 * int(row[0]) > batch.num_rows


def _plain_lines(resource: str, at: datetime) -> str:
    # The filter stays above the parsing: pushed below it, every line would be parsed once for it and once for the rest.
    return f"""(select *, {parsed(read_as(resource))} as x from fhir_stream)
               where {is_plain(resource, at.date())}"""
