"""A model is built aside, tested, then published; what was published before survives a bad table and a killed run."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from hygiene_pipeline import build_marks, model_quality
from hygiene_pipeline.model_build import BlockingTestFailedError, ModelFailedError, build_model
from hygiene_pipeline.model_contracts import ContractError
from hygiene_pipeline.model_history import ensure_histories
from hygiene_pipeline.sql_models import Model, load_models, topological
from hygiene_pipeline_tests.bed import Bed
from hygiene_pipeline_tests.model_files import one_model, write_model

FIRST, SECOND, THIRD = "2026-03-01T07:00:00Z", "2026-03-02T07:00:00Z", "2026-03-03T07:00:00Z"
LETTERS = {"id": "VARCHAR", "letter": "VARCHAR"}
LETTER = """
description: One row per id. It's a letter.
config: {meta: {grain: [id]}}
columns:
  - {name: id, description: The id.}
  - name: letter
    description: "The id's letter."
    data_tests: [{accepted_values: {arguments: {values: [a, b, c]}}}]
"""
KEPT = LETTER.replace("{grain: [id]}", "{grain: [id], history: true}")


@pytest.fixture
def bed() -> Bed:
    bed = Bed()
    bed.declare("raw.letter", LETTERS)
    bed.table("raw.letter", [{"id": "2", "letter": "b"}, {"id": "1", "letter": "a"}, {"id": "3", "letter": "c"}])
    return bed


@pytest.fixture
def letter(tmp_path: Path) -> Model:
    return one_model(tmp_path, "hygiene.letter", "-- Letters.\nselect id, letter from raw.letter", LETTER)


def night(bed: Bed, model: Model, as_of: str, **letters: str) -> None:
    """One night with these rows, ids without their `i`."""
    bed.clock(as_of)
    bed.table("raw.letter", [{"id": id_[1:], "letter": letter} for id_, letter in letters.items()])
    build_model(bed.con, model).raise_if_blocked()


def test_a_good_table_is_published_in_the_order_of_its_grain(bed: Bed, letter: Model) -> None:
    built = build_model(bed.con, letter)
    assert built.published
    assert (built.rows, built.columns) == (3, (("id", "VARCHAR"), ("letter", "VARCHAR")))
    assert [result.passed for result in built.results] == [True, True]
    assert [row["id"] for row in bed.rows("from hygiene.letter")] == ["1", "2", "3"]


def test_the_words_are_published_with_the_table(bed: Bed, letter: Model) -> None:
    build_model(bed.con, letter)
    [table] = bed.rows("select comment from duckdb_tables() where schema_name = 'hygiene'")
    assert table["comment"] == "One row per id. It's a letter."
    columns = bed.rows("select column_name, comment from duckdb_columns() where schema_name = 'hygiene' order by 1")
    assert columns == [
        {"column_name": "id", "comment": "The id."},
        {"column_name": "letter", "comment": "The id's letter."},
    ]


def test_words_can_be_left_out(bed: Bed, letter: Model) -> None:
    build_model(bed.con, letter, publish_comments=False)
    assert bed.rows("select comment from duckdb_tables() where schema_name = 'hygiene'") == [{"comment": None}]


def test_a_table_that_fails_a_blocking_test_leaves_the_old_one_and_is_kept_aside(bed: Bed, letter: Model) -> None:
    build_model(bed.con, letter)
    bed.table("raw.letter", [{"id": "1", "letter": "x"}, {"id": "2", "letter": "secret"}])
    built = build_model(bed.con, letter)
    assert not built.published
    assert len(bed.rows("from hygiene.letter")) == 3
    assert len(bed.rows('from building."hygiene_letter"')) == 2
    with pytest.raises(BlockingTestFailedError) as raised:
        built.raise_if_blocked()
    assert str(raised.value) == "hygiene.letter was not published: accepted_values_letter: 2 of 2 rows fail"
    assert bed.rows("select key, first_seen = last_seen as once from quality.check_failure order by key") == [
        {"key": "1", "once": True},
        {"key": "2", "once": True},
    ]


def test_a_healed_table_is_published_and_nothing_stays_aside(bed: Bed, letter: Model) -> None:
    night(bed, letter, FIRST, i1="a")
    bed.table("raw.letter", [{"id": "1", "letter": "x"}])
    build_model(bed.con, letter)
    night(bed, letter, SECOND, i1="b")
    assert bed.rows("from hygiene.letter") == [{"id": "1", "letter": "b"}]
    assert not bed.rows("select 1 from duckdb_tables() where schema_name = 'building'")


def test_rows_that_share_the_grain_are_never_published(bed: Bed, letter: Model) -> None:
    bed.table("raw.letter", [{"id": "1", "letter": "a"}, {"id": "1", "letter": "b"}, {"id": "2", "letter": "b"}])
    built = build_model(bed.con, letter)
    assert not built.published
    assert [(result.test, result.failing) for result in built.failures] == [("grain_is_unique", 2)]


def test_a_warning_publishes(bed: Bed, tmp_path: Path) -> None:
    words = LETTER.replace("values: [a, b, c]}", "values: [a]}, config: {severity: warn}")
    built = build_model(bed.con, one_model(tmp_path, "hygiene.letter", "select id, letter from raw.letter", words))
    assert built.published
    assert [(result.test, result.failing, result.blocks) for result in built.failures] == [
        ("accepted_values_letter", 2, False)
    ]


def test_a_blocking_test_that_cannot_be_run_keeps_the_table_back(bed: Bed, tmp_path: Path) -> None:
    words = LETTER.replace("values: [a, b, c]}", "values: [a]}, config: {where: cast(letter as integer) > 0}")
    built = build_model(bed.con, one_model(tmp_path, "hygiene.letter", "select id, letter from raw.letter", words))
    assert not built.published
    [failure] = built.failures
    assert (failure.test, failure.error) == ("accepted_values_letter", "could not be run (ConversionException)")
    assert [result.test for result in built.results if result.passed] == ["grain_is_unique"]


def test_an_error_while_the_sql_runs_tells_no_value(bed: Bed, tmp_path: Path) -> None:
    bed.table("raw.letter", [{"id": "1", "letter": "Ada Lovelace"}])
    model = one_model(
        tmp_path, "hygiene.letter", "select id, cast(letter as integer) as letter from raw.letter", LETTER
    )
    with pytest.raises(ModelFailedError) as raised:
        build_model(bed.con, model)
    assert str(raised.value) == "hygiene.letter: ConversionException while it ran; run its file by hand"
    assert raised.value.__suppress_context__


def test_an_error_about_names_says_which(bed: Bed, tmp_path: Path) -> None:
    with pytest.raises(ModelFailedError, match=r"hygiene\.letter: reads raw\.nothing, not there yet"):
        build_model(bed.con, one_model(tmp_path, "hygiene.letter", "select id, letter from raw.nothing", LETTER))
    assert bed.rows("select 1 as alive") == [{"alive": 1}]


def test_words_about_a_column_that_is_not_there_are_refused(bed: Bed, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"hygiene\.letter: .* does not give: letter$|SQL does not give: letter"):
        build_model(bed.con, one_model(tmp_path, "hygiene.letter", "select id from raw.letter", LETTER))


KILLED = """
import os, sys
from pathlib import Path
import duckdb
from hygiene_pipeline.model_build import build_model
from hygiene_pipeline.sql_models import load_models

class Dying:
    "Passes statements on, and dies when the table is replaced but its words are not yet there."
    def __init__(self, con):
        self.con = con
    def execute(self, sql, *values):
        if sql.startswith("comment on"):
            os._exit(9)
        return self.con.execute(sql, *values)

build_model(Dying(duckdb.connect(sys.argv[1])), load_models(Path(sys.argv[2]))["hygiene.letter"])
"""


def test_a_run_that_is_killed_while_publishing_leaves_the_old_table_whole(tmp_path: Path) -> None:
    model = one_model(tmp_path, "hygiene.letter", "select id, letter from raw.letter", KEPT)
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as con:
        for schema in ("raw", "hygiene", "history", "building", "policy"):
            con.execute(f"create schema {schema}")
        model_quality.create_tables(con)
        build_marks.create_tables(con)
        con.execute("create table policy.clock as select timestamptz '2026-03-01 07:00:00Z' as as_of")
        con.execute("create table raw.letter as select '1' as id, 'a' as letter")
        build_model(con, model).raise_if_blocked()
        con.execute("create or replace table policy.clock as select timestamptz '2026-03-02 07:00:00Z' as as_of")
        con.execute("create or replace table raw.letter as select unnest(['1', '2']) as id, 'b' as letter")
    ran = subprocess.run([sys.executable, "-c", KILLED, str(file), str(tmp_path)], check=False)
    assert ran.returncode == 9
    with duckdb.connect(str(file)) as con:
        assert con.execute("from hygiene.letter").fetchall() == [("1", "a")]
        assert con.execute("select letter from history.hygiene_letter").fetchall() == [("a",)]


def test_an_incremental_model_replaces_the_rows_of_its_as_of_and_keeps_the_rest(bed: Bed, tmp_path: Path) -> None:
    sql = "select (select as_of from policy.clock) as as_of, count(*) as contacts from raw.letter"
    words = "description: One row per night.\nconfig: {materialized: incremental, meta: {grain: [as_of]}}"
    model = one_model(tmp_path, "metrics.size", sql, words)
    night(bed, model, SECOND, i1="a", i2="b")
    night(bed, model, FIRST, i1="a")
    night(bed, model, SECOND, i1="a", i2="b", i3="c")
    rows = bed.rows("select strftime(as_of, '%d') as day, contacts from metrics.size")
    assert rows == [{"day": "01", "contacts": 1}, {"day": "02", "contacts": 3}]


def test_an_incremental_model_may_gain_a_column(bed: Bed, tmp_path: Path) -> None:
    words = "description: One row per night.\nconfig: {materialized: incremental, meta: {grain: [as_of]}}"
    sql = "select (select as_of from policy.clock) as as_of, count(*) as contacts from raw.letter"
    night(bed, one_model(tmp_path, "metrics.size", sql, words), FIRST, i1="a")
    wider = sql.replace("count(*)", "max(letter) as last, count(*)")
    night(bed, one_model(tmp_path, "metrics.size", wider, words), SECOND, i1="b")
    assert bed.rows("select last, contacts from metrics.size") == [
        {"last": None, "contacts": 1},
        {"last": "b", "contacts": 1},
    ]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select count(*) as contacts from raw.letter", "must give a column as_of"),
        ("select timestamptz '2020-01-01' as as_of, count(*) as contacts from raw.letter", "another as_of"),
    ],
)
def test_an_incremental_model_gives_rows_of_the_clock_only(bed: Bed, tmp_path: Path, sql: str, message: str) -> None:
    words = "description: One row per night.\nconfig: {materialized: incremental}"
    with pytest.raises(ContractError, match=message):
        build_model(bed.con, one_model(tmp_path, "metrics.size", sql, words))


def history(bed: Bed) -> list[tuple[str, str, str]]:
    rows = bed.rows("select strftime(as_of, '%d') as day, id, letter from history.hygiene_letter order by all")
    return [(row["day"], row["id"], row["letter"]) for row in rows]


VIEW = LETTER.replace("config: {meta:", "config: {materialized: view, meta:")


def test_a_view_shows_what_its_tables_hold_now_and_is_not_counted(bed: Bed, tmp_path: Path) -> None:
    view = one_model(tmp_path, "hygiene.letter", "select id, letter from raw.letter", VIEW)
    built = build_model(bed.con, view)
    assert (built.published, built.rows) == (True, None)
    assert [result.test for result in built.results] == ["accepted_values_letter"]
    bed.table("raw.letter", [{"id": "1", "letter": "b"}])
    assert bed.rows("from hygiene.letter") == [{"id": "1", "letter": "b"}]
    [words] = bed.rows("select comment from duckdb_views() where schema_name = 'hygiene'")
    assert words["comment"] == "One row per id. It's a letter."


def test_a_model_may_become_a_view_and_a_table_again(bed: Bed, letter: Model, tmp_path: Path) -> None:
    build_model(bed.con, letter)
    build_model(bed.con, one_model(tmp_path / "new", "hygiene.letter", "select id, letter from raw.letter", VIEW))
    assert not bed.rows("select 1 from duckdb_tables() where schema_name = 'hygiene'")
    build_model(bed.con, letter)
    assert not bed.rows("select 1 from duckdb_views() where schema_name = 'hygiene'")
    assert len(bed.rows("from hygiene.letter")) == 3


def test_a_view_that_fails_a_blocking_test_stops_the_run(bed: Bed, tmp_path: Path) -> None:
    view = one_model(tmp_path, "hygiene.letter", "select id, letter from raw.letter", VIEW)
    bed.table("raw.letter", [{"id": "1", "letter": "x"}])
    assert not build_model(bed.con, view).published
    bed.table("raw.letter", [{"id": "1", "letter": "a"}])
    assert build_model(bed.con, view).published
    assert not bed.rows("select 1 from duckdb_views() where schema_name = 'building'")


def test_history_keeps_only_what_is_new_or_changed(bed: Bed, tmp_path: Path) -> None:
    model = one_model(tmp_path, "hygiene.letter", "select id, letter from raw.letter", KEPT)
    night(bed, model, FIRST, i1="a", i2="b")
    night(bed, model, SECOND, i1="a", i2="c", i3="a")
    night(bed, model, THIRD, i1="a", i2="b")
    assert history(bed) == [("01", "1", "a"), ("01", "2", "b"), ("02", "2", "c"), ("02", "3", "a"), ("03", "2", "b")]


def test_a_night_run_again_replaces_its_own_history_and_no_other(bed: Bed, tmp_path: Path) -> None:
    model = one_model(tmp_path, "hygiene.letter", "select id, letter from raw.letter", KEPT)
    night(bed, model, FIRST, i1="a", i2="b")
    night(bed, model, SECOND, i1="c")
    night(bed, model, FIRST, i1="b", i2="b")
    night(bed, model, FIRST, i1="b", i2="b")
    assert history(bed) == [("01", "1", "b"), ("01", "2", "b"), ("02", "1", "c")]


def test_history_of_a_wider_model_has_nulls_before(bed: Bed, tmp_path: Path) -> None:
    night(bed, one_model(tmp_path, "hygiene.letter", "select id, letter from raw.letter", KEPT), FIRST, i1="a")
    wider = "select id, letter, [letter] as letters from raw.letter"
    night(bed, one_model(tmp_path, "hygiene.letter", wider, KEPT), SECOND, i1="a")
    night(bed, one_model(tmp_path, "hygiene.letter", wider, KEPT), THIRD, i1="a")
    assert bed.rows("select letters from history.hygiene_letter order by as_of") == [
        {"letters": None},
        {"letters": ["a"]},
    ]


def test_a_table_that_is_not_published_leaves_no_history(bed: Bed, tmp_path: Path) -> None:
    model = one_model(tmp_path, "hygiene.letter", "select id, letter from raw.letter", KEPT)
    bed.table("raw.letter", [{"id": "1", "letter": "x"}])
    assert not build_model(bed.con, model).published
    assert history(bed) == []


FIRST_SEEN = """
with earlier as (
    select id, min(first_seen) as first_seen, max_by(seen, as_of) as seen from history.hygiene_letter
    where as_of < (select as_of from policy.clock) group by id
)
select letter.id, coalesce(earlier.first_seen, clock.as_of) as first_seen, coalesce(earlier.seen, 0) + 1 as seen
from raw.letter cross join policy.clock left join earlier using (id)
"""
SEEN = "description: One row per id.\nconfig: {meta: {grain: [id], history: true}}"


def test_a_model_reads_its_own_past_from_the_very_first_night(bed: Bed, tmp_path: Path) -> None:
    model = one_model(tmp_path, "hygiene.letter", FIRST_SEEN, SEEN)
    night(bed, model, FIRST, i1="a")
    night(bed, model, SECOND, i1="a", i2="a")
    assert bed.rows("select id, strftime(first_seen, '%d') as day, seen from hygiene.letter") == [
        {"id": "1", "day": "01", "seen": 2},
        {"id": "2", "day": "02", "seen": 1},
    ]


def test_a_model_reads_the_past_of_one_that_is_built_after_it(bed: Bed, tmp_path: Path) -> None:
    write_model(tmp_path, "hygiene.early", FIRST_SEEN, "description: One row per id.\nconfig: {meta: {grain: [id]}}")
    write_model(tmp_path, "hygiene.letter", "select id, first_seen, seen from hygiene.early", SEEN)
    models = load_models(tmp_path)
    for as_of in (FIRST, SECOND, SECOND):
        bed.clock(as_of)
        ensure_histories(bed.con, models)
        for name in topological(models):
            build_model(bed.con, models[name]).raise_if_blocked()
    assert bed.rows("select max(seen) as seen, count(*) as ids from hygiene.letter") == [{"seen": 2, "ids": 3}]


def test_a_past_whose_inputs_are_not_there_yet_is_read_as_empty_and_kept_later(bed: Bed, tmp_path: Path) -> None:
    write_model(tmp_path, "hygiene.early", FIRST_SEEN, "description: One row per id.\nconfig: {meta: {grain: [id]}}")
    joined = "select early.id, first_seen, seen, note from hygiene.early join raw.late using (id)"
    write_model(tmp_path, "hygiene.letter", joined, SEEN)
    models = load_models(tmp_path)
    ensure_histories(bed.con, models)
    build_model(bed.con, models["hygiene.early"]).raise_if_blocked()
    bed.table("raw.late", [{"id": "1", "note": "x"}])
    ensure_histories(bed.con, models)
    build_model(bed.con, models["hygiene.letter"]).raise_if_blocked()
    bed.clock(SECOND)
    for name in topological(models):
        build_model(bed.con, models[name]).raise_if_blocked()
    assert bed.rows("select seen from hygiene.letter") == [{"seen": 2}]


def test_types_that_the_sql_cannot_tell_are_taken_from_the_models_file(bed: Bed, tmp_path: Path) -> None:
    sql = "select id, past.since from raw.letter left join history.hygiene_letter as past using (id)"
    model = one_model(tmp_path, "hygiene.letter", sql, SEEN + "\ncolumns: [{name: since, data_type: TIMESTAMPTZ}]")
    ensure_histories(bed.con, {model.name: model})
    [since] = bed.rows(
        "select data_type from duckdb_columns() where table_name = 'hygiene_letter' and column_name = 'since'"
    )
    assert since["data_type"] == "TIMESTAMP WITH TIME ZONE"


def test_the_same_inputs_give_the_same_rows_in_the_same_order(tmp_path: Path) -> None:
    def built(rows: list[dict[str, str]]) -> list[dict[str, object]]:
        bed = Bed()
        bed.table("raw.letter", rows, LETTERS)
        build_model(bed.con, one_model(tmp_path, "hygiene.letter", "select id, letter from raw.letter", LETTER))
        return bed.rows("from hygiene.letter")

    rows = [{"id": str(number), "letter": "abc"[number % 3]} for number in range(50)]
    assert built(rows) == built(rows[::-1])
