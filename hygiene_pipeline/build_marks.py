"""How far each model is built: as of when, and through which take of the landing folder.

A mark is written in the transaction that changes the model's table, so it says of the table what is so, whatever was
killed. An event run asks here whether the tables are all of one past, and which takes they do not know yet.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb

from hygiene_pipeline.clock import instant
from hygiene_pipeline.practice import Practice


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A table holds what was known at `as_of` of takes up to `take_seq`; `is_slice`: only touched rows were renewed."""

    as_of: datetime
    take_seq: int
    code_version: str
    is_slice: bool


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Make the tables of marks if they are not there."""
    con.execute(
        "create schema if not exists quality;"
        "create table if not exists quality.built_model (model VARCHAR, as_of TIMESTAMPTZ, take_seq BIGINT, "
        "code_version VARCHAR, is_slice BOOLEAN);"
        "create table if not exists quality.built_by (practice_file VARCHAR);"
    )


def heed_practice(con: duckdb.DuckDBPyConnection, practice: Practice) -> None:
    """Forget every mark if the practice file or its policies changed: tables of other rules are of another past."""
    now = hashlib.sha256(practice.model_dump_json().encode()).hexdigest()
    if con.execute("select practice_file from quality.built_by").fetchall() != [(now,)]:
        con.execute("delete from quality.built_model")
        con.execute("delete from quality.built_by")
        con.execute("insert into quality.built_by values (?)", [now])


def keep_marks(con: duckdb.DuckDBPyConnection, code_versions: Mapping[str, str], *, is_slice: bool = False) -> None:
    """Say that these models are built for the clock's as_of with all that was taken so far.

    A replay leaves no marks: its tables show less than was taken, and no run may go on from them.
    """
    forget_marks(con, code_versions)
    [(as_of,)] = con.execute("select as_of from policy.clock").fetchall()
    latest = _latest_night(con)
    if latest is not None and latest > as_of:
        return
    con.execute(
        "insert into quality.built_model select unnest(?::varchar[]), ?::timestamptz, ?, unnest(?::varchar[]), ?",
        [list(code_versions), as_of, _latest_take(con), list(code_versions.values()), is_slice],
    )


def forget_marks(con: duckdb.DuckDBPyConnection, models: Collection[str]) -> None:
    """Say that nobody knows how far these models are built."""
    con.execute("delete from quality.built_model where list_contains(?::varchar[], model)", [list(models)])


def marks_of(con: duckdb.DuckDBPyConnection, models: Collection[str]) -> dict[str, Mark]:
    """The marks of those of `models` that have one."""
    rows = con.execute(
        "select model, epoch_us(as_of), take_seq, code_version, is_slice from quality.built_model"
        " where list_contains(?::varchar[], model)",
        [list(models)],
    ).fetchall()
    return {
        model: Mark(as_of=instant(as_of), take_seq=take_seq, code_version=code_version, is_slice=is_slice)
        for model, as_of, take_seq, code_version, is_slice in rows
    }


def renewed_now(con: duckdb.DuckDBPyConnection, models: Collection[str]) -> set[str]:
    """Which of `models` this very run has renewed already."""
    [(as_of,)] = con.execute("select epoch_us(as_of) from policy.clock").fetchall()
    marks = marks_of(con, models)
    return {model for model, mark in marks.items() if mark.is_slice and mark.as_of == instant(as_of)}


def _latest_night(con: duckdb.DuckDBPyConnection) -> datetime | None:
    try:
        row = con.execute("select max(as_of) from history.night").fetchone()
    except duckdb.CatalogException:
        return None
    return row[0] if row else None


def _latest_take(con: duckdb.DuckDBPyConnection) -> int:
    try:
        row = con.execute("select coalesce(max(take_seq), 0) from raw.landing_file").fetchone()
    except duckdb.CatalogException:
        return 0
    return int(row[0]) if row else 0
