"""Great Expectations finds planted defects by key, tells a crash from a failure, and repeats no value."""

import subprocess
import sys
from pathlib import Path

import pytest

from hygiene_pipeline.expectations import run_expectations
from hygiene_pipeline.model_build import build_model, finished
from hygiene_pipeline.model_history import described
from hygiene_pipeline.model_tests import Tested
from hygiene_pipeline.sql_models import Model
from hygiene_pipeline_tests.bed import Bed
from hygiene_pipeline_tests.model_files import one_model

SECRET = "Ada Lovelace"
TYPES = {
    "id": "VARCHAR",
    "phone": "VARCHAR",
    "visits": "INTEGER",
    "cancelled": "INTEGER",
    "born": "DATE",
    "seen_at": "TIMESTAMPTZ",
    "tags": "VARCHAR[]",
}
CLEAN = [
    {
        "id": str(number),
        "phone": f"+1617253000{number}",
        "visits": number,
        "cancelled": number - 1,
        "born": f"198{number}-01-31",
        "seen_at": f"2026-02-0{number}T12:00:00Z",
        "tags": ["a"],
    }
    for number in range(1, 6)
]
PHONE = r"expect_column_values_to_match_regex: {arguments: {column: phone, regex: '^\+[1-9]\d{6,14}$'}}"


def person(root: Path, *tests: str) -> Model:
    """The model with these tests."""
    lines = "\n".join(f"  - {test}" for test in tests)
    contract = f"description: x\nconfig: {{meta: {{grain: [id]}}}}\ndata_tests:\n{lines}"
    return one_model(root, "hygiene.person", f"select {', '.join(TYPES)} from raw.person", contract)


def found_by(model: Model, **changes: dict[str, object]) -> Tested:
    """What the expectations of the model find in the clean rows with these changes (`r2={...}` to row 2)."""
    bed = Bed()
    bed.table("hygiene.person", [{**row, **changes.get(f"r{row['id']}", {})} for row in CLEAN], TYPES)
    return run_expectations(bed.con, model, "hygiene.person", described(bed.con, "hygiene.person"))


DEFECTS: list[tuple[str, dict[str, dict[str, object]], tuple[str, ...]]] = [
    (PHONE, {"r2": {"phone": SECRET}, "r4": {"phone": "617"}}, ("2", "4")),
    ("expect_column_values_to_not_be_null: {arguments: {column: phone}}", {"r1": {"phone": None}}, ("1",)),
    ("expect_column_values_to_be_unique: {arguments: {column: phone}}", {"r1": {"phone": "+16172530002"}}, ("1", "2")),
    (
        "expect_column_values_to_be_between: {arguments: {column: visits, min_value: 1, max_value: 5}}",
        {"r3": {"visits": 6}},
        ("3",),
    ),
    (
        "expect_column_values_to_be_between: "
        "{arguments: {column: born, min_value: 1900-01-01, max_value: '2026-01-01'}}",
        {"r3": {"born": "1066-10-14"}},
        ("3",),
    ),
    (
        "expect_column_values_to_be_between: {arguments: {column: seen_at, max_value: '2026-03-01T07:00:00Z'}}",
        {"r5": {"seen_at": "2026-03-01T07:00:01Z"}},
        ("5",),
    ),
    (
        "expect_column_value_lengths_to_be_between: {arguments: {column: phone, min_value: 8, max_value: 16}}",
        {"r5": {"phone": "+1"}},
        ("5",),
    ),
    (
        "expect_column_pair_values_a_to_be_greater_than_b: "
        "{arguments: {column_A: visits, column_B: cancelled, or_equal: true}}",
        {"r2": {"cancelled": 7}},
        ("2",),
    ),
    (
        "expect_compound_columns_to_be_unique: {arguments: {column_list: [visits, born]}}",
        {"r2": {"visits": 1, "born": "1981-01-31"}},
        ("1", "2"),
    ),
    (
        "expect_table_row_count_to_equal: {arguments: {value: 5}, config: {where: visits > 0}}",
        {"r1": {"visits": 0}},
        (),
    ),
    ("expect_column_mean_to_be_between: {arguments: {column: visits, max_value: 3}}", {"r1": {"visits": 50}}, ()),
    # It is of those that need scipy.stats, which is not read before.
    (
        "expect_column_kl_divergence_to_be_less_than: {arguments: {column: phone, threshold: 0.01, "
        f"partition_object: {{values: {[row['phone'] for row in CLEAN]}, weights: {[0.2] * 5}}}}}}}",
        {"r1": {"phone": "+16172530002"}, "r3": {"phone": "+16172530002"}},
        (),
    ),
]


@pytest.mark.parametrize(("test", "defect", "keys"), DEFECTS, ids=[case[0].partition(":")[0] for case in DEFECTS])
def test_a_planted_defect_is_found_and_clean_rows_pass(
    tmp_path: Path, test: str, defect: dict[str, dict[str, object]], keys: tuple[str, ...]
) -> None:
    model = person(tmp_path, test)
    [clean] = found_by(model).results
    assert (clean.passed, clean.error, clean.failing) == (True, None, 0)
    found = found_by(model, **defect)
    [result] = found.results
    assert (result.passed, result.error, result.failing) == (False, None, len(keys))
    assert found.keys.get(result.test, ()) == keys


def test_an_expectation_on_a_column_need_not_name_it(tmp_path: Path) -> None:
    contract = "description: x\nconfig: {meta: {grain: [id]}}\ncolumns: [{name: phone, data_tests: [%s]}]"
    test = "{expect_column_values_to_not_be_null: {config: {severity: warn}}}"
    model = one_model(tmp_path, "hygiene.person", "select id, phone from raw.person", contract % test)
    found = found_by(model, r3={"phone": None})
    assert found.keys == {"expect_column_values_to_not_be_null_phone": ("3",)}
    assert not found.results[0].blocks


def test_mostly_tolerates_a_share_and_still_counts(tmp_path: Path) -> None:
    [result] = found_by(person(tmp_path, PHONE.replace("phone,", "phone, mostly: 0.5,")), r1={"phone": "x"}).results
    assert (result.passed, result.checked, result.failing) == (True, 5, 1)


def test_results_are_told_apart_though_they_come_in_any_order(tmp_path: Path) -> None:
    model = person(
        tmp_path,
        PHONE,
        "expect_column_values_to_be_between: {arguments: {column: phone, min_value: 1}}",
        "expect_column_values_to_be_between: {arguments: {column: weight, min_value: 1}}",
        "expect_column_values_to_be_between: {arguments: {column: visits, min_value: 2}}",
        "expect_column_values_to_be_spotless: {arguments: {column: visits}}",
        "expect_column_values_to_be_in_set: {arguments: {column: visits, values: [1]}}",
        "expect_column_values_to_not_be_null: {arguments: {column: id}}",
    )
    found = found_by(model, r2={"phone": SECRET})
    assert [(result.test, result.passed, result.failing, bool(result.error)) for result in found.results] == [
        ("expect_column_values_to_match_regex_phone", False, 1, False),
        ("expect_column_values_to_be_between_phone", False, 0, True),
        ("expect_column_values_to_be_between_weight", False, 0, True),
        ("expect_column_values_to_be_between_visits", False, 1, False),
        ("expect_column_values_to_be_spotless_visits", False, 0, True),
        ("expect_column_values_to_be_in_set_visits", False, 0, True),
        ("expect_column_values_to_not_be_null_id", True, 0, False),
    ]
    assert [result.error for result in found.results if result.error] == [
        "crashed (TypeError)",
        "no column weight",
        "no such expectation",
        "its arguments are not what the expectation takes",
    ]


def test_no_value_is_repeated(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    crashing = "expect_column_values_to_be_between: {arguments: {column: phone, min_value: 1}}"
    found = found_by(person(tmp_path, PHONE, crashing), r2={"phone": SECRET})
    shown = f"{found}{capfd.readouterr()}{caplog.text}"
    assert SECRET not in shown
    assert "+1617" not in shown


def test_the_build_keeps_a_table_back_for_an_expectation_that_blocks(tmp_path: Path) -> None:
    bed = Bed()
    model = person(tmp_path, PHONE)
    bed.table("raw.person", CLEAN, TYPES)
    assert build_model(bed.con, model).published
    bed.table("raw.person", [{**CLEAN[0], "phone": SECRET}], TYPES)
    built = build_model(bed.con, model)
    assert not built.published
    assert [failure.told for failure in built.failures] == ["1 of 1 rows fail"]
    assert bed.rows("select test, key from quality.check_failure") == [
        {"test": "expect_column_values_to_match_regex_phone", "key": "1"}
    ]
    assert build_model(bed.con, model, expectations=False).published


def test_rows_that_cannot_be_read_are_an_error_of_their_test_alone(tmp_path: Path) -> None:
    bed = Bed()
    model = person(tmp_path, PHONE, PHONE.replace("}}", "}, config: {where: cast(phone as date) > date '2000-01-01'}}"))
    bed.table("raw.person", CLEAN, TYPES)
    built = build_model(bed.con, model)
    assert [(result.passed, result.error) for result in built.results] == [
        (True, None),
        (True, None),
        (False, "its rows could not be read (ConversionException)"),
    ]


def test_a_process_that_has_the_library_looks_itself_and_reads_scipy_stats_for_what_needs_it(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from hygiene_pipeline import expectation_aide, expectation_suite
from hygiene_pipeline.expectations import make_ready
from hygiene_pipeline_tests.test_expectations import PHONE, found_by, person

expectation_suite.load()
make_ready()
for _ in range(2):
    assert found_by(person(Path(sys.argv[1]), PHONE)).results[0].passed
assert found_by(person(Path(sys.argv[1]), PHONE), r2={"phone": None}, r4={"phone": "617"}).keys == {
    "expect_column_values_to_match_regex_phone": ("4",)
}
assert not expectation_aide._aides
assert "scipy.stats._stats_py" not in sys.modules
found_by(person(Path(sys.argv[1]), sys.argv[2]))
assert "scipy.stats._stats_py" in sys.modules
"""
    distribution = DEFECTS[-1][0]
    subprocess.run([sys.executable, "-c", program, str(tmp_path), distribution], check=True)


WARNING = PHONE.replace("}}", "}, config: {severity: warn}}")
KEPT = "select test, passed, failing from quality.check_result where test like 'expect%' order by all"


@pytest.mark.parametrize(
    ("test", "is_late"), [(WARNING, True), (PHONE, False)], ids=["only warns", "keeps the table back"]
)
def test_only_what_cannot_keep_a_table_back_may_come_late(tmp_path: Path, test: str, is_late: bool) -> None:
    bed = Bed()
    bed.table("raw.person", CLEAN, TYPES)
    built = build_model(bed.con, person(tmp_path, test), wait=False)
    assert (built.published, bool(built.asked)) == (True, is_late)
    assert len(bed.rows(KEPT)) == (0 if is_late else 1)
    # Whatever happens to the table meanwhile: it was looked at as it was built.
    bed.con.execute("delete from hygiene.person")
    done = finished(bed.con, built)
    assert [(result.test, result.passed, result.checked) for result in done.results[-1:]] == [
        ("expect_column_values_to_match_regex_phone", True, 5)
    ]
    assert finished(bed.con, done) == done
    assert bed.rows(KEPT) == [{"test": "expect_column_values_to_match_regex_phone", "passed": True, "failing": 0}]


def test_a_late_failure_is_kept_by_key_and_with_the_results_of_the_other_tests(tmp_path: Path) -> None:
    bed = Bed()
    bed.table("raw.person", [*CLEAN, {**CLEAN[0], "id": "6", "phone": SECRET}], TYPES)
    model = person(tmp_path, WARNING, "not_null: {arguments: {column_name: born}, config: {severity: warn}}")
    late = finished(bed.con, build_model(bed.con, model, wait=False))
    kept = bed.rows("from quality.check_result"), bed.rows("from quality.check_failure")
    assert [row["key"] for row in kept[1]] == ["6"]
    at_once = build_model(bed.con, model)
    assert (bed.rows("from quality.check_result"), bed.rows("from quality.check_failure")) == kept
    assert late == at_once


def test_a_table_that_is_kept_back_is_looked_at_where_it_stands(tmp_path: Path) -> None:
    bed = Bed()
    bed.table("raw.person", [{**CLEAN[0], "phone": SECRET, "born": None}], TYPES)
    built = build_model(bed.con, person(tmp_path, WARNING, "not_null: {arguments: {column_name: born}}"))
    assert not built.published
    assert {result.test: result.failing for result in built.failures} == {
        "not_null_born": 1,
        "expect_column_values_to_match_regex_phone": 1,
    }
