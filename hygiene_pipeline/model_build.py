"""Write, audit, publish: a model is built aside, tested, and only then put in the place of its old table.

A run that is killed, and a table that fails a blocking test, both leave what was published before untouched.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from hygiene_pipeline import model_quality
from hygiene_pipeline.expectations import run_expectations
from hygiene_pipeline.model_contracts import EXPECTATION, ContractError
from hygiene_pipeline.model_history import Types, described, ensure_histories, keep_history, quoted
from hygiene_pipeline.model_tests import TestCrashedError, Tested, TestResult, run_singly, run_together
from hygiene_pipeline.sql_models import Model

_AS_OF = "(select as_of from policy.clock)"


class ModelFailedError(Exception):
    """A model whose SQL cannot be run; says which and, where no value could leak, why."""


class BlockingTestFailedError(Exception):
    """A model that was built but not published, with the tests that kept it back."""


@dataclass(frozen=True, kw_only=True)
class Built:
    """A model after its build. If not `published`, the old table stands and the new one is in schema building."""

    model: str
    rows: int
    columns: tuple[tuple[str, str], ...]
    results: tuple[TestResult, ...]
    published: bool

    @property
    def failures(self) -> tuple[TestResult, ...]:
        """The tests that did not pass, warnings too."""
        return tuple(result for result in self.results if not result.passed)

    def raise_if_blocked(self) -> None:
        """Raise if a blocking test kept the table back: model, tests and counts, never a value."""
        if not self.published:
            told = "; ".join(f"{result.test}: {result.told}" for result in self.results if result.blocks)
            raise BlockingTestFailedError(f"{self.model} was not published: {told}")


def build_model(
    con: duckdb.DuckDBPyConnection,
    model: Model,
    *,
    publish_comments: bool = True,
    expectations: bool = True,
) -> Built:
    """Build, test and publish one model for the as_of of policy.clock.

    Must be called outside a transaction, with the tables of `model_quality` made: results and the keys of failing rows
    are kept there either way.
    `expectations=False` leaves Great Expectations out (its import alone takes seconds), blocking ones too.
    """
    if model.history and not described(con, model.history_table):
        ensure_histories(con, {model.name: model})
    expectations = expectations and any(test.type.startswith(EXPECTATION) for test in model.every_test)
    private = f"building.{quoted(f'{model.layer}_{model.table}')}"
    try:
        with _transaction(con):
            rows, types = _build(con, model, private)
            tested = run_together(con, model, private, types)
            if expectations:
                tested += run_expectations(con, model, private, types)
            published = _finish(con, model, private, types, tested, comments=publish_comments)
    except TestCrashedError:
        # The transaction is lost with the test that crashed; now step by step, to say which one it was.
        rows, types = _build(con, model, private)
        tested = run_singly(con, model, private, types)
        if expectations:
            tested += run_expectations(con, model, private, types, singly=True)
        with _transaction(con):
            published = _finish(con, model, private, types, tested, comments=publish_comments)
    columns = tuple(types.items())
    return Built(model=model.name, rows=rows, columns=columns, results=tested.results, published=published)


def _finish(
    con: duckdb.DuckDBPyConnection, model: Model, private: str, types: Types, tested: Tested, *, comments: bool
) -> bool:
    """Put the new table in the place of the old unless a blocking test failed; keep the results either way."""
    published = not any(result.blocks for result in tested.results)
    [(as_of,)] = con.execute("select as_of from policy.clock").fetchall()
    model_quality.keep_results(con, model.name, tested, as_of)
    if published:
        _publish(con, model, private, types, comments=comments)
        con.execute(f"drop table {private}")
    return published


def _build(con: duckdb.DuckDBPyConnection, model: Model, private: str) -> tuple[int, Types]:
    """Make the private table, in the order of the grain, and see that it is what it promises; its rows and types."""
    order = ", ".join(quoted(column) for column in model.grain) or "all"
    try:
        made = con.execute(f"create or replace table {private} as from ({model.sql}\n) order by {order}")
        [(rows,)] = made.fetchall()
    except duckdb.CatalogException as error:
        lacking = [table for table in (*model.dependencies, *model.history_reads) if not described(con, table)]
        told = f"reads {', '.join(lacking)}, not there yet" if lacking else _first_line(error)
        raise ModelFailedError(f"{model.name}: {told}") from None
    except (duckdb.BinderException, duckdb.ParserException) as error:
        raise ModelFailedError(f"{model.name}: {_first_line(error)}") from None
    except duckdb.Error as error:
        # Any other error may quote a value.
        raise ModelFailedError(f"{model.name}: {type(error).__name__} while it ran; run its file by hand") from None
    types = described(con, private)
    _check_promises(con, model, private, types)
    return rows, types


def _check_promises(con: duckdb.DuckDBPyConnection, model: Model, private: str, types: Types) -> None:
    unknown = [column.name for column in model.columns if column.name not in types]
    if unknown:
        raise ContractError(
            f"{model.name}: its models.yml has columns that the SQL does not give: {', '.join(unknown)}"
        )
    if model.materialized == "incremental" and "as_of" not in types:
        raise ContractError(f"{model.name}: is incremental and must give a column as_of")
    strays = f"select 1 from {private} where as_of is distinct from {_AS_OF} limit 1"
    if model.materialized == "incremental" and con.execute(strays).fetchone():
        raise ContractError(f"{model.name}: is incremental and gives rows of another as_of than the clock's")


def _publish(con: duckdb.DuckDBPyConnection, model: Model, private: str, types: Types, *, comments: bool) -> None:
    source = f"from {private}"
    if model.materialized == "incremental" and described(con, model.name):
        order = ", ".join(dict.fromkeys(["as_of", *map(quoted, model.grain)]))
        source = f"from (from {private} union all by name from {model.name} where as_of <> {_AS_OF}) order by {order}"
    con.execute(f"create or replace table {model.name} as {source}")
    if model.history:
        keep_history(con, model, private, types)
    if comments:
        con.execute(";".join(_comments(model, types)))


def _comments(model: Model, types: Types) -> Iterator[str]:
    """The words of the model and its columns, published into the warehouse itself."""
    yield f"comment on table {model.name} is {_literal(model.description)}"
    for column in model.columns:
        if column.description and column.name in types:
            yield f"comment on column {model.name}.{quoted(column.name)} is {_literal(column.description)}"


@contextmanager
def _transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    con.execute("begin transaction")
    try:
        yield
    except BaseException:
        con.execute("rollback")
        raise
    con.execute("commit")


def _first_line(error: duckdb.Error) -> str:
    """What an error about names says; its other lines quote the SQL."""
    return str(error).splitlines()[0]


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
