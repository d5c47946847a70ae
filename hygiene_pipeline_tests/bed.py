"""A tiny warehouse in memory in which a test lays rows and runs the real SQL files.

    bed = Bed()
    bed.clock("2026-03-01T07:00:00Z")
    bed.policies()
    bed.table("staging.crm_contact", [{"contact_id": "c1", "phone": "+16172530000"}])
    bed.build("hygiene.contact_status")
    bed.rows("select phone_state from hygiene.contact_status")

A table that a model reads and the test does not lay exists with its declared columns and no rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from hygiene_pipeline import build_marks, model_quality
from hygiene_pipeline.landing import eligibility, fhir_ndjson, ledger, replies, tabular
from hygiene_pipeline.model_build import build_model
from hygiene_pipeline.model_contracts import ContractError, ModelContract, read_contracts
from hygiene_pipeline.model_history import described, ensure_histories
from hygiene_pipeline.model_tests import run_tests
from hygiene_pipeline.policies.load import merged
from hygiene_pipeline.policies.tables import write_policy_tables
from hygiene_pipeline.practice import Practice
from hygiene_pipeline.sql_models import GRAIN_TEST, Model, make_model, topological
from hygiene_pipeline.sql_text import read_sql
from hygiene_pipeline_tests.shapes import PRACTICE, SHAPES

SQL = Path(__file__).resolve().parents[1] / "dbt_like_sql"
SCHEMAS = "raw quarantine staging identity reconciled hygiene sync care metrics policy quality history building"


class Bed:
    """An in-memory warehouse with every schema, the clock's time zone set to UTC, and declared table shapes."""

    def __init__(self, root: Path = SQL) -> None:
        self.root = root
        # As the product opens what is small: for a few rows a second thread costs more than it brings.
        self.con = duckdb.connect(config={"threads": 1})
        self.con.execute("set timezone = 'UTC'")
        for schema in SCHEMAS.split():
            self.con.execute(f"create schema {schema}")
        model_quality.create_tables(self.con)
        build_marks.create_tables(self.con)
        self.shapes: dict[str, dict[str, str]] = {name: dict(columns) for name, columns in SHAPES.items()}
        self.clock("2026-03-01T07:00:00Z")

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
        for table, rows in shipped_policies().items():
            self.table(table, replaced.get(table.removeprefix("policy."), rows))

    def raw(self) -> None:
        """Create every raw table as the loaders do, empty; `table("raw.…", rows)` then knows their columns."""
        for loader in (ledger, tabular, eligibility, fhir_ndjson, replies):
            loader.create_tables(self.con)

    def build(self, *names: str) -> None:
        """Build these models from their real files, each after those of them that it reads, history included.

        Data tests do not run (see `failures`), but the grain must hold.
        """
        models = models_of(self.root)
        there = self._there()
        for name in topological(models, names):
            model = models[name]
            self._lay_what_is_missing(model, there)
            grain = tuple(test for test in model.tests if test.name == GRAIN_TEST)
            untested = replace(model, tests=grain, columns=tuple(replace(column, tests=()) for column in model.columns))
            built = build_model(self.con, untested, publish_comments=False, expectations=False)
            assert built.published, f"{name}: the grain {model.grain} does not hold"
            there |= {name, *([model.history_table] if model.history else [])}

    def failures(self, name: str) -> dict[str, int]:
        """How many rows fail each data test of a built model (SQL tests only; -1 for one that cannot be run)."""
        tested = run_tests(self.con, models_of(self.root)[name])
        return {result.test: -1 if result.error else result.failing for result in tested.results if not result.passed}

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """The result of a query as dicts, in its own order."""
        result = self.con.execute(query, list(values))
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def _existing(self, table: str) -> dict[str, str]:
        return described(self.con, table)

    def _there(self) -> set[str]:
        """Every table and view that exists."""
        return {
            name
            for (name,) in self.con.execute(
                "select schema_name || '.' || table_name from duckdb_tables()"
                " union all select schema_name || '.' || view_name from duckdb_views() where not internal"
            ).fetchall()
        }

    def _lay_what_is_missing(self, model: Model, there: set[str]) -> None:
        for upstream in model.dependencies:
            if upstream in self.shapes and upstream not in there:
                self.table(upstream, [])
                there.add(upstream)
        for history in model.history_reads + ((model.history_table,) if model.history else ()):
            if history not in there and (types := self.shapes.get(history) or _histories(self.root).get(history)):
                self.table(history, [], types)
                there.add(history)


def models_of(root: Path) -> dict[str, Model]:
    """Every model under `root`; those of the project are read once, those of a test each time."""
    return _shipped_models() if root == SQL else _models_of(root)


@cache
def _shipped_models() -> dict[str, Model]:
    return _models_of(SQL)


def _models_of(root: Path) -> dict[str, Model]:
    """Every model under `root`; one that no models.yml describes has no grain and no words."""
    contracts = {
        f"{file.parent.name}.{contract.name}": contract
        for file in sorted(root.glob("*/models*.yml"))
        for contract in _contracts(file)
    }
    files = {f"{file.parent.name}.{file.stem}": file for file in sorted(root.glob("*/*.sql"))}
    texts = {name: file.read_text() for name, file in files.items()}
    facts = read_sql(texts)
    return {
        name: make_model(
            file, texts[name], contracts.get(name) or ModelContract(name=file.stem, description=""), facts[name]
        )
        for name, file in files.items()
    }


def _contracts(file: Path) -> tuple[ModelContract, ...]:
    """What a models file says; one that cannot be read is the business of its own test."""
    try:
        return read_contracts(file.read_text(), file.name)
    except ContractError:
        return ()


@cache
def shipped_policies() -> dict[str, list[dict[str, Any]]]:
    """The rows of every policy table but the clock, as the product writes them from its own files."""
    bed = Bed()
    practice = Practice.model_validate({**PRACTICE, "policies": merged({})})
    written = write_policy_tables(bed.con, practice, as_of=datetime(2026, 3, 1, 7, tzinfo=UTC))
    return {f"policy.{name}": bed.rows(f"from policy.{name}") for name in written if name != "clock"}


@cache
def _histories(root: Path) -> dict[str, dict[str, str]]:
    """Columns and types of every history, worked out once from the real SQL over the declared shapes."""
    bed = Bed(root)
    bed.raw()
    for table in bed.shapes:
        bed.table(table, [])
    models = models_of(root)
    ensure_histories(bed.con, models)
    return {
        model.history_table: types
        for model in models.values()
        if model.history and (types := bed._existing(model.history_table))
    }


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
