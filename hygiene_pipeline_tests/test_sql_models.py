"""Model files are read as they stand, and a wrong one is refused in one line that says what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from hygiene_pipeline.model_contracts import ContractError
from hygiene_pipeline.sql_lineage import column_lineage
from hygiene_pipeline.sql_models import external_dependencies, load_models, topological
from hygiene_pipeline_tests.model_files import one_model, write_model

SHIPPED = Path(__file__).resolve().parents[1] / "dbt_like_sql"

CONTACT = """
description: >
  One row per contact.
  Second sentence.
config:
  materialized: table
  meta: {grain: [contact_id], history: true, owner: "team:data"}
columns:
  - name: contact_id
    description: The contact.
    data_tests: [not_null, unique]
  - name: state
    data_tests:
      - accepted_values: {arguments: {values: [a, b]}, config: {severity: warn, where: state <> 'x'}}
data_tests:
  - unique_combination_of_columns: {arguments: {combination_of_columns: [contact_id, state]}}
  - expect_table_row_count_to_be_between: {arguments: {min_value: 1}, config: {severity: warn}}
"""


def test_a_model_is_what_its_two_files_say(tmp_path: Path) -> None:
    model = one_model(
        tmp_path, "hygiene.contact", "-- All.\nselect contact_id, state from staging.crm_contact", CONTACT
    )
    assert (model.name, model.layer, model.table) == ("hygiene.contact", "hygiene", "contact")
    assert model.description == "One row per contact. Second sentence."
    assert model.grain == ("contact_id",)
    assert (model.materialized, model.history, model.owner) == ("table", True, "team:data")
    assert model.history_table == "history.hygiene_contact"
    assert model.dependencies == ("staging.crm_contact",)
    assert model.output_names == ("contact_id", "state")
    assert [(test.name, test.blocking) for test in model.every_test] == [
        ("not_null_contact_id", True),
        ("unique_contact_id", True),
        ("accepted_values_state", False),
        ("grain_is_unique", True),
        ("unique_combination_of_columns_contact_id_state", True),
        ("expect_table_row_count_to_be_between", False),
    ]
    assert model.every_test[2].where == "state <> 'x'"


READS = [
    ("a table with its schema is read", "select a from raw.x", {"raw.x"}),
    ("a step of its own is not a table", "with x as (select a from raw.y) select a from x", {"raw.y"}),
    (
        "subqueries, exists and joins by using count",
        "select a from raw.x join policy.clock using (a) where a in (select b from raw.z) "
        "and exists (select 1 from staging.e)",
        {"raw.x", "policy.clock", "raw.z", "staging.e"},
    ),
    ("both sides of a union count", "select a from raw.x union all select a from raw.y", {"raw.x", "raw.y"}),
    ("a name in upper case is the same table", "select a from RAW.X", {"raw.x"}),
    (
        "steps that walk in circles are read through",
        "with recursive r as (select a from raw.x union select a from r join raw.y using (a)) select a from r",
        {"raw.x", "raw.y"},
    ),
    ("history is no dependency", "select a from raw.x, history.hygiene_m", {"raw.x"}),
    (
        "a table in a comment or a text is not read",
        "-- from raw.no\nselect 'from raw.no' as a from raw.x",
        {"raw.x"},
    ),
]


@pytest.mark.parametrize(("sentence", "sql", "reads"), READS, ids=[case[0] for case in READS])
def test_what_a_model_reads_is_in_its_sql(tmp_path: Path, sentence: str, sql: str, reads: set[str]) -> None:
    assert set(one_model(tmp_path, "hygiene.m", sql).dependencies) == reads, sentence


def test_reads_of_history_are_told_apart(tmp_path: Path) -> None:
    model = one_model(tmp_path, "hygiene.m", "select a from raw.x left join history.hygiene_m using (a)")
    assert model.history_reads == ("history.hygiene_m",)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select current_date as a", "line 1: current_date changes from run to run; read the time from policy.clock"),
        ("select 1 as a,\n  now() as b", "line 2: now() changes from run to run; read the time from policy.clock"),
        ("select random() as a", "random() changes from run to run"),
        ("select a from {{ ref('x') }}", "has a template in it; a model is plain SQL"),
        ("select 1 as a;", "must be one select with no semicolon"),
        ("select 1 as a; select 2 as b", "must be one select with no semicolon"),
        ("selec 1", "not a select that DuckDB reads: syntax error"),
        ("drop table x", "not a select that DuckDB reads"),
        ("select a from hygiene.m", "reads itself; its past is in history.hygiene_m"),
    ],
)
def test_sql_that_is_no_model_is_refused(tmp_path: Path, sql: str, message: str) -> None:
    write_model(tmp_path, "hygiene.m", sql)
    with pytest.raises(ContractError) as refused:
        load_models(tmp_path)
    assert "hygiene/m.sql: " in str(refused.value)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        ("description: x\ncolour: red", "models.m.colour: unknown key"),
        ("config: {}", "models.m.description: is missing"),
        ("description: x\ncolumns: [{name: a, tests: [unique]}]", "models.m.columns.a.tests: unknown key"),
        ("description: x\nconfig: {materialized: cloud}", "models.m.config.materialized: "),
        ("description: x\nconfig: {meta: {grains: [a]}}", "models.m.config.meta.grains: unknown key"),
        ("description: x\nconfig: {meta: {slice_by: [a]}}", "models.m.config.meta.slice_by: is one of contact_id, "),
        (
            "description: x\ncolumns: [{name: a, data_tests: [never_null]}]",
            "unknown test never_null; known are not_null",
        ),
        (
            "description: x\ncolumns: [{name: a, data_tests: [accepted_values]}]",
            "accepted_values takes the arguments values",
        ),
        (
            "description: x\ncolumns: [{name: a, data_tests: [{accepted_values: {values: [a]}}]}]",
            "accepted_values: takes only the keys arguments and config",
        ),
        ("description: x\ndata_tests: [not_null]", "not_null takes the arguments column_name"),
        ("description: x\ncolumns: [{name: a, data_tests: [{unique: {config: {severity: loud}}}]}]", "severity: "),
        ("description: [", "models_m.yml line"),
    ],
)
def test_a_models_file_that_says_something_unknown_is_refused(tmp_path: Path, contract: str, message: str) -> None:
    write_model(tmp_path, "hygiene.m", "select 1 as a", contract)
    with pytest.raises(ContractError) as refused:
        load_models(tmp_path)
    assert "hygiene/models_m.yml" in str(refused.value)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_slice_by_a_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path, "hygiene.m", "select 1 as a", "description: x\nconfig: {meta: {slice_by: [patient_id]}}")
    with pytest.raises(ContractError, match=r"hygiene\.m: is sliced by patient_id, which its SQL does not give"):
        load_models(tmp_path)


def test_sql_without_words_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path, "hygiene.m", "select 1 as a")
    (tmp_path / "hygiene" / "n.sql").write_text("select 1 as a")
    with pytest.raises(ContractError, match=r"hygiene/n\.sql: has no entry in a models\.yml beside it"):
        load_models(tmp_path)


def test_words_without_sql_are_refused(tmp_path: Path) -> None:
    write_model(tmp_path, "hygiene.m", "select 1 as a")
    (tmp_path / "hygiene" / "m.sql").unlink()
    with pytest.raises(ContractError, match=r"hygiene/models_m\.yml: m: has no \.sql file beside it"):
        load_models(tmp_path)


def test_models_described_twice_are_refused(tmp_path: Path) -> None:
    write_model(tmp_path, "hygiene.m", "select 1 as a")
    (tmp_path / "hygiene" / "models.yml").write_text("version: 2\nmodels: [{name: m, description: again}]")
    with pytest.raises(ContractError, match="m: described twice"):
        load_models(tmp_path)


def test_models_that_read_each_other_in_a_circle_are_refused(tmp_path: Path) -> None:
    for name, read in (("a", "b"), ("b", "c"), ("c", "a")):
        write_model(tmp_path, f"hygiene.{name}", f"select x from hygiene.{read}")
    with pytest.raises(ContractError, match=r"in a circle: hygiene\.\w -> hygiene\.\w -> hygiene\.\w -> hygiene\.\w"):
        load_models(tmp_path)


def test_the_order_holds_through_models_that_were_not_asked_for(tmp_path: Path) -> None:
    write_model(tmp_path, "hygiene.a", "select x from hygiene.m")
    write_model(tmp_path, "hygiene.m", "select x from staging.z")
    write_model(tmp_path, "staging.z", "select x from raw.z, policy.clock")
    models = load_models(tmp_path)
    assert topological(models) == ["staging.z", "hygiene.m", "hygiene.a"]
    assert topological(models, ["hygiene.a", "staging.z"]) == ["staging.z", "hygiene.a"]
    assert external_dependencies(models) == ("policy.clock", "raw.z")


LOOKS_INTO = """description: x
columns:
  - name: x
    data_tests: [{{relationships: {{arguments: {{to: {to}, field: x}}}}}}]"""


@pytest.mark.parametrize(
    ("reads", "looks_into", "order"),
    [
        pytest.param({}, {"a": "z"}, ["m", "z", "a"], id="after what its test looks into"),
        pytest.param({}, {"a": "m", "m": "z"}, ["z", "m", "a"], id="and what that one's looks into"),
        pytest.param({"z": "a"}, {"a": "z"}, ["a", "m", "z"], id="unless that one reads it"),
        pytest.param({"z": "m", "m": "a"}, {"a": "z"}, ["a", "m", "z"], id="even through another"),
        pytest.param({}, {"a": "z", "z": "a"}, ["m", "z", "a"], id="or looks into it as well"),
        pytest.param({}, {"a": "a"}, ["a", "m", "z"], id="and never after itself"),
    ],
)
def test_a_model_follows_what_its_tests_look_into(tmp_path: Path, reads, looks_into, order) -> None:
    for name in ("a", "m", "z"):
        contract = LOOKS_INTO.format(to=f"hygiene.{looks_into[name]}") if name in looks_into else ""
        source = f"hygiene.{reads[name]}" if name in reads else "raw.r"
        write_model(tmp_path, f"hygiene.{name}", f"select x from {source}", contract)
    assert topological(load_models(tmp_path)) == [f"hygiene.{name}" for name in order]


def test_the_code_version_is_the_sql_and_nothing_else(tmp_path: Path) -> None:
    first = one_model(tmp_path, "hygiene.m", "select 1 as a")
    described = one_model(tmp_path, "hygiene.m", "select 1 as a", "description: Other words.")
    changed = one_model(tmp_path, "hygiene.m", "select 2 as a")
    assert first.code_version == described.code_version != changed.code_version


def test_the_shipped_models_load_in_order_and_their_tests_name_real_expectations() -> None:
    models = load_models(SHIPPED)
    assert topological(models)
    undescribed = [name for name, model in models.items() if not model.description or not model.columns]
    assert not undescribed
    assert not [name for name, model in models.items() if not model.grain]


def test_loading_models_needs_neither_pandas_nor_sqlglot_nor_great_expectations(tmp_path: Path) -> None:
    write_model(tmp_path, "hygiene.m", "select 1 as a")
    program = (
        "import sys; from pathlib import Path; import hygiene_pipeline.model_build;"
        "from hygiene_pipeline.sql_models import load_models;"
        f"load_models(Path({str(tmp_path)!r}));"
        "print(sorted({'pandas', 'sqlglot', 'great_expectations', 'dagster'} & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


UPSTREAM = {
    "staging.crm_contact": {"contact_id": "VARCHAR", "phone": "VARCHAR"},
    "staging.phone_lookup": {"phone": "VARCHAR", "valid": "BOOLEAN", "checked_at": "TIMESTAMPTZ"},
    "policy.clock": {"as_of": "TIMESTAMPTZ"},
}


def test_lineage_follows_a_column_through_steps_to_the_tables() -> None:
    sql = """
        with contact as (select c.contact_id, c.phone from staging.crm_contact as c),
        latest as (select phone, max_by(valid, checked_at) as valid from staging.phone_lookup group by all)
        select
            contact_id,
            case when contact.phone is null then 'missing' when not latest.valid then 'disconnected' end as reason,
            (select as_of from policy.clock) as as_of,
            1 as one
        from contact left join latest using (phone)
    """
    assert column_lineage(sql, UPSTREAM) == {
        "contact_id": (("staging.crm_contact", "contact_id"),),
        "reason": (
            ("staging.crm_contact", "phone"),
            ("staging.phone_lookup", "checked_at"),
            ("staging.phone_lookup", "valid"),
        ),
        "as_of": (("policy.clock", "as_of"),),
    }


@pytest.mark.parametrize(
    "sql",
    [
        "select a from staging.unknown_table",
        "from staging.crm_contact select unknown_column as a",
        "select unnest([1, 2]) as a, 1 + 2",
        "pivot staging.crm_contact on phone using count(*)",
        "this is no sql",
    ],
)
def test_lineage_leaves_out_what_cannot_be_told(sql: str) -> None:
    assert column_lineage(sql, UPSTREAM) == {}
