"""The one number that a counting query, an insert, an update or a delete answers with."""

from collections.abc import Mapping

import duckdb


def count_of(con: duckdb.DuckDBPyConnection, statement: str, parameters: Mapping[str, object]) -> int:
    """How many rows the statement counted or changed."""
    row = con.execute(statement, dict(parameters)).fetchone()
    return int(row[0]) if row else 0
