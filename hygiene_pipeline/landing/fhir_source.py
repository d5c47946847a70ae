"""One file of FHIR resources as a relation that DuckDB reads with whatever columns are asked for.

`DirectSource` is DuckDB's own NDJSON reader over the file, as fast as it gets. `TextSource` reads the same from the
lines in the temporary view `fhir_text`: for what that reader cannot take (a byte-order mark, a cut-off gzip file, a
line of more than 15 MB), for files of many types or repeated ids, and for resources that came in an event.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from hygiene_pipeline.landing.fhir_schemas import Shape, duckdb_type
from hygiene_pipeline.landing.ndjson_file import BOM, Line
from hygiene_pipeline.sql_spelling import literal

_BATCH_BYTES = 16 << 20


@dataclass(frozen=True, kw_only=True)
class DirectSource:
    """The file itself; a line that is no JSON object gives a row of nulls, so rows keep the order of lines."""

    path: Path
    is_gzip: bool
    key = "id"
    ordinal = "null"

    def relation(self, columns: Mapping[str, Shape]) -> str:
        """A table expression with these columns."""
        types = ", ".join(f"\"{name}\": '{duckdb_type(shape)}'" for name, shape in columns.items())
        path = literal(str(self.path))
        compression = "gzip" if self.is_gzip else "uncompressed"
        return (
            f"read_json({path}, columns = {{{types}}}, format = 'newline_delimited', ignore_errors = true,"
            f" compression = '{compression}')"
        )


@dataclass(frozen=True, kw_only=True)
class TextSource:
    """The lines in `fhir_text`; it knows each line's ordinal, so ids may repeat."""

    key = "ordinal"
    ordinal = "p.ordinal"

    def relation(self, columns: Mapping[str, Shape]) -> str:
        """A table expression with these columns and the ordinal."""
        structure = literal(json.dumps(columns))
        names = ", ".join(f'resource."{name}"' for name in columns)
        return (
            f"(select ordinal, {names} from"
            f" (select ordinal, try(from_json(text, {structure})) as resource from fhir_text))"
        )


Source = DirectSource | TextSource


def keep_lines(con: duckdb.DuckDBPyConnection, lines: Iterable[Line]) -> TextSource:
    """Put numbered lines into `fhir_text`; a line that is not UTF-8 is kept as null."""
    con.execute("create or replace temp table fhir_taken (ordinal bigint, text varchar)")
    con.execute("create or replace temp view fhir_text as select ordinal, text from fhir_taken")
    con.execute("create or replace temp table fhir_number (ordinal bigint, line bigint, file bigint)")
    for batch in _batches(lines):
        con.register("fhir_batch", batch)
        con.execute("insert into fhir_taken select ordinal, text from fhir_batch")
        con.execute("insert into fhir_number select ordinal, line, file from fhir_batch")
        con.unregister("fhir_batch")
    return TextSource()


def keep_text(con: duckdb.DuckDBPyConnection, source: DirectSource) -> TextSource:
    """Copy the lines of a file that DuckDB's reader takes into `fhir_text`, once for all resource types."""
    path = literal(str(source.path))
    compression = "gzip" if source.is_gzip else "uncompressed"
    con.execute(
        f"""create or replace temp table fhir_taken as select json as text
            from read_ndjson_objects({path}, ignore_errors = true, compression = '{compression}')"""
    )
    con.execute(
        """create or replace temp view fhir_text as
           select rowid - (select min(rowid) from fhir_taken) as ordinal, text from fhir_taken"""
    )
    return TextSource()


def forget(con: duckdb.DuckDBPyConnection) -> None:
    """Drop the temporary tables and views."""
    for view in ("fhir_line", "fhir_text"):
        con.execute(f"drop view if exists {view}")
    for table in ("fhir_taken", "fhir_number", "fhir_screened", "fhir_fault", "fhir_file", "fhir_new"):
        con.execute(f"drop table if exists {table}")


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
        return line.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError:
        return None
