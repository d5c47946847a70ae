"""The data tests of a model: one set-based query finds what fails, by test and by key of the row.

A key names a row of the warehouse and stays there (`quality.check_failure`); results carry counts only. Tests named
`expect_*` are Great Expectations' and run in `expectations`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb

from hygiene_pipeline.model_contracts import EXPECTATION, Severity
from hygiene_pipeline.model_history import Types, described
from hygiene_pipeline.sql_models import Model, ModelTest
from hygiene_pipeline.sql_spelling import literal, quoted

KEPT_KEYS: Final = 1000
"""Failing rows are counted all, but no more keys than this are kept a test."""


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """What a test found: `failing` of `checked` rows, or `error` if it could not be run (then it did not pass)."""

    __test__ = False
    test: str
    model: str
    severity: Severity
    passed: bool
    checked: int
    failing: int
    error: str | None = None

    @property
    def blocks(self) -> bool:
        """Whether the table must not be published."""
        return not self.passed and self.severity == "error"

    @property
    def told(self) -> str:
        """What it found, in a few words without a value."""
        if self.passed:
            return "passed"
        return self.error or (f"{self.failing} of {self.checked} rows fail" if self.failing else "the table fails")


@dataclass(frozen=True, kw_only=True)
class Tested:
    """The results of all tests of a model, and the keys of failing rows by test."""

    __test__ = False
    results: tuple[TestResult, ...]
    keys: Mapping[str, tuple[str, ...]]

    def __add__(self, other: "Tested") -> "Tested":
        return Tested(results=self.results + other.results, keys={**self.keys, **other.keys})


class TestCrashedError(Exception):
    """Some test could not be run. A transaction around it is lost; `run_singly` finds out which test it was."""

    __test__ = False


def run_tests(con: duckdb.DuckDBPyConnection, model: Model, relation: str | None = None) -> Tested:
    """Run the SQL tests of `model` on `relation` (its own table by default), its grain among them."""
    relation = relation or model.name
    types = described(con, relation)
    try:
        return run_together(con, model, relation, types)
    except TestCrashedError:
        return run_singly(con, model, relation, types)


def run_together(con: duckdb.DuckDBPyConnection, model: Model, relation: str, types: Types) -> Tested:
    """All tests in one pass; raises TestCrashedError if one of them cannot be run."""
    tests = every_sql_test(model)
    able = [test for test in tests if not _missing(test, types)]
    try:
        found = _found(con, model, relation, able)
    except duckdb.Error as error:
        raise TestCrashedError(f"{model.name}: a test could not be run ({type(error).__name__})") from None
    return _tested(model, tests, found, {test.name: lack for test in tests if (lack := _missing(test, types))})


def run_singly(con: duckdb.DuckDBPyConnection, model: Model, relation: str, types: Types) -> Tested:
    """Every test by itself, so that one that cannot be run spoils only its own result."""
    tests = every_sql_test(model)
    found: _Found = {}
    errors: dict[str, str] = {}
    for test in tests:
        if lack := _missing(test, types):
            errors[test.name] = lack
            continue
        try:
            found |= _found(con, model, relation, [test])
        except duckdb.Error as error:
            errors[test.name] = f"could not be run ({type(error).__name__})"
    return _tested(model, tests, found, errors)


def every_sql_test(model: Model) -> tuple[ModelTest, ...]:
    """The tests of the model that are SQL."""
    return tuple(test for test in model.every_test if not test.type.startswith(EXPECTATION))


def key_of(model: Model) -> str:
    """The grain of a row as one text."""
    parts = ", ".join(f"coalesce(cast({quoted(column)} as varchar), '')" for column in model.grain)
    return f"concat_ws('|', {parts})" if parts else "''"


def _missing(test: ModelTest, types: Types) -> str | None:
    named = [test.column] if test.column else test.arguments.get("combination_of_columns", [])
    lacking = [str(column) for column in named if column not in types]
    return f"no column {', '.join(lacking)}" if lacking else None


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A test as SQL: `screen` is zero only if no row fails, `failing` gives the keys of those that do."""

    screen: str
    failing: str


def _not_null(model: Model, test: ModelTest, relation: str) -> _Asked:
    return _rows_where(model, test, relation, f"{quoted(str(test.column))} is null")


def _accepted_values(model: Model, test: ModelTest, relation: str) -> _Asked:
    column = f"cast({quoted(str(test.column))} as varchar)"
    values = ", ".join(literal(_spelt(value)) for value in test.arguments["values"])
    return _rows_where(model, test, relation, f"{column} not in ({values})")


def _rows_where(model: Model, test: ModelTest, relation: str, fault: str) -> _Asked:
    fault = _all(test.where, fault)
    return _Asked(
        screen=f"count(*) filter (where {fault})",
        failing=f"select {key_of(model)} as key from {relation} where {fault}",
    )


def _relationships(model: Model, test: ModelTest, relation: str) -> _Asked:
    column, to, field = quoted(str(test.column)), str(test.arguments["to"]), quoted(str(test.arguments["field"]))
    parents = relation if to == model.name else to
    keys = f"select cast({field} as varchar) from {parents} where {field} is not null"
    # The keys are compared as text: a type of its own in one system must not stop the test.
    failing = (
        f"select {key_of(model)} as key from {relation} "
        f"where {_all(test.where, f'{column} is not null')} and cast({column} as varchar) not in ({keys})"
    )
    return _Asked(screen=f"(select count(*) from ({failing}))", failing=failing)


def _unique(model: Model, test: ModelTest, relation: str) -> _Asked:
    column = quoted(str(test.column))
    return _repeated(model, _all(test.where, f"{column} is not null"), column, relation)


def _unique_combination(model: Model, test: ModelTest, relation: str) -> _Asked:
    columns = ", ".join(quoted(str(column)) for column in test.arguments["combination_of_columns"])
    return _repeated(model, _all(test.where), columns, relation)


def _repeated(model: Model, where: str, columns: str, relation: str) -> _Asked:
    """Rows alike in `columns`, nulls too; the screen may be wrong about a single null, the rows never are."""
    alike = f"row({columns})" if ", " in columns else columns
    return _Asked(
        screen=f"count(*) filter (where {where}) - count(distinct {alike}) filter (where {where})",
        failing=f"select {key_of(model)} as key from {relation} where {where} "
        f"qualify count(*) over (partition by {columns}) > 1",
    )


def _all(where: str | None, *conditions: str) -> str:
    """The conditions, on the rows the test is about."""
    return " and ".join([*([f"({where})"] if where else []), *conditions]) or "true"


_ASKED: Final[Mapping[str, Callable[[Model, ModelTest, str], _Asked]]] = {
    "not_null": _not_null,
    "unique": _unique,
    "accepted_values": _accepted_values,
    "relationships": _relationships,
    "unique_combination_of_columns": _unique_combination,
}

_Found = dict[str, tuple[int, int, tuple[str, ...]]]
"""By test: rows checked, rows failing, keys of failing rows."""


def _found(con: duckdb.DuckDBPyConnection, model: Model, relation: str, tests: Sequence[ModelTest]) -> _Found:
    """One pass says which tests fail; only of those are the rows looked up, together in a second query."""
    if not tests:
        return {}
    asked = {test.name: _ASKED[test.type](model, test, relation) for test in tests}
    wheres = list(dict.fromkeys(test.where for test in tests))
    checked = [f"count(*) filter (where {where})" if where else "count(*)" for where in wheres]
    screens = [asked[test.name].screen for test in tests]
    row = con.execute(f"select {', '.join([*checked, *screens])} from {relation}").fetchone() or ()
    counts = {test.name: int(row[wheres.index(test.where)]) for test in tests}
    failing = [name for name, count in zip(asked, row[len(wheres) :], strict=True) if count]
    found: _Found = {name: (counts[name], 0, ()) for name in asked}
    if failing:
        every = " union all ".join(
            f"(select {at} as test, key from ({asked[name].failing}))" for at, name in enumerate(failing)
        )
        rows = con.execute(f"select test, count(*), min(key, {KEPT_KEYS}) from ({every}) group by test").fetchall()
        found |= {failing[at]: (counts[failing[at]], int(count), tuple(keys)) for at, count, keys in rows}
    return found


def _tested(model: Model, tests: Sequence[ModelTest], found: _Found, errors: Mapping[str, str]) -> Tested:
    results = []
    for test in tests:
        checked, failing, _ = found.get(test.name, (0, 0, ()))
        error = errors.get(test.name)
        results.append(
            TestResult(
                test=test.name,
                model=model.name,
                severity=test.severity,
                passed=error is None and failing == 0,
                checked=checked,
                failing=failing,
                error=error,
            )
        )
    return Tested(results=tuple(results), keys={name: keys for name, (_, _, keys) in found.items() if keys})


def _spelt(value: object) -> str:
    """A value of a YAML file as DuckDB spells it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
