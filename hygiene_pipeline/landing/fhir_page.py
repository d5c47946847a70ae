"""The page: one file's resources in the temporary table `fhir_page`, a row a line, every kept element as its JSON text.

DuckDB's own NDJSON reader fills it; what that reader cannot take (a byte-order mark, a cut-off gzip file, a line of
more than 16 MB) goes through numbered lines, slower and with the same result.
A line that is no JSON object is a row of nulls.
"""

import json
from collections.abc import Iterable, Sequence

import duckdb
import pyarrow as pa

from hygiene_pipeline.landing.fhir_schemas import ALWAYS, RESOURCES, elements
from hygiene_pipeline.landing.ndjson_file import BOM, Line, NdjsonFile

_BATCH_BYTES = 16 << 20
# The reader refuses a line of 16 MiB; a block of lines is never shorter than its longest line.
_LONGEST_LINE = 15 << 20


def read_page(con: duckdb.DuckDBPyConnection, file: NdjsonFile) -> None:
    """Fill `fhir_page` and `fhir_page_line` (the line numbers, empty if they follow from the order) from a file."""
    guessed = file.likely_types() & RESOURCES.keys()
    _read_typed(con, file, guessed)
    missed = {name for name in resource_types(con) if name in RESOURCES} - guessed
    if missed:
        _read_typed(con, file, guessed | missed)


def page_of_lines(con: duckdb.DuckDBPyConnection, lines: Iterable[Line], types: Iterable[str]) -> None:
    """Fill the page from lines that are at hand."""
    names = _names(types)
    con.execute("create or replace temp table fhir_page (" + ", ".join(f'"{name}" json' for name in names) + ")")
    con.execute("create or replace temp table fhir_page_line (ordinal bigint, line bigint)")
    structure = json.dumps(dict.fromkeys(names, "JSON"))
    kept = ", ".join(f'resource."{name}"' for name in names)
    for batch in _batches(lines):
        con.register("fhir_batch", batch)
        con.execute(
            f"insert into fhir_page select {kept} from (select try(from_json(text, ?)) as resource from fhir_batch)",
            [structure],
        )
        con.execute("insert into fhir_page_line select ordinal, line from fhir_batch")
        con.unregister("fhir_batch")


def drop_page(con: duckdb.DuckDBPyConnection) -> None:
    """Forget the page."""
    con.execute("drop table if exists fhir_page")
    con.execute("drop table if exists fhir_page_line")


def resource_types(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The resource types that the page's lines name, known or not."""
    found = con.execute(
        """select distinct "resourceType" ->> '$' from fhir_page where starts_with("resourceType", '"') order by 1"""
    )
    return [str(row[0]) for row in found.fetchall()]


def _read_typed(con: duckdb.DuckDBPyConnection, file: NdjsonFile, types: Iterable[str]) -> None:
    types = sorted(types)
    ordinals = file.count()
    if not _is_plain(file) or _read_at_once(con, file, types) != ordinals:
        page_of_lines(con, file.lines(), types)
        return
    con.execute("create or replace temp table fhir_page_line (ordinal bigint, line bigint)")
    numbers = file.line_numbers()
    if numbers is not None:
        con.register("fhir_numbers", pa.table({"line": numbers}))
        con.execute("insert into fhir_page_line select row_number() over () - 1, line from fhir_numbers")
        con.unregister("fhir_numbers")


def _is_plain(file: NdjsonFile) -> bool:
    """Whether DuckDB's reader takes the file; it is not tried out, because an error would end the transaction."""
    is_pattern = any(sign in str(file.path) for sign in "*?[")
    return not (is_pattern or file.is_cut_off or file.starts_with_bom or file.longest_block > _LONGEST_LINE)


def _read_at_once(con: duckdb.DuckDBPyConnection, file: NdjsonFile, types: Sequence[str]) -> int:
    """How many rows DuckDB's reader gave, in file order."""
    names = _names(types)
    columns = "{" + ", ".join(f"\"{name}\": 'JSON'" for name in names) + "}"
    kept = ", ".join(f'"{name}"' for name in names)
    con.execute(
        f"""create or replace temp table fhir_page as select {kept} from read_json(?, columns = {columns},
            format = 'newline_delimited', ignore_errors = true, compression = ?)""",
        [str(file.path), "gzip" if file.is_gzip else "uncompressed"],
    )
    row = con.execute("select count(*) from fhir_page").fetchone()
    return int(row[0]) if row else 0


def _names(types: Iterable[str]) -> list[str]:
    """Every element that some resource of these types keeps, once."""
    kept = [element.name for name in sorted(types) for element in elements(name)]
    return list(dict.fromkeys(["resourceType", *(element.name for element in ALWAYS), *kept]))


def _batches(lines: Iterable[Line]) -> Iterable[pa.Table]:
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
            "text": pa.array([_text(line.text) for line in lines], pa.large_string()),
        }
    )


def _text(line: bytes) -> str | None:
    try:
        return line.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError:
        return None
