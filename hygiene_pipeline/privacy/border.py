"""The expectations that a published database must meet before it takes the old one's place."""

import threading
from pathlib import Path
from typing import Any

import duckdb

from hygiene_pipeline.expectations import run_expectations
from hygiene_pipeline.failures import NightStoppedError
from hygiene_pipeline.model_history import described
from hygiene_pipeline.model_tests import TestResult
from hygiene_pipeline.privacy.roles import Role
from hygiene_pipeline.sql_models import Model, ModelTest
from hygiene_pipeline.sql_spelling import quoted

_one_at_a_time = threading.Lock()


def take_as_it_is(con: duckdb.DuckDBPyConnection, role: Role, catalog: str) -> None:
    """No expectations: for runs that leave Great Expectations out."""


def meet_expectations(role_name: str, con: duckdb.DuckDBPyConnection, role: Role, catalog: str) -> None:
    """Run the role's Great Expectations on its draft, attached as `catalog`; raises if one is not met.

    One role after the other, however many threads ask: there is one process that looks.
    """
    with _one_at_a_time:
        results = [
            result
            for table, expectations in role.expectations.items()
            for result in _run(con, role_name, catalog, table, expectations)
        ]
    failed = [result for result in results if not result.passed]
    if failed:
        told = "; ".join(f"{each.model} {each.test}: {each.error or f'{each.failing} rows'}" for each in failed)
        raise NightStoppedError(f"published/{role_name}.duckdb was not replaced: {told}")


def _run(
    con: duckdb.DuckDBPyConnection,
    role_name: str,
    catalog: str,
    table: str,
    expectations: list[dict[str, dict[str, Any]]],
) -> tuple[TestResult, ...]:
    relation = f"{quoted(catalog)}.{table}"
    types = described(con, relation)
    tests = tuple(
        ModelTest(
            name=f"{name}_{number}",
            type=name,
            column=arguments.get("column"),
            arguments={key: value for key, value in arguments.items() if key != "column"},
            severity="error",
            where=None,
        )
        for number, expectation in enumerate(expectations)
        for name, arguments in expectation.items()
    )
    model = Model(
        name=f"{role_name}.{table.replace('.', '_')}",
        sql="",
        path=Path(),
        description="",
        grain=(next(iter(types)),),
        slice_by=(),
        columns=(),
        tests=tests,
        materialized="table",
        history=False,
        owner=None,
        dependencies=(),
        history_reads=(),
        output_names=(),
    )
    return run_expectations(con, model, relation, types).results
