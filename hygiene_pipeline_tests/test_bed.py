"""The bed's declared shapes are those of the real tables, so that a test on the bed is a test of the real thing."""

from datetime import UTC, datetime

import duckdb
import pytest

from hygiene_pipeline.model_history import column_types
from hygiene_pipeline.policies.load import merged
from hygiene_pipeline.policies.tables import write_policy_tables
from hygiene_pipeline.practice import Practice
from hygiene_pipeline.sync import tables as sync_tables
from hygiene_pipeline_tests.bed import Bed, shipped_policies
from hygiene_pipeline_tests.shapes import PRACTICE, SHAPES


@pytest.fixture(scope="module")
def real() -> dict[str, dict[str, str]]:
    """Columns and types of the tables as the product makes them."""
    bed = Bed()
    bed.raw()
    bed.con.execute("drop table policy.clock")
    sync_tables.create_tables(bed.con)
    write_policy_tables(
        bed.con,
        Practice.model_validate({**PRACTICE, "policies": merged({})}),
        as_of=datetime(2026, 3, 1, 7, tzinfo=UTC),
    )
    return column_types(bed.con, SHAPES)


def spelt(types: dict[str, str]) -> dict[str, str]:
    """The types as DuckDB spells them."""
    columns = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
    with duckdb.connect() as con:
        con.execute(f"create table t ({columns})")
        return {row[0]: row[1] for row in con.execute("describe t").fetchall()}


@pytest.mark.parametrize("table", sorted(name for name in SHAPES if name.startswith(("policy.", "quarantine."))))
def test_a_declared_shape_is_the_real_one(real: dict[str, dict[str, str]], table: str) -> None:
    assert spelt(SHAPES[table]) == real[table]


@pytest.mark.parametrize("table", ["sync.crm_change", "sync.message"])
def test_a_ledger_has_the_declared_columns_and_maybe_more(real: dict[str, dict[str, str]], table: str) -> None:
    assert spelt(SHAPES[table]).items() <= real[table].items()


def test_every_policy_table_is_declared_and_filled(real: dict[str, dict[str, str]]) -> None:
    declared = {name for name in SHAPES if name.startswith("policy.")}
    assert {name for name in real if name.startswith("policy.")} == declared
    assert shipped_policies().keys() | {"policy.clock"} == declared


def test_a_test_may_replace_one_policy_and_keep_the_others() -> None:
    bed = Bed()
    bed.policies(insurance=[{"answer_valid_days": 7}])
    assert bed.rows("from policy.insurance") == [{"answer_valid_days": 7}]
    assert bed.rows("select confirmed_for_days from policy.phone") == [{"confirmed_for_days": 90}]


def test_a_table_has_the_declared_columns_and_those_the_rows_add() -> None:
    bed = Bed()
    bed.table("staging.reply", [{"contact_id": "c1", "received_at": "2026-01-01T07:00:00-05:00", "score": 3}])
    [row] = bed.rows("from staging.reply")
    assert row == dict.fromkeys(SHAPES["staging.reply"]) | {
        "contact_id": "c1",
        "received_at": datetime(2026, 1, 1, 12, tzinfo=UTC),
        "score": 3,
    }


def test_the_local_date_follows_from_the_zone() -> None:
    bed = Bed()
    bed.clock("2026-03-01T03:00:00Z")
    [clock] = bed.rows("select as_of_date::varchar as day, previous_as_of from policy.clock")
    assert clock == {"day": "2026-02-28", "previous_as_of": None}
