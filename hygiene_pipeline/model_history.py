"""The past of models: `history.<layer>_<table>` keeps, for each `as_of`, the rows that are new or changed since.

A model may read a history, its own or another's, before that table was ever filled. So the tables are made empty ahead
of the first build, with types that DuckDB derives from the SQL itself, in a scratch database without a row.
"""

from collections.abc import Iterable, Mapping

import duckdb

from hygiene_pipeline.model_contracts import ContractError
from hygiene_pipeline.sql_models import HISTORY, Model, external_dependencies, topological

Types = dict[str, str]

_ROUNDS = 5
"""A type may depend on a type in another history; more rounds than this are never needed in earnest."""


def quoted(name: str) -> str:
    """A column name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def described(con: duckdb.DuckDBPyConnection, table: str) -> Types:
    """Columns and types of one table, none if it does not exist."""
    try:
        return {str(row[0]): str(row[1]) for row in con.execute(f"describe {table}").fetchall()}
    except duckdb.CatalogException:
        return {}


def column_types(con: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> dict[str, Types]:
    """Columns and types of those of `tables` that exist, in one look at the catalogue."""
    wanted = set(tables)
    found: dict[str, Types] = {}
    rows = con.execute(
        "select schema_name || '.' || table_name, column_name, data_type from duckdb_columns() "
        "where database_name = current_database() and not internal order by table_oid, column_index"
    ).fetchall()
    for table, column, kind in rows:
        if table in wanted:
            found.setdefault(table, {})[column] = kind
    return found


def ensure_histories(con: duckdb.DuckDBPyConnection, models: Mapping[str, Model]) -> None:
    """Create, empty, every history that `models` keep and that does not exist yet.

    A history whose types cannot be told yet, because a table its model reads is not there, is left for a later call.
    """
    keepers = {model.history_table: model for model in models.values() if model.history}
    missing = keepers.keys() - column_types(con, keepers).keys()
    if not missing:
        return
    shapes = _shapes(con, models)
    for table in sorted(missing):
        if types := shapes.get(keepers[table].name):
            con.execute(_create(table, types))


def keep_history(con: duckdb.DuckDBPyConnection, model: Model, source: str, types: Types) -> None:
    """Store the rows of `source` that differ from the last earlier version of their key, under the clock's as_of."""
    table = model.history_table
    if "as_of" in types:
        raise ContractError(f"{model.name}: has a column as_of, which its history adds by itself")
    known = described(con, table)
    for column, kind in types.items():
        if column not in known:
            con.execute(f"alter table {table} add column {quoted(column)} {kind}")
    columns = ", ".join(quoted(column) for column in types)
    grain = ", ".join(quoted(column) for column in model.grain) or "true"
    con.execute(
        f"delete from {table} where as_of = (select as_of from policy.clock);"
        f"insert into {table} by name "
        f"select (select as_of from policy.clock) as as_of, * from ("
        f"  select {columns} from {source} except all"
        f"  select {columns} from (select {columns} from {table} where as_of < (select as_of from policy.clock)"
        f"  qualify row_number() over (partition by {grain} order by as_of desc) = 1)"
        f") order by {grain}"
    )


def _create(table: str, types: Types) -> str:
    columns = ", ".join(f"{quoted(column)} {kind}" for column, kind in types.items())
    return f"create table if not exists {table} (as_of TIMESTAMPTZ, {columns})"


def _shapes(con: duckdb.DuckDBPyConnection, models: Mapping[str, Model]) -> dict[str, Types]:
    """Columns and types of every model whose inputs are known, found without running anything on data."""
    reads = {read for model in models.values() for read in model.history_reads}
    externals = column_types(con, {*external_dependencies(models), *reads})
    with duckdb.connect(":memory:") as scratch:
        scratch.execute("set timezone = 'UTC'")
        schemas = {name.partition(".")[0] for name in (*models, *externals, *reads)} | {HISTORY}
        scratch.execute(";".join(f"create schema {schema}" for schema in sorted(schemas)))
        for table, types in externals.items():
            columns = ", ".join(f"{quoted(column)} {kind}" for column, kind in types.items())
            scratch.execute(f"create table {table} ({columns})")
        for model in models.values():
            if model.history and model.history_table in reads - externals.keys():
                scratch.execute(_untyped(model))
        return _settled(scratch, models, kept=externals.keys() & reads)


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
        for name, types in shapes.items():
            history = models[name].history_table
            if models[name].history and history not in kept:
                kind = "view" if not before.get(name) and history in _views(scratch) else "table"
                scratch.execute(f"drop {kind} if exists {history}; {_create(history, types)}")
    return shapes


def _described(scratch: duckdb.DuckDBPyConnection, model: Model) -> Types | None:
    """The types of a model, which then stands in the scratch database without rows; None if it cannot be bound."""
    try:
        scratch.execute(f"create or replace table {model.name} as from ({model.sql}\n) limit 0")
        rows = scratch.execute(f"describe {model.name}").fetchall()
    except duckdb.Error:
        return None
    given = {column.name: column.data_type for column in model.columns if column.data_type}
    return {str(row[0]): given.get(str(row[0])) or str(row[1]) for row in rows}


def _views(scratch: duckdb.DuckDBPyConnection) -> set[str]:
    rows = scratch.execute("select schema_name || '.' || view_name from duckdb_views() where not internal").fetchall()
    return {str(row[0]) for row in rows}
