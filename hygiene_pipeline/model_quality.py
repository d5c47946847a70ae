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


def keep_results(con: duckdb.DuckDBPyConnection, model: str, tested: Tested) -> None:
    """Store the results of one model under the clock's as_of; a second time for the same as_of replaces the first.

    The key of a failing row is kept with the first and the last as_of that saw it, healed rows too.
    """
    [(as_of,)] = con.execute("select as_of from policy.clock").fetchall()
    con.execute("delete from quality.check_result where as_of = ? and model = ?", [as_of, model])
    columns = ("test", "severity", "passed", "checked", "failing", "error")
    kinds = ("varchar", "varchar", "boolean", "bigint", "bigint", "varchar")
    con.execute(
        "insert into quality.check_result select cast(? as timestamptz), cast(? as varchar), "
        + ", ".join(f"unnest(cast(? as {kind}[]))" for kind in kinds),
        [as_of, model, *([getattr(result, column) for result in tested.results] for column in columns)],
    )
    failing = [(test, key) for test, keys in tested.keys.items() for key in keys]
    _keep_failures(con, model, failing, as_of)


def _keep_failures(
    con: duckdb.DuckDBPyConnection, model: str, failing: Sequence[tuple[str, str]], as_of: datetime
) -> None:
    night = {"model": model, "as_of": as_of}
    con.execute(
        "delete from quality.check_failure where model = $model and first_seen = $as_of and last_seen = $as_of", night
    )
    if not failing:
        return
    found = {**night, "tests": [test for test, _ in failing], "keys": [key for _, key in failing]}
    pairs = "(select unnest($tests::varchar[]) as test, unnest($keys::varchar[]) as key) as found"
    same = "kept.model = $model and kept.test = found.test and kept.key = found.key"
    con.execute(
        "update quality.check_failure as kept set first_seen = least(first_seen, $as_of::timestamptz), "
        f"last_seen = greatest(last_seen, $as_of::timestamptz) from {pairs} where {same}",
        found,
    )
    con.execute(
        "insert into quality.check_failure "
        f"select $model::varchar, test, key, $as_of::timestamptz, $as_of::timestamptz from {pairs} "
        f"where not exists (select 1 from quality.check_failure as kept where {same}) order by test, key",
        found,
    )
