"""The past of models: `history.<layer>_<table>` keeps, for each `as_of`, the rows that are new or changed since.

A model may read a history, its own or another's, before anything was ever kept there. So each history exists ahead of
the first build: as an empty table with types that DuckDB derives from the SQL itself, in a scratch database without a
row; or, while an input of its model is still missing, as an empty view of nulls, which DuckDB takes for any type.
"""

from collections.abc import Collection, Iterable, Mapping

import duckdb

from hygiene_pipeline.model_contracts import ContractError
from hygiene_pipeline.sql_models import HISTORY, Model, external_dependencies, topological
from hygiene_pipeline.sql_spelling import quoted

Types = dict[str, str]

_MOVES_BY_ITSELF = "last_seen"
"""Changes every night a row is found again; storing the row for that alone would store every open row every night."""

_ROUNDS = 5
"""A type may depend on a type in another history; more rounds than this are never needed in earnest."""


def described(con: duckdb.DuckDBPyConnection, table: str) -> Types:
    """Columns and types of one table, none if it does not exist."""
    try:
        return {str(row[0]): str(row[1]) for row in con.execute(f"describe {table}").fetchall()}
    except duckdb.CatalogException:
        return {}


def column_types(con: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> dict[str, Types]:
    """Columns and types of those of `tables` that exist, in one look at the catalogue; views are none."""
    wanted = set(tables)
    found: dict[str, Types] = {}
    rows = con.execute(
        "select schema_name || '.' || table_name, column_name, data_type from duckdb_columns() "
        "semi join duckdb_tables() using (table_oid, database_name) "
        "where database_name = current_database() order by table_oid, column_index"
    ).fetchall()
    for table, column, kind in rows:
        if table in wanted:
            found.setdefault(table, {})[column] = kind
    return found


def ensure_histories(con: duckdb.DuckDBPyConnection, models: Mapping[str, Model]) -> None:
    """Let every history that `models` keep exist, empty if it is new, so that any model may read it."""
    keepers = {model.history_table: model for model in models.values() if model.history}
    missing = keepers.keys() - column_types(con, keepers).keys()
    if not missing:
        return
    shapes = _shapes(con, models)
    views = _views(con)
    for table in sorted(missing):
        if types := shapes.get(keepers[table].name):
            con.execute(_create(table, types, instead_of=views))
        elif table not in views:
            con.execute(_untyped(keepers[table]))


def keep_history(
    con: duckdb.DuckDBPyConnection, model: Model, source: str, types: Types, *, among: str = "true"
) -> None:
    """Store the rows of `source` that differ from the last earlier version of their key, under the clock's as_of.

    `among` is the condition that a row is one of those that `source` speaks of, where it does not speak of all.
    """
    table = model.history_table
    if "as_of" in types:
        raise ContractError(f"{model.name}: has a column as_of, which its history adds by itself")
    known = described(con, table)
    stand_ins = _views(con)
    if not known or table in stand_ins:
        known = types
        con.execute(_create(table, _with_given(model, types), instead_of=stand_ins))
    for column, kind in types.items():
        if column not in known:
            con.execute(f"alter table {table} add column {quoted(column)} {kind}")
    columns = ", ".join(quoted(column) for column in types)
    compared = ", ".join(quoted(column) for column in types if column != _MOVES_BY_ITSELF)
    grain = ", ".join(quoted(column) for column in model.grain or types)
    con.execute(
        f"delete from {table} where as_of = (select as_of from policy.clock) and ({among});"
        f"insert into {table} by name "
        f"select (select as_of from policy.clock) as as_of, {columns} from {source} semi join ("
        f"  select {compared} from {source} except"
        f"  select {compared} from (select {columns} from {table}"
        f"  where as_of < (select as_of from policy.clock) and ({among})"
        f"  qualify row_number() over (partition by {grain} order by as_of desc) = 1)"
        f") as news using ({grain}) order by {grain}"
    )


def _create(table: str, types: Types, *, instead_of: Collection[str] = ()) -> str:
    columns = ", ".join(f"{quoted(column)} {kind}" for column, kind in types.items())
    drop = f"drop view {table};" if table in instead_of else ""
    return f"{drop} create table {table} (as_of TIMESTAMPTZ, {columns})"


def _with_given(model: Model, types: Types) -> Types:
    """The types, where the models file gives one that one."""
    given = {column.name: column.data_type for column in model.columns if column.data_type}
    return {name: given.get(name) or kind for name, kind in types.items()}


def _shapes(con: duckdb.DuckDBPyConnection, models: Mapping[str, Model]) -> dict[str, Types]:
    """Columns and types of every model whose inputs are known, found without running anything on data."""
    reads = {read for model in models.values() for read in model.history_reads}
    # A model that cannot be bound yet keeps the shape its table has, if it has one.
    known = column_types(con, {*external_dependencies(models), *reads, *models})
    stand_ins = {view: sql for view, sql in _views(con).items() if view in reads}
    stand_ins |= {
        model.history_table: _untyped(model)
        for model in models.values()
        if model.history and model.history_table in reads - known.keys()
    }
    with duckdb.connect(":memory:") as scratch:
        scratch.execute("set timezone = 'UTC'")
        schemas = {name.partition(".")[0] for name in (*models, *known)} | {HISTORY}
        scratch.execute(";".join(f"create schema {schema}" for schema in sorted(schemas)))
        for table, types in known.items():
            columns = ", ".join(f"{quoted(column)} {kind}" for column, kind in types.items())
            scratch.execute(f"create table {table} ({columns})")
        for sql in stand_ins.values():
            scratch.execute(sql)
        return _settled(scratch, models, kept=known.keys() & reads)


def _untyped(model: Model) -> str:
    """A stand-in for a history whose types are not known: nulls, which DuckDB lets stand for any type."""
    given = {column.name: column.data_type for column in model.columns}
    names = dict.fromkeys([*model.output_names, *given])
    nulls = ", ".join(
        f"cast(null as {given[name]}) as {quoted(name)}" if given.get(name) else f"null as {quoted(name)}"
        for name in names
        if name != "as_of"
    )
    return f"create view {model.history_table} as select null::timestamptz as as_of{nulls and ', '}{nulls} where false"


def _settled(scratch: duckdb.DuckDBPyConnection, models: Mapping[str, Model], kept: set[str]) -> dict[str, Types]:
    """Build every model empty, put its types into its history, and again until no type changes."""
    order = topological(models)
    shapes: dict[str, Types] = {}
    for _ in range(_ROUNDS):
        before, shapes = shapes, {}
        for name in order:
            if types := _described(scratch, models[name]):
                shapes[name] = types
        if shapes == before:
            break
        views = _views(scratch)
        for name, types in shapes.items():
            history = models[name].history_table
            if models[name].history and history not in kept:
                table = "" if history in views else f"drop table if exists {history};"
                scratch.execute(table + _create(history, types, instead_of=views))
    return shapes


def _described(scratch: duckdb.DuckDBPyConnection, model: Model) -> Types | None:
    """The types of a model, which then stands in the scratch database without rows; None if it cannot be bound."""
    try:
        scratch.execute(f"create or replace table {model.name} as from ({model.sql}\n) limit 0")
    except duckdb.Error:
        return None
    return _with_given(model, described(scratch, model.name))


def _views(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The stand-ins among the histories, with the statement that makes each."""
    rows = con.execute(
        "select schema_name || '.' || view_name, sql from duckdb_views() "
        f"where database_name = current_database() and schema_name = '{HISTORY}'"
    ).fetchall()
    return {str(row[0]): str(row[1]) for row in rows}
