"""Lineage is worked out once for a shape, and again when the shape changes."""

from pathlib import Path

import duckdb
import pytest

from hygiene_pipeline.lineage_store import LineageStore
from hygiene_pipeline.model_build import Built
from hygiene_pipeline.model_tests import Tested
from hygiene_pipeline.sql_models import Model

NOTHING = Tested(results=(), keys={})


def model(sql: str) -> Model:
    return Model(
        name="hygiene.it",
        sql=sql,
        path=Path("it.sql"),
        description="",
        grain=("a",),
        columns=(),
        tests=(),
        materialized="table",
        history=False,
        owner=None,
        dependencies=("staging.t",),
        history_reads=(),
        output_names=(),
    )


def kept_lineage(con, of: Model):
    """As a run finds it that has not built anything yet."""
    return LineageStore(con, [of]).lineage(of)


@pytest.fixture
def con():
    con = duckdb.connect()
    con.execute("create schema staging; create schema quality; create table staging.t (a integer, b integer)")
    return con


def test_a_second_look_reads_what_the_first_kept(con):
    first = kept_lineage(con, model("select a, b as c from staging.t"))
    assert first == {"a": (("staging.t", "a"),), "c": (("staging.t", "b"),)}
    con.execute("""update quality.column_lineage set lineage = '{"a": [["staging.t", "b"]]}'""")
    assert kept_lineage(con, model("select a, b as c from staging.t")) == {"a": (("staging.t", "b"),)}


@pytest.mark.parametrize("change", ["sql", "shape"])
def test_a_change_is_followed(con, change):
    kept_lineage(con, model("select a from staging.t"))
    if change == "shape":
        con.execute("alter table staging.t add column z integer")
    sql = "select b as a from staging.t" if change == "sql" else "select a from staging.t"
    assert kept_lineage(con, model(sql)) == {"a": (("staging.t", "b" if change == "sql" else "a"),)}
    assert con.execute("select count(*) from quality.column_lineage").fetchone() == (1,)


@pytest.mark.parametrize(
    ("rows", "columns"), [(0, ["a", "z"]), (None, ["a", "b"])], ids=["a table's new columns", "a view's are not"]
)
def test_what_was_just_built_is_known_without_another_look(con, rows, columns):
    of = model("select * from staging.t")
    store = LineageStore(con, [of])
    store.follow(
        Built(
            model="staging.t", rows=rows, columns=(("a", "INTEGER"), ("z", "INTEGER")), tested=NOTHING, published=True
        )
    )
    assert store.lineage(of) == {column: (("staging.t", column),) for column in columns}
