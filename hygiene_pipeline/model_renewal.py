"""Renews a large table only where its input changed, and never more of it at once than memory holds with ease.

For each key (a patient, say) two fingerprints are kept beside the table: of the rows it was made from and of the rows
made. The next build compares both with what is there and makes anew only the keys that differ; so whoever else wrote
the table meanwhile, or whatever a killed run left, is made good too. A table made for the first time, by other SQL, or
after many changes, is made whole, in slices of the key's order.

The keys are cut out of the tables that the input, a view, is made of: cut out of the view they would be found only
after all of it was computed.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from hygiene_pipeline.model_history import described
from hygiene_pipeline.sql_models import Model, Renewal
from hygiene_pipeline.sql_spelling import literal, quoted
from hygiene_pipeline.sql_text import read_sql

SLICE_KEYS = 25_000
MOST_CHANGED = 0.5
_CUT = "renewed"


def renew(
    con: duckdb.DuckDBPyConnection, model: Model, renewal: Renewal, table: str, *, slice_keys: int = SLICE_KEYS
) -> None:
    """Let `table` be what the model's SQL gives, in the caller's transaction."""
    kept = f"building.{quoted(f'{model.layer}_{model.table}_renewal')}"
    basis = _basis(con, model, renewal)
    con.execute(f"create or replace temp table renewal_input as {_fingerprints(renewal.reads, renewal.key)}")
    # A table that is built aside, to be looked at, has no fingerprints of its own.
    if table == model.name and _has_changed_little(con, model, renewal, kept, basis):
        _renew_changed(con, model, renewal)
    else:
        _make_whole(con, model, renewal, table, slice_keys)
    if table == model.name:
        con.execute(
            f"""create or replace table {kept} as
                select {literal(basis)} as basis, input.key, input.fingerprint, made.fingerprint as made
                from renewal_input as input
                full join ({_fingerprints(model.name, renewal.key)}) as made on made.key = input.key"""
        )
    for temporary in ("renewal_input", "renewal_changed"):
        con.execute(f"drop table if exists {temporary}")


def _fingerprints(table: str, key: str) -> str:
    """By key: how many rows, and a sum of their hashes, so that their order does not matter."""
    return (
        f"select {quoted(key)} as key, {{'rows': count(*), 'sum': sum(hash(input))}} as fingerprint"
        f" from {table} as input group by all"
    )


def _basis(con: duckdb.DuckDBPyConnection, model: Model, renewal: Renewal) -> str:
    """What besides the input the rows hang on: the SQL, the other tables it reads, and how DuckDB hashes."""
    others = [table for table in model.dependencies if table != renewal.reads]
    hashes = [con.execute(f"select sum(hash(other)) from {table} as other").fetchone() for table in others]
    return f"{duckdb.__version__} {model.code_version} {hashes}"


def _has_changed_little(con: duckdb.DuckDBPyConnection, model: Model, renewal: Renewal, kept: str, basis: str) -> bool:
    """Lay the keys that are not as they were into `renewal_changed`; false if the table is to be made whole."""
    if not described(con, model.name) or not described(con, kept):
        return False
    con.execute(
        f"""create or replace temp table renewal_changed as
            select coalesce(input.key, kept.key, made.key) as key
            from renewal_input as input
            full join {kept} as kept on kept.key = input.key
            full join ({_fingerprints(model.name, renewal.key)}) as made on made.key = coalesce(input.key, kept.key)
            where input.fingerprint is distinct from kept.fingerprint or made.fingerprint is distinct from kept.made"""
    )
    row = con.execute(
        f"""select (select count(*) from {kept} where basis <> $1) = 0
              and (select count(*) from renewal_changed where key is null) = 0
              and (select count(*) from renewal_changed) <= $2 * (select count(*) from {kept})""",
        [basis, MOST_CHANGED],
    ).fetchone()
    return bool(row and row[0])


def _renew_changed(con: duckdb.DuckDBPyConnection, model: Model, renewal: Renewal) -> None:
    key = quoted(renewal.key)
    con.execute(f"delete from {model.name} where {key} in (select key from renewal_changed)")
    with _cut_to(con, model, renewal, f"{key} in (select key from renewal_changed)") as sql:
        con.execute(f"insert into {model.name} by name from ({sql}\n) order by {_order(model)}")


def _make_whole(con: duckdb.DuckDBPyConnection, model: Model, renewal: Renewal, table: str, slice_keys: int) -> None:
    bounds = con.execute(
        f"""select min(key) from (
              select key, (row_number() over (order by key) - 1) // {slice_keys} as slice
              from renewal_input where key is not null)
            group by slice order by slice"""
    ).fetchall()
    key = quoted(renewal.key)
    # Rows without a key come with the first slice, which a table without any row has too.
    starts = [f"{key} >= {literal(str(start))}" for (start,) in bounds[1:]]
    ends = [f"{key} < {literal(str(start))}" for (start,) in bounds[1:]]
    statement = f"create or replace table {table} as"
    for number in range(len(starts) + 1):
        within = [*starts[number - 1 : number], *ends[number : number + 1]] if number else ends[:1]
        condition = " and ".join(within) or "true"
        with _cut_to(con, model, renewal, condition if number else f"({condition}) or {key} is null") as sql:
            [(made,)] = con.execute(f"{statement} from ({sql}\n) order by {_order(model)}").fetchall()
        # After a statement that put nothing into a table, DuckDB 1.5 loses a later insert of more than a row group.
        if made:
            statement = f"insert into {table} by name"


def _order(model: Model) -> str:
    return ", ".join(map(quoted, model.grain))


@contextmanager
def _cut_to(con: duckdb.DuckDBPyConnection, model: Model, renewal: Renewal, condition: str) -> Iterator[str]:
    """The model's SQL, reading views that show no other keys than those that meet `condition`."""
    view = _view_sql(con, renewal.reads)
    reads = read_sql({renewal.reads: view})[renewal.reads].reads if view else {renewal.reads}
    leaves = [table for table in sorted(reads) if renewal.key in described(con, table)]
    views = {leaf: f"{_CUT}_{number}" for number, leaf in enumerate(leaves)}
    for leaf, name in views.items():
        con.execute(f"create or replace temp view {name} as from {leaf} where {condition}")
        view = _reading(view or f"from {leaf}", leaf, name)
    con.execute(f"create or replace temp view {_CUT} as {view}")
    try:
        yield _reading(model.sql, renewal.reads, _CUT)
    finally:
        for name in (_CUT, *views.values()):
            con.execute(f"drop view if exists {name}")


def _view_sql(con: duckdb.DuckDBPyConnection, view: str) -> str:
    """The select of a view, or nothing for a table."""
    schema, _, name = view.partition(".")
    row = con.execute(
        "select sql from duckdb_views() where database_name = current_database() and schema_name = $1"
        " and view_name = $2",
        [schema, name],
    ).fetchone()
    return re.sub(r"^create view .*? as ", "", str(row[0]), count=1, flags=re.IGNORECASE).rstrip(";\n") if row else ""


def _reading(sql: str, table: str, instead: str) -> str:
    """The SQL with another table in the place of one, with or without the quotes in which DuckDB spells some names."""
    schema, _, name = table.partition(".")
    return re.sub(rf'(?<![\w."])"?{re.escape(schema)}"?\."?{re.escape(name)}"?(?![\w"])', instead, sql)
