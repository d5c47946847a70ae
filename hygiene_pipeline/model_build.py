"""Write, audit, publish: a model takes the place of its old table only if its blocking tests pass.

Writing, testing and publishing are one transaction, so a run that is killed, and a table that fails a blocking test,
leave what was published before untouched. A table that was kept back stands in schema `building`, to be looked at.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import duckdb

from hygiene_pipeline import build_marks, model_quality
from hygiene_pipeline.expectations import Asked, ask_expectations, run_expectations
from hygiene_pipeline.model_contracts import EXPECTATION, ContractError
from hygiene_pipeline.model_history import Types, described, ensure_histories, keep_history
from hygiene_pipeline.model_renewal import renew
from hygiene_pipeline.model_tests import TestCrashedError, Tested, TestResult, run_singly, run_together
from hygiene_pipeline.sql_models import Model
from hygiene_pipeline.sql_spelling import literal, quoted

_AS_OF = "(select as_of from policy.clock)"


class ModelFailedError(Exception):
    """A model whose SQL cannot be run; says which and, where no value could leak, why."""


class BlockingTestFailedError(Exception):
    """A model that was built but not published, with the tests that kept it back."""


@dataclass(frozen=True, kw_only=True)
class Built:
    """A model after its build. If not `published`, the old table stands and the new one is in schema building.

    A view has no `rows` of its own to count. Tests that are only warned of may still be `asked`: see `finished`.
    """

    model: str
    rows: int | None
    columns: tuple[tuple[str, str], ...]
    tested: Tested
    published: bool
    asked: Asked | None = None

    @property
    def results(self) -> tuple[TestResult, ...]:
        """The results so far."""
        return self.tested.results

    @property
    def failures(self) -> tuple[TestResult, ...]:
        """The tests that did not pass, warnings too."""
        return tuple(result for result in self.results if not result.passed)

    def raise_if_blocked(self) -> None:
        """Raise if a blocking test kept the table back: model, tests and counts, never a value."""
        if not self.published:
            told = "; ".join(f"{result.test}: {result.told}" for result in self.results if result.blocks)
            raise BlockingTestFailedError(f"{self.model} was not published: {told}")


class _KeptBackError(Exception):
    """Rolls back a table that failed a blocking test."""


@dataclass(frozen=True, kw_only=True)
class _Task:
    """A model to be built, and how."""

    con: duckdb.DuckDBPyConnection
    model: Model
    comments: bool
    expects: Literal["nothing", "to be warned", "to be kept back"]

    @property
    def may_be_kept_back(self) -> bool:
        """Whether an expectation has a say in what is published."""
        return self.expects == "to be kept back"

    @property
    def aside(self) -> str:
        return f"building.{quoted(f'{self.model.layer}_{self.model.table}')}"


def build_model(
    con: duckdb.DuckDBPyConnection,
    model: Model,
    *,
    publish_comments: bool = True,
    expectations: bool = True,
    wait: bool = True,
) -> Built:
    """Build, test and publish one model for the as_of of policy.clock.

    With `wait` false, Great Expectations that cannot keep the table back may still be at work: `finished` waits.

    Must be called outside a transaction, with the tables of `model_quality` made: results and the keys of failing rows
    are kept there either way. `expectations=False` leaves Great Expectations out, blocking ones too.
    """
    if model.history and not described(con, model.history_table):
        ensure_histories(con, {model.name: model})
    task = _Task(
        con=con, model=model, comments=publish_comments, expects=_expects(model) if expectations else "nothing"
    )
    try:
        with _transaction(con):
            built = _built_in_place(task)
    except (TestCrashedError, _KeptBackError):
        # The transaction is lost. Once more, beside the old table: to say which test crashed, and to keep what failed.
        built = _built_aside(task)
    if task.expects == "to be warned":
        # After the transaction: rows that cannot be read would be its end.
        relation = model.name if built.published else task.aside
        built = replace(built, asked=ask_expectations(con, model, relation, dict(built.columns), singly=True))
    return finished(con, built) if wait else built


def finished(con: duckdb.DuckDBPyConnection, built: Built) -> Built:
    """The same with the results of every test, which are kept; waits for those that are still asked."""
    if built.asked is None:
        return built
    tested = built.tested + built.asked.answer()
    with _transaction(con):
        model_quality.keep_results(con, built.model, tested)
    return replace(built, tested=tested, asked=None)


def _expects(model: Model) -> Literal["nothing", "to be warned", "to be kept back"]:
    tests = [test for test in model.every_test if test.type.startswith(EXPECTATION)]
    if not tests:
        return "nothing"
    # Of an incremental model only the part that was built is looked at, and it is gone once it is published.
    is_for_later = model.materialized != "incremental" and not any(test.blocking for test in tests)
    return "to be warned" if is_for_later else "to be kept back"


def _built_in_place(task: _Task) -> Built:
    """The usual way, in one transaction; an incremental model is built aside first, as it is a part of its table."""
    con, model = task.con, task.model
    table = task.aside if model.materialized == "incremental" else model.name
    rows, types = _build(con, model, table)
    asked = ask_expectations(con, model, table, types) if task.may_be_kept_back else None
    tested = run_together(con, model, table, types)
    if asked:
        tested += asked.answer()
    if any(result.blocks for result in tested.results):
        raise _KeptBackError
    _publish(task, table, types)
    model_quality.keep_results(con, model.name, tested)
    build_marks.keep_marks(con, {model.name: model.code_version})
    return Built(model=model.name, rows=rows, columns=tuple(types.items()), tested=tested, published=True)


def _built_aside(task: _Task) -> Built:
    """The way of a table with a fault."""
    con, model = task.con, task.model
    rows, types = _build(con, model, task.aside)
    tested = run_singly(con, model, task.aside, types)
    if task.may_be_kept_back:
        tested += run_expectations(con, model, task.aside, types, singly=True)
    published = not any(result.blocks for result in tested.results)
    with _transaction(con):
        if published:
            _publish(task, task.aside, types)
            build_marks.keep_marks(con, {model.name: model.code_version})
        model_quality.keep_results(con, model.name, tested)
    return Built(model=model.name, rows=rows, columns=tuple(types.items()), tested=tested, published=published)


def _build(con: duckdb.DuckDBPyConnection, model: Model, table: str) -> tuple[int | None, Types]:
    """Make the table and see that it is what it promises; its rows and types."""
    try:
        rows = _make(con, model, table)
    except duckdb.CatalogException as error:
        lacking = [table for table in (*model.dependencies, *model.history_reads) if not described(con, table)]
        told = f"reads {', '.join(lacking)}, not there yet" if lacking else _first_line(error)
        raise ModelFailedError(f"{model.name}: {told}") from None
    except (duckdb.BinderException, duckdb.ParserException) as error:
        raise ModelFailedError(f"{model.name}: {_first_line(error)}") from None
    except duckdb.Error as error:
        # Any other error may quote a value.
        raise ModelFailedError(f"{model.name}: {type(error).__name__} while it ran; run its file by hand") from None
    types = described(con, table)
    _check_promises(con, model, table, types)
    return rows, types


def _make(con: duckdb.DuckDBPyConnection, model: Model, table: str) -> int | None:
    """Make the table in the order of the grain, or the view; its rows."""
    if model.renewal:
        _clear_other_kind(con, model, table)
        renew(con, model, model.renewal, table)
        [(rows,)] = con.execute(f"select count(*) from {table}").fetchall()
        return int(rows)
    is_view = model.materialized == "view"
    order = ", ".join(quoted(column) for column in model.grain) or "all"
    kind, ordered = ("view", "") if is_view else ("table", f" order by {order}")
    sql = f"create or replace {kind} {table} as from ({model.sql}\n){ordered}"
    try:
        made = con.execute(sql)
    except duckdb.CatalogException:
        # It reads what is not there, or, which is as rare, it was of the other kind.
        if not _clear_other_kind(con, model, table):
            raise
        made = con.execute(sql)
    return None if is_view else int(made.fetchall()[0][0])


def _clear_other_kind(con: duckdb.DuckDBPyConnection, model: Model, table: str) -> bool:
    """A table is not replaced by a view, nor the other way: a model that changed its kind goes first. If one went."""
    wrong = "table" if model.materialized == "view" else "view"
    schema, _, name = table.partition(".")
    found = con.execute(
        f"select 1 from duckdb_{wrong}s() where database_name = current_database() and schema_name = $1"
        f" and {wrong}_name = $2",
        [schema, name.strip('"')],
    )
    if not found.fetchone():
        return False
    con.execute(f"drop {wrong} {table}")
    return True


def _check_promises(con: duckdb.DuckDBPyConnection, model: Model, table: str, types: Types) -> None:
    unknown = [column.name for column in model.columns if column.name not in types]
    if unknown:
        raise ContractError(
            f"{model.name}: its models.yml has columns that the SQL does not give: {', '.join(unknown)}"
        )
    if model.materialized == "incremental" and "as_of" not in types:
        raise ContractError(f"{model.name}: is incremental and must give a column as_of")
    strays = f"select 1 from {table} where as_of is distinct from {_AS_OF} limit 1"
    if model.materialized == "incremental" and con.execute(strays).fetchone():
        raise ContractError(f"{model.name}: is incremental and gives rows of another as_of than the clock's")


def _publish(task: _Task, source: str, types: Types) -> None:
    """Let the table stand for all: its earlier rows if it is incremental, its history, its words."""
    con, model = task.con, task.model
    if model.materialized == "incremental" and described(con, model.name):
        order = ", ".join(dict.fromkeys(map(quoted, ["as_of", *model.grain])))
        earlier = f"from {model.name} where as_of <> {_AS_OF}"
        con.execute(
            f"create or replace table {model.name} as from (from {source} union all by name {earlier}) order by {order}"
        )
    elif source != model.name and model.materialized == "view":
        _build(con, model, model.name)
    elif source != model.name:
        con.execute(f"create or replace table {model.name} as from {source}")
    if model.history:
        keep_history(con, model, source, types)
    if task.comments:
        con.execute(";".join(_comments(model, types)))
    kind = "view" if model.materialized == "view" else "table"
    con.execute(f"drop {kind} if exists {task.aside}")


def _comments(model: Model, types: Types) -> Iterator[str]:
    """The words of the model and its columns, published into the warehouse itself."""
    kind = "view" if model.materialized == "view" else "table"
    yield f"comment on {kind} {model.name} is {literal(model.description)}"
    for column in model.columns:
        if column.description and column.name in types:
            yield f"comment on column {model.name}.{quoted(column.name)} is {literal(column.description)}"


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
