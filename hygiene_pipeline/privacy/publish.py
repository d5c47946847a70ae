"""Publishes one database a role: built aside, checked, then put in place by one rename, so no reader ever blocks a run.

Roles may be published at once, each over a connection of its own.

The analyst's file is not encrypted because it identifies nobody: ids are HMAC-SHA-256 under a key that never leaves the
key folder, so they join with each other and lead nowhere else.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import duckdb

from hygiene_pipeline.privacy.roles import PublishedTable, Role, Roles
from hygiene_pipeline.sql_spelling import literal, quoted
from hygiene_pipeline.warehouse import ROW_GROUP_ROWS

_BLOCK = 64
_HASH_DIGITS = 16


def publish(
    con: duckdb.DuckDBPyConnection,
    roles: Roles,
    role_name: str,
    target: Path,
    *,
    key: str,
    check: Callable[[duckdb.DuckDBPyConnection, Role, str], None],
    grains: Mapping[str, Sequence[str]],
) -> dict[str, int]:
    """Build and replace the database of a role; returns rows by table.

    `con` has the warehouse as its default catalog. `check` reads the draft, whose catalog it is told, and raises to
    keep the old file in place. `grains` gives the columns that tell a table's rows apart, where a table has such.
    """
    role = roles.roles[role_name]
    target.parent.mkdir(parents=True, exist_ok=True)
    for left_over in target.parent.glob(f".{target.name}.*.draft*"):
        left_over.unlink()
    draft = target.with_name(f".{target.name}.{os.getpid()}.draft")
    encryption = f", ENCRYPTION_KEY {literal(key)}, ENCRYPTION_CIPHER 'GCM'" if role.is_encrypted else ""
    catalog = f"published_{role_name}"
    con.execute(f"attach {literal(str(draft))} as {quoted(catalog)} (ROW_GROUP_SIZE {ROW_GROUP_ROWS}{encryption})")
    is_sound = False
    try:
        wanted = {name: _wanted(con, name, table) for name, table in role.tables.items()}
        _lay_hashed_ids(con, wanted, key)
        rows = {
            name: _copy(con, catalog, name, wanted[name], role.tables[name].where, roles, grains.get(name, ()))
            for name in wanted
        }
        _comment(con, catalog, wanted)
        check(con, role, catalog)
        is_sound = True
    finally:
        for column in _hashed_columns(role):
            con.execute(f"drop table if exists temp.hashed_{column}")
        con.execute(f"detach {quoted(catalog)}")
        if not is_sound:
            # What the check refused may be the very thing that must not lie about in clear.
            draft.unlink(missing_ok=True)
    draft.chmod(0o600 if role.is_encrypted else 0o644)
    draft.replace(target)
    return rows


def _wanted(con: duckdb.DuckDBPyConnection, name: str, table: PublishedTable) -> dict[str, str]:
    """How each column of a table is published."""
    available = [column for column, *_ in con.execute(f"describe {name}").fetchall()]
    wanted: dict[str, str] = dict.fromkeys(available, "keep")
    if table.columns != "all":
        wanted = dict(table.columns.items())
    missing = [column for column in wanted if column not in available]
    if missing:
        raise LookupError(f"roles.yaml: {name} has no column {', '.join(missing)}")
    return wanted


def _lay_hashed_ids(con: duckdb.DuckDBPyConnection, wanted: Mapping[str, Mapping[str, str]], key: str) -> None:
    """Put the ids that this role gets hashed into a temporary table a column (`hashed_patient_id`).

    So each is hashed once however often it occurs, and a join looks among ids of its own kind only.
    """
    sources: dict[str, list[str]] = {}
    for name, treatments in wanted.items():
        for column, how in treatments.items():
            if how == "hash":
                sources.setdefault(column, []).append(f"select cast({column} as varchar) as id from {name}")
    inner = "unhex(sha256($inner::blob || encode(id)))"
    for column, selects in sources.items():
        con.execute(
            f"""create or replace temp table hashed_{column} as
                select id, lower(left(sha256($outer::blob || {inner}), {_HASH_DIGITS})) as hashed
                from (select distinct id from ({" union all ".join(selects)}) where id is not null)""",
            _hash_parameters(key),
        )


def _hashed_columns(role: Role) -> set[str]:
    columns = [table.columns for table in role.tables.values() if table.columns != "all"]
    return {column for treatments in columns for column, how in treatments.items() if how == "hash"}


def _copy(
    con: duckdb.DuckDBPyConnection,
    catalog: str,
    name: str,
    wanted: Mapping[str, str],
    condition: str | None,
    roles: Roles,
    grain: Sequence[str],
) -> int:
    schema, _, short = name.partition(".")
    hashed = [column for column, how in wanted.items() if how == "hash"]
    joins = " ".join(
        f"left join hashed_{column} on hashed_{column}.id = cast({short}.{column} as varchar)" for column in hashed
    )
    selected = ", ".join(f"{_treated(column, how, short, roles)} as {column}" for column, how in wanted.items())
    where = f" where {condition}" if condition else ""
    # Rows lie in the order of their ids; hashed ids in that order would tell whose they are.
    places = {column: str(place) for place, column in enumerate(wanted, start=1)}
    by = ", ".join(places[column] for column in grain) if grain and places.keys() >= set(grain) else "all"
    order = f" order by {by}" if hashed else ""
    con.execute(f"create schema if not exists {quoted(catalog)}.{schema}")
    made = con.execute(
        f"create table {quoted(catalog)}.{schema}.{short} as select {selected} from {name} {joins}{where}{order}"
    )
    row = made.fetchone()
    return int(row[0]) if row else 0


def _treated(column: str, how: str, table: str, roles: Roles) -> str:
    source = f"{table}.{column}"
    if how == "hash":
        return f"hashed_{column}.hashed"
    if how == "month":
        return f"cast(date_trunc('month', {source}) as date)"
    if how == "year":
        return f"year({source})"
    if how == "coded":
        fields = ", ".join(literal(field) for field in roles.coded_fields)
        return f"case when {table}.field in ({fields}) then {source} end"
    return source


def _hash_parameters(key: str) -> dict[str, object]:
    """The padded keys of HMAC (RFC 2104), so that SQL hashes a whole column at once."""
    secret = key.encode()
    padded = (hashlib.sha256(secret).digest() if len(secret) > _BLOCK else secret).ljust(_BLOCK, b"\0")
    return {"inner": bytes(byte ^ 0x36 for byte in padded), "outer": bytes(byte ^ 0x5C for byte in padded)}


def _comment(con: duckdb.DuckDBPyConnection, catalog: str, tables: Iterable[str]) -> None:
    """Give the published tables the words of those they were made from."""
    rows = con.execute(
        """select schema_name || '.' || table_name, comment from duckdb_tables()
           where database_name = current_database() and comment is not null"""
    ).fetchall()
    words = {str(table): str(comment) for table, comment in rows}
    for name in tables:
        if name in words:
            con.execute(f"comment on table {quoted(catalog)}.{name} is {literal(words[name])}")
