"""The lines of a CSV file, column by column: nearly all of them are plain, and split without a thought of quotes.

A line is plain if there is no quote on it and none is open around it: its fields are what stands between its commas.
All else, and the header, is left to `csv_records`. No DuckDB here.
"""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from hygiene_pipeline.landing.csv_text import MARKS

# What people and spreadsheets leave around a value.
BLANKS = " \t\r\n\u00a0"
# DuckDB reads a table a batch at a time, each on a core of its own.
_BATCH_ROWS = 16_384


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Every line that holds anything, by the number of `lines_above` it, with its text.

    `quoted` also have the number of the `record` they are part of, null of a line that is a record by itself
    (`is_whole`). The header is always among them.
    """

    plain: pa.Table
    quoted: pa.Table


def told_apart(text: str, *, has_marks: bool) -> Lines:
    """The lines of a text. One with bytes that are no UTF-8 (`has_marks`) is never plain."""
    texts = pc.split_pattern(pa.array([text], pa.large_string()), "\n").flatten()
    lines_above = numbered(len(texts))
    holds = pc.not_equal(pc.ascii_trim(texts, " \t"), "")
    is_quoted, is_whole, record = _quotes(texts, has_quotes='"' in text)
    if has_marks:
        is_quoted = pc.or_(is_quoted, pc.match_substring_regex(texts, f"[{MARKS[0]}-{MARKS[-1]}]"))
    first = pc.index(pc.or_(holds, pc.invert(is_whole)), True).as_py()
    is_quoted = pc.or_(is_quoted, pc.equal(lines_above, first))
    table = pa.table({"lines_above": lines_above, "text": texts, "is_whole": is_whole, "record": record})
    return Lines(
        plain=table.select(["lines_above", "text"]).filter(pc.and_not(holds, is_quoted)),
        quoted=table.filter(pc.and_(is_quoted, pc.or_(holds, pc.invert(is_whole)))),
    )


def _quotes(texts: pa.Array, *, has_quotes: bool) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Of each line: whether a quote is on it or open around it, whether it is a record, else the record's number."""
    if not has_quotes:
        return pa.repeat(False, len(texts)), pa.repeat(True, len(texts)), pa.nulls(len(texts), pa.int64())
    quotes = pc.count_substring(texts, '"').cast(pa.int64())
    toggles = pc.bit_wise_and(quotes, 1)
    until = pc.cumulative_sum(toggles)
    starts = pc.equal(pc.bit_wise_and(pc.subtract(until, toggles), 1), 0)
    is_whole = pc.and_(starts, pc.equal(pc.bit_wise_and(until, 1), 0))
    record = pc.if_else(is_whole, None, pc.cumulative_sum(starts.cast(pa.int64())))
    return pc.or_(pc.greater(quotes, 0), pc.invert(is_whole)), is_whole, record


def split(plain: pa.Table, *, width: int) -> tuple[pa.Table, pa.Table]:
    """The plain lines of `width` fields, with these, and the lines of another number of them."""
    fields = pc.split_pattern(plain["text"], ",")
    fits = pc.equal(pc.list_value_length(fields), width)
    return plain.append_column("fields", fields).filter(fits), plain.filter(pc.invert(fits))


def column(fields: pa.ChunkedArray, position: int) -> pa.ChunkedArray:
    """One column of split lines, from 1."""
    return pc.list_element(fields, position - 1)


def numbered(count: int) -> pa.Array:
    """The numbers from 0."""
    return pc.indices_nonzero(pa.repeat(True, count)).cast(pa.int64())


def trimmed(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts without the blanks around them; nothing but blanks is null."""
    bare = pc.utf8_trim(texts, BLANKS)
    return pc.if_else(pc.equal(bare, ""), None, bare)


def in_batches(table: pa.Table) -> pa.Table:
    """The table in batches of a size that several threads can share."""
    return pa.Table.from_batches(table.combine_chunks().to_batches(max_chunksize=_BATCH_ROWS), schema=table.schema)
