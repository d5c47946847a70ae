"""Puts what could not be used into `quarantine.record`, with its place, a reason code and the original text."""

from collections.abc import Iterable

import duckdb

from hygiene_pipeline.landing.delivery import Delivery

# A whole rejected file stays in the landing folder; its beginning is enough to recognise it by.
_ORIGINAL_LIMIT = 10_000


def reject(
    con: duckdb.DuckDBPyConnection,
    delivery: Delivery,
    reason: str,
    *,
    line: int | None = None,
    field: str | None = None,
    original: str | None = None,
) -> int:
    """Quarantine one thing; returns 1, to be added up."""
    row = (line, field, reason, original[:_ORIGINAL_LIMIT] if original else original)
    return reject_rows(con, delivery, "select ? as source_line, ? as field, ? as reason, ? as original", row)


def reject_rows(con: duckdb.DuckDBPyConnection, delivery: Delivery, query: str, values: Iterable[object] = ()) -> int:
    """Quarantine the rows of a query that gives source_line, field, reason and original; returns how many.

    An insert of nothing is not tried: DuckDB 1.5 loses a later one of more than a row group in the same transaction.
    """
    con.execute(f"create or replace temp table landing_reject as {query}", list(values))
    row = con.execute("select count(*) from landing_reject").fetchone()
    count = int(row[0]) if row else 0
    if count:
        con.execute(
            """insert into quarantine.record
                 (source, place, source_file, source_line, field, reason, original, file_id, taken_at)
               select ?, ?, ?, source_line, field, reason, original, ?, ? from landing_reject order by source_line""",
            [
                delivery.extract.source,
                delivery.extract.place,
                delivery.source_file,
                delivery.file_id,
                delivery.extracted_at,
            ],
        )
    con.execute("drop table landing_reject")
    return count
