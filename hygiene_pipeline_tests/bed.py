"""A tiny warehouse in memory in which a test lays rows and runs the real SQL files.

    bed = Bed()
    bed.clock("2026-03-01T07:00:00Z")
    bed.policies()
    bed.table("staging.crm_contact", [{"contact_id": "c1", "phone": "+16172530000"}])
    bed.build("hygiene.contact_status")
    bed.rows("select phone_state from hygiene.contact_status")

A table that a model reads and the test does not lay exists with its declared columns and no rows.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from hygiene_pipeline_tests.shapes import SHAPES, SHIPPED

SQL = Path(__file__).resolve().parents[1] / "dbt_like_sql"
SCHEMAS = "raw quarantine staging identity reconciled hygiene sync care metrics policy quality history building"


class Bed:
    """An in-memory warehouse with every schema, the clock's time zone set to UTC, and declared table shapes."""

    def __init__(self, root: Path = SQL) -> None:
        self.root = root
        self.con = duckdb.connect(":memory:")
        self.con.execute("set timezone = 'UTC'")
        for schema in SCHEMAS.split():
            self.con.execute(f"create schema {schema}")
        self.shapes: dict[str, dict[str, str]] = {name: dict(columns) for name, columns in SHAPES.items()}

    def declare(self, table: str, columns: Mapping[str, str]) -> None:
        """Give a table the bed does not know its columns and types (or replace those it knows)."""
        self.shapes[table] = dict(columns)

    def table(self, table: str, rows: Sequence[Mapping[str, Any]], types: Mapping[str, str] | None = None) -> None:
        """Create or replace `table` with `rows`; keys a row lacks are null, keys nobody declared are inferred."""
        columns = {**(self.shapes.get(table) or self._existing(table)), **(types or {})}
        for row in rows:
            for name, value in row.items():
                if columns.get(name) is None:
                    columns[name] = _type_of(value)
        spelt = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        self.con.execute(f"create or replace table {table} ({spelt})")
        self.shapes[table] = columns
        self.add(table, rows)

    def add(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows to a table that is laid already."""
        if not rows:
            return
        columns = self.shapes.get(table) or self._existing(table)
        used = [name for name in columns if any(name in row for row in rows)]
        one = "(" + ", ".join(f"cast(? as {columns[name]})" for name in used) + ")"
        names = ", ".join(f'"{name}"' for name in used)
        values = [row.get(name) for row in rows for name in used]
        self.con.execute(f"insert into {table} ({names}) values {', '.join([one] * len(rows))}", values)

    def clock(
        self,
        as_of: str,
        previous: str | None = None,
        timezone: str = "America/New_York",
        practice: str = "riverside",
    ) -> None:
        """Set the one row of policy.clock; the local date follows from the zone."""
        local = datetime.fromisoformat(as_of).astimezone(ZoneInfo(timezone)).date()
        row = {"as_of": as_of, "as_of_date": local, "previous_as_of": previous, "practice": practice}
        self.table("policy.clock", [{**row, "timezone": timezone}])

    def policies(self, **replaced: Sequence[Mapping[str, Any]]) -> None:
        """Fill policy.* with the shipped values; `policies(phone=[{...}])` replaces one table."""
        for table, rows in SHIPPED.items():
            self.table(table, replaced.get(table.removeprefix("policy."), rows))

    def build(self, *names: str) -> None:
        """Run the real .sql files of these models, each after those of them that it reads."""
        texts = {name: (self.root / f"{name.replace('.', '/')}.sql").read_text() for name in names}
        reads = {name: self._reads(text) for name, text in texts.items()}
        for name in _ordered(reads):
            for upstream in sorted(reads[name]):
                if upstream not in reads and upstream in self.shapes and not self._existing(upstream):
                    self.table(upstream, [])
            self.con.execute(f"create or replace table {name} as {texts[name]}")

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """The result of a query as dicts, in its own order."""
        result = self.con.execute(query, list(values))
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def _existing(self, table: str) -> dict[str, str]:
        schema, _, name = table.partition(".")
        found = self.con.execute(
            "select column_name, data_type from duckdb_columns() where schema_name = ? and table_name = ?",
            [schema, name],
        )
        return dict(found.fetchall())

    def _reads(self, sql: str) -> set[str]:
        row = self.con.execute("select json_serialize_sql(?)", [sql]).fetchone()
        tree = json.loads(row[0]) if row else {}
        assert not tree.get("error"), f"not SQL that DuckDB reads: {tree.get('error_message')}"
        return set(_tables(tree))


def _tables(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("type") == "BASE_TABLE" and node.get("schema_name"):
            yield f"{node['schema_name']}.{node['table_name']}"
        for value in node.values():
            yield from _tables(value)
    elif isinstance(node, list):
        for value in node:
            yield from _tables(value)


def _ordered(reads: Mapping[str, set[str]]) -> list[str]:
    done: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"models read each other in a circle: {' -> '.join((*path, name))}"
        for upstream in sorted(reads[name] & reads.keys() - {name}):
            visit(upstream, (*path, name))
        if name not in done:
            done.append(name)

    for name in reads:
        visit(name, ())
    return done


def _type_of(value: object) -> str:
    kinds: dict[type, str] = {
        bool: "BOOLEAN",
        int: "BIGINT",
        float: "DOUBLE",
        datetime: "TIMESTAMPTZ",
        date: "DATE",
        list: "VARCHAR[]",
    }
    return kinds.get(type(value), "VARCHAR")
