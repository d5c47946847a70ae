"""The temporary tables in which lines of FHIR resources wait: numbered, as text, and read with whatever is asked for.

`fhir_stream` is a whole file that passes by once. `fhir_text` holds the lines that have to be looked at more closely,
of one file or of many events; an ordinal tells its lines apart.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from hygiene_pipeline.landing.fhir_schemas import Shape
from hygiene_pipeline.landing.ndjson_file import BOM, Line
from hygiene_pipeline.sql_spelling import literal

# What a line is known by: the text with the newline that ends it, be it read from a file or not.
ROW_HASH = "lower(hex(hash(text)))"
_TEXT = "ordinal bigint, line bigint, file bigint, row_hash varchar, text varchar"
_BATCH_BYTES = 16 << 20


def parsed(columns: Mapping[str, Shape]) -> str:
    """An expression over `text`: the resource as a struct of these elements, or null if it is no JSON."""
    return f"try(from_json(text, {literal(json.dumps(columns))}))"


@contextmanager
def streaming(con: duckdb.DuckDBPyConnection, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[None]:
    """Have these batches pass by as `fhir_stream`, which one statement may read once."""
    con.register("fhir_stream", pa.RecordBatchReader.from_batches(schema, batches))
    try:
        yield
    finally:
        con.unregister("fhir_stream")


@contextmanager
def optimized_without(con: duckdb.DuckDBPyConnection, optimizers: str) -> Iterator[None]:
    """Keep DuckDB from these optimizations, and leave the setting as it was."""
    row = con.execute("select current_setting('disabled_optimizers')").fetchone()
    before = str(row[0]) if row else ""
    con.execute(f"set disabled_optimizers = '{optimizers}'")
    try:
        yield
    finally:
        con.execute(f"set disabled_optimizers = '{before}'")


def keep_lines(con: duckdb.DuckDBPyConnection, lines: Iterable[Line]) -> None:
    """Put numbered lines into `fhir_text`; a line that is not UTF-8 is kept as null."""
    con.execute(f"create or replace temp table fhir_text ({_TEXT})")
    add_lines(con, lines)


def add_lines(con: duckdb.DuckDBPyConnection, lines: Iterable[Line]) -> None:
    """Put more lines into `fhir_text`."""
    for batch in _batches(lines):
        con.register("fhir_batch", batch)
        con.execute(f"insert into fhir_text select ordinal, line, file, {ROW_HASH}, text from fhir_batch")
        con.unregister("fhir_batch")


def forget(con: duckdb.DuckDBPyConnection) -> None:
    """Drop the temporary tables."""
    for table in ("text", "line", "fault", "file", "page", "new", "latest", "known"):
        con.execute(f"drop table if exists temp.fhir_{table}")


def _batches(lines: Iterable[Line]) -> Iterator[pa.Table]:
    batch: list[Line] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line.text)
        if size >= _BATCH_BYTES:
            yield _table(batch)
            batch, size = [], 0
    if batch:
        yield _table(batch)


def _table(lines: Sequence[Line]) -> pa.Table:
    return pa.table(
        {
            "ordinal": pa.array([line.ordinal for line in lines], pa.int64()),
            "line": pa.array([line.line for line in lines], pa.int64()),
            "file": pa.array([line.file for line in lines], pa.int64()),
            "text": pa.array([_text(line.text) for line in lines], pa.large_string()),
        }
    )


def _text(line: bytes) -> str | None:
    try:
        return line.removeprefix(BOM).decode("utf-8") + "\n"
    except UnicodeDecodeError:
        return None
