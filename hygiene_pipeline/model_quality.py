"""What the data tests found, night by night, kept in the warehouse: `quality.check_result` and `quality.check_failure`.

A result is counts, and may go anywhere. A failure is the key of a row, and stays here.
"""

from collections.abc import Sequence
from datetime import datetime

import duckdb

from hygiene_pipeline.model_tests import Tested


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Make the two tables if they are not there."""
    con.execute(
        "create schema if not exists quality;"
        "create table if not exists quality.check_result (as_of TIMESTAMPTZ, model VARCHAR, test VARCHAR, "
        "severity VARCHAR, passed BOOLEAN, checked BIGINT, failing BIGINT, error VARCHAR);"
        "create table if not exists quality.check_failure (model VARCHAR, test VARCHAR, key VARCHAR, "
        "first_seen TIMESTAMPTZ, last_seen TIMESTAMPTZ);"
    )


def keep_results(con: duckdb.DuckDBPyConnection, model: str, tested: Tested, as_of: datetime) -> None:
    """Store the results of one model under `as_of`; a second time for the same as_of replaces the first.

    The key of a failing row is kept with the first and the last as_of that saw it, healed rows too.
    """
    con.execute("delete from quality.check_result where as_of = ? and model = ?", [as_of, model])
    columns = ("test", "severity", "passed", "checked", "failing", "error")
    kinds = ("varchar", "varchar", "boolean", "bigint", "bigint", "varchar")
    con.execute(
        "insert into quality.check_result select cast(? as timestamptz), cast(? as varchar), "
        + ", ".join(f"unnest(cast(? as {kind}[]))" for kind in kinds),
        [as_of, model, *([getattr(result, column) for result in tested.results] for column in columns)],
    )
    pairs = [(test, key) for test, keys in tested.keys.items() for key in keys]
    _keep_failures(con, model, [[test for test, _ in pairs], [key for _, key in pairs]], as_of)


def _keep_failures(con: duckdb.DuckDBPyConnection, model: str, found: Sequence[Sequence[str]], as_of: datetime) -> None:
    con.execute(
        "delete from quality.check_failure where model = ? and first_seen = ? and last_seen = ?", [model, as_of, as_of]
    )
    if not found[0]:
        return
    pairs = "(select unnest(cast(? as varchar[])) as test, unnest(cast(? as varchar[])) as key) as found"
    same = "kept.model = ? and kept.test = found.test and kept.key = found.key"
    con.execute(
        "update quality.check_failure as kept "
        "set first_seen = least(first_seen, cast(? as timestamptz)), "
        f"last_seen = greatest(last_seen, cast(? as timestamptz)) from {pairs} where {same}",
        [as_of, as_of, *found, model],
    )
    con.execute(
        "insert into quality.check_failure "
        f"select cast(? as varchar), test, key, cast(? as timestamptz), cast(? as timestamptz) from {pairs} "
        f"where not exists (select 1 from quality.check_failure as kept where {same}) order by test, key",
        [model, as_of, as_of, *found, model],
    )
