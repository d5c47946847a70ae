"""Each kind of data test finds its planted defect by the key of the row, and is silent on clean rows."""

from pathlib import Path
from typing import Any

import pytest

from hygiene_pipeline.model_build import build_model
from hygiene_pipeline.model_tests import KEPT_KEYS, run_tests
from hygiene_pipeline.sql_models import Model
from hygiene_pipeline_tests.bed import Bed
from hygiene_pipeline_tests.model_files import one_model

TYPES = {"id": "VARCHAR", "phone": "VARCHAR", "age": "INTEGER", "is_active": "BOOLEAN", "site": "VARCHAR"}
CLEAN = [
    {"id": "1", "phone": "a", "age": 1, "is_active": True, "site": "s1"},
    {"id": "2", "phone": "b", "age": 2, "is_active": False, "site": "s2"},
    {"id": "3", "phone": "c", "age": 2, "is_active": True, "site": None},
]
GRAIN = "{combination_of_columns: [age, phone]}"

DEFECTS: list[tuple[str, str, dict[str, dict[str, Any]], tuple[str, ...]]] = [
    ("not_null: a null", "phone: not_null", {"2": {"phone": None}}, ("2",)),
    (
        "not_null where: a null among the rows it is about",
        "phone: {not_null: {config: {where: is_active}}}",
        {"2": {"phone": None}, "3": {"phone": None}},
        ("3",),
    ),
    ("unique: every row of a value that is there twice", "phone: unique", {"3": {"phone": "a"}}, ("1", "3")),
    (
        "accepted_values: a text that is not among them",
        "phone: {accepted_values: {arguments: {values: [a, b, c]}}}",
        {"1": {"phone": "A"}},
        ("1",),
    ),
    (
        "accepted_values: a number that is not among them",
        "age: {accepted_values: {arguments: {values: [1, 2]}}}",
        {"1": {"age": 3}},
        ("1",),
    ),
    (
        "accepted_values: a truth value that is not among them",
        "is_active: {accepted_values: {arguments: {values: [true]}, config: {where: id <> '2'}}}",
        {"3": {"is_active": False}},
        ("3",),
    ),
    (
        "accepted_values: a quote in a value is a quote",
        'phone: {accepted_values: {arguments: {values: [a, b, c, "o\'clock"]}}}',
        {"1": {"phone": "o'clock"}, "2": {"phone": "x"}},
        ("2",),
    ),
    (
        "relationships: a key that nobody has",
        "site: {relationships: {arguments: {to: staging.site, field: site_id}}}",
        {"1": {"site": "s9"}},
        ("1",),
    ),
    ("unique_combination_of_columns: two rows alike in both", GRAIN, {"3": {"phone": "b"}}, ("2", "3")),
    ("unique_combination_of_columns: nulls are alike", GRAIN, {"2": {"phone": None}, "3": {"phone": None}}, ("2", "3")),
]


@pytest.fixture
def bed() -> Bed:
    bed = Bed()
    bed.declare("raw.person", TYPES)
    bed.table("staging.site", [{"site_id": "s1"}, {"site_id": "s2"}, {"site_id": None}])
    return bed


def person(root: Path, bed: Bed, test: str, changes: dict[str, dict[str, Any]], grain: str = "[id]") -> Model:
    """The model with one test, and its table laid with these changes to the clean rows."""
    column, _, body = test.partition(": ")
    on_model = test.startswith("{")
    tests = f"data_tests: [{{unique_combination_of_columns: {{arguments: {test}}}}}]"
    columns = f"columns: [{{name: {column}, data_tests: [{body}]}}]"
    contract = f"description: x\nconfig: {{meta: {{grain: {grain}}}}}\n{tests if on_model else columns}"
    bed.table("hygiene.person", [{**row, **changes.get(row["id"], {})} for row in CLEAN], TYPES)
    return one_model(root, "hygiene.person", f"select {', '.join(TYPES)} from raw.person", contract)


@pytest.mark.parametrize(("sentence", "test", "defect", "keys"), DEFECTS, ids=[case[0] for case in DEFECTS])
def test_a_planted_defect_is_found(
    bed: Bed, tmp_path: Path, sentence: str, test: str, defect: dict[str, dict[str, Any]], keys: tuple[str, ...]
) -> None:
    tested = run_tests(bed.con, person(tmp_path, bed, test, defect))
    [result] = [result for result in tested.results if result.test != "grain_is_unique"]
    assert not result.passed, sentence
    assert (result.failing, tested.keys) == (len(keys), {result.test: keys})
    assert result.error is None


@pytest.mark.parametrize(("sentence", "test", "defect", "keys"), DEFECTS, ids=[case[0] for case in DEFECTS])
def test_clean_rows_pass(bed: Bed, tmp_path: Path, sentence: str, test: str, defect: object, keys: object) -> None:
    tested = run_tests(bed.con, person(tmp_path, bed, test, {}))
    assert all(result.passed for result in tested.results), (sentence, defect, keys)
    assert tested.keys == {}


@pytest.mark.parametrize("test", [case[1] for case in DEFECTS if "where" not in case[1]])
def test_no_rows_at_all_pass(bed: Bed, tmp_path: Path, test: str) -> None:
    model = person(tmp_path, bed, test, {})
    bed.table("hygiene.person", [], TYPES)
    assert [(result.passed, result.checked) for result in run_tests(bed.con, model).results] == [(True, 0)] * 2


def test_nulls_are_the_business_of_not_null_alone(bed: Bed, tmp_path: Path) -> None:
    nulls = {key: {"phone": None, "age": None, "site": None} for key in "123"}
    bed.table("staging.site", [], {"site_id": "VARCHAR"})
    for _, test, _, _ in DEFECTS:
        if not test.startswith(("{", "phone: not_null", "phone: {not_null", "is_active")):
            assert run_tests(bed.con, person(tmp_path, bed, test, nulls)).keys == {}, test


def test_rows_checked_are_those_the_test_is_about(bed: Bed, tmp_path: Path) -> None:
    model = person(tmp_path, bed, "phone: {not_null: {config: {where: is_active}}}", {})
    assert {result.test: result.checked for result in run_tests(bed.con, model).results} == {
        "not_null_phone": 2,
        "grain_is_unique": 3,
    }


def test_a_model_may_relate_to_itself(bed: Bed, tmp_path: Path) -> None:
    test = "site: {relationships: {arguments: {to: hygiene.person, field: id}}}"
    model = person(tmp_path, bed, test, {"1": {"site": "2"}, "2": {"site": "9"}})
    assert run_tests(bed.con, model).keys == {"relationships_site": ("2",)}
    assert model.tested_against == ("hygiene.person",)


def test_a_row_of_several_keys_is_named_by_all_of_them(bed: Bed, tmp_path: Path) -> None:
    model = person(tmp_path, bed, "phone: not_null", {"2": {"phone": None}}, grain="[id, site]")
    assert run_tests(bed.con, model).keys == {"not_null_phone": ("2|s2",)}


@pytest.mark.parametrize(
    ("sentence", "test", "error"),
    [
        ("a column that is not there", "weight: not_null", "no column weight"),
        (
            "a table that is not there",
            "site: {relationships: {arguments: {to: staging.nothing, field: id}}}",
            "could not be run (CatalogException)",
        ),
        (
            "a condition that stumbles over a value",
            "phone: {not_null: {config: {where: cast(phone as integer) > 0}}}",
            "could not be run (ConversionException)",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("a ") else "",
)
def test_a_test_that_cannot_be_run_is_an_error_and_spoils_no_other(
    bed: Bed, tmp_path: Path, sentence: str, test: str, error: str
) -> None:
    results = {result.test: result for result in run_tests(bed.con, person(tmp_path, bed, test, {})).results}
    grain = results.pop("grain_is_unique")
    [broken] = results.values()
    assert (grain.passed, grain.checked) == (True, 3), sentence
    assert (broken.passed, broken.blocks, broken.failing, broken.error) == (False, True, 0, error)


def test_all_failing_rows_are_counted_but_only_the_first_keys_kept(bed: Bed, tmp_path: Path) -> None:
    model = person(tmp_path, bed, "phone: not_null", {})
    bed.con.execute("insert into hygiene.person (id) select 'x' || i from range(5000) as r(i)")
    tested = run_tests(bed.con, model)
    assert [result.failing for result in tested.results if not result.passed] == [5000]
    assert len(tested.keys["not_null_phone"]) == KEPT_KEYS


def failures(bed: Bed) -> list[tuple[str, str, str]]:
    days = "strftime(first_seen, '%d') as first, strftime(last_seen, '%d') as last"
    return [tuple(row.values()) for row in bed.rows(f"select key, {days} from quality.check_failure order by key")]


def test_failing_keys_are_kept_from_first_to_last_night_and_after_they_heal(bed: Bed, tmp_path: Path) -> None:
    model = person(tmp_path, bed, "phone: {not_null: {config: {severity: warn}}}", {})

    def night(day: int, *broken: str) -> None:
        bed.clock(f"2026-03-{day:02d}T07:00:00Z")
        bed.table("raw.person", [{**row, **({"phone": None} if row["id"] in broken else {})} for row in CLEAN])
        assert build_model(bed.con, model).published

    night(1, "1", "2")
    night(2, "2", "3")
    night(3)
    assert failures(bed) == [("1", "01", "01"), ("2", "01", "02"), ("3", "02", "02")]
    night(4, "1")
    night(4, "1")
    assert failures(bed) == [("1", "01", "04"), ("2", "01", "02"), ("3", "02", "02")]


def test_a_night_tested_again_forgets_what_only_it_had_found(bed: Bed, tmp_path: Path) -> None:
    model = person(tmp_path, bed, "phone: {not_null: {config: {severity: warn}}}", {})
    for phone in (None, "a"):
        bed.table("raw.person", [{**CLEAN[0], "phone": phone}])
        build_model(bed.con, model)
    assert failures(bed) == []
    assert bed.rows("select test, passed, checked, failing from quality.check_result order by test") == [
        {"test": "grain_is_unique", "passed": True, "checked": 1, "failing": 0},
        {"test": "not_null_phone", "passed": True, "checked": 1, "failing": 0},
    ]
