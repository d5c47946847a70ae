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
    """Quarantine the rows of a query that gives source_line, field, reason and original; returns how many."""
    result = con.execute(
        f"""insert into quarantine.record
              (source, place, source_file, source_line, field, reason, original, file_id, taken_at)
            select ?, ?, ?, source_line, field, reason, original, ?, ? from ({query})""",
        [
            delivery.extract.source,
            delivery.extract.place,
            delivery.source_file,
            delivery.file_id,
            delivery.extracted_at,
            *values,
        ],
    ).fetchone()
    return int(result[0]) if result else 0
