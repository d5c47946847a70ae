"""Great Expectations, for the `expect_*` tests of a model.

They run on a pandas frame cut to the columns they need, because that library's own DuckDB path does not work; in a
process of its own, or in this one if it has imported the library anyway.
"""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import duckdb

from hygiene_pipeline import expectation_suite
from hygiene_pipeline.expectation_aide import Aide, AideLostError, Work, aide
from hygiene_pipeline.expectation_suite import KEY, all_unknown
from hygiene_pipeline.model_contracts import EXPECTATION
from hygiene_pipeline.model_history import Types
from hygiene_pipeline.model_tests import TestCrashedError, Tested, key_of
from hygiene_pipeline.sql_models import Model, ModelTest
from hygiene_pipeline.sql_spelling import quoted

if TYPE_CHECKING:
    import pandas as pd

_COLUMN_ARGUMENTS: Final = ("column_A", "column_B", "column_list", "column_set")


def make_ready() -> None:
    """Have the library imported by the time that somebody asks for the first result; waits for nothing."""
    if not expectation_suite.is_loaded():
        aide()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The expectations of a model whose rows are read and which are being looked at, somewhere else if by an `aide`."""

    model: str
    work: tuple[Work, ...]
    singly: bool
    aide: Aide | None = None
    number: int = 0

    def answer(self) -> Tested:
        """What they found; waits for it."""
        if self.aide is None:
            return sum((part.done() for part in self.work), start=Tested(results=(), keys={}))
        try:
            return self.aide.answer(self.number)
        except AideLostError as error:
            return self._unknown(str(error))

    def _unknown(self, error: str) -> Tested:
        if not self.singly:
            raise TestCrashedError(f"{self.model}: {error}") from None
        tests = [test for part in self.work for test in part.tests]
        return all_unknown(self.model, tests, error)


def ask_expectations(
    con: duckdb.DuckDBPyConnection, model: Model, relation: str, types: Types, *, singly: bool = False
) -> Asked:
    """Have the `expect_*` tests of `model` run on `relation`, whose columns and types are given, as it is now.

    If the rows of some test cannot be read, or none can be run, that is their result when `singly`, else a
    TestCrashedError.
    """
    tests = [test for test in model.every_test if test.type.startswith(EXPECTATION)]
    work = []
    for where in dict.fromkeys(test.where for test in tests):
        group = [test for test in tests if test.where == where]
        columns = ", ".join(["", *map(quoted, _needed(group, types))])
        sql = f'select {key_of(model)} as "{KEY}"{columns} from {relation} where {where or "true"}'
        part = Work(model=model.name, tests=group, types=dict(types))
        try:
            work.append(replace(part, frame=_frame(con, sql)))
        except duckdb.Error as error:
            if not singly:
                raise TestCrashedError(f"{model.name}: rows could not be read ({type(error).__name__})") from None
            work.append(replace(part, unreadable=f"its rows could not be read ({type(error).__name__})"))
    return _asked(Asked(model=model.name, work=tuple(work), singly=singly))


def run_expectations(
    con: duckdb.DuckDBPyConnection, model: Model, relation: str, types: Types, *, singly: bool = False
) -> Tested:
    """As `ask_expectations`, and wait for what they find."""
    return ask_expectations(con, model, relation, types, singly=singly).answer()


def _asked(asked: Asked) -> Asked:
    if not asked.work or expectation_suite.is_loaded():
        return asked
    helper = aide()
    number = helper.ask(asked.work)
    # The rows are the aide's now.
    work = tuple(replace(part, frame=None) for part in asked.work)
    return replace(asked, work=work, aide=helper, number=number)


def _frame(con: duckdb.DuckDBPyConnection, sql: str) -> "pd.DataFrame":
    """The rows of a query, without DuckDB's use of a pandas argument that pandas 3.1 has deprecated showing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return con.execute(sql).df()


def _needed(tests: Iterable[ModelTest], types: Types) -> list[str]:
    """The columns that the tests speak of; all of them for a test of the table's own columns."""
    named: set[str] = set()
    for test in tests:
        if test.type.startswith("expect_table_column"):
            return list(types)
        named.add(test.column or "")
        for argument in _COLUMN_ARGUMENTS:
            given = test.arguments.get(argument, [])
            named.update([given] if isinstance(given, str) else given)
    return [column for column in types if column in named]
