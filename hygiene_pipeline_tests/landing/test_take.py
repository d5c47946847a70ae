"""Which run looks at the past and takes nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hygiene_pipeline.landing.take import is_replay
from hygiene_pipeline.policies.load import load_policies
from hygiene_pipeline.policies.tables import write_policy_tables
from hygiene_pipeline.practice import Practice
from hygiene_pipeline.warehouse import open_warehouse

NIGHT = datetime(2026, 3, 2, 7, tzinfo=UTC)
PRACTICE = Practice.model_validate(
    {
        "practice": "lakeside",
        "name": "Lakeside Family Medicine",
        "timezone": "America/Chicago",
        "phone": "+13125550100",
        "crm": {"kind": "embedded"},
        "staff": [{"id": "c1", "role": "care_coordinator"}],
        "policies": load_policies(),
    }
)


@pytest.mark.parametrize(
    ("began", "is_past"),
    [
        pytest.param([0], False, id="the first run"),
        pytest.param([0, 0], False, id="the same run again"),
        pytest.param([-24, 0], False, id="the run after another"),
        pytest.param([24, 0], True, id="a later run began, though it took no file"),
        pytest.param([24, 48, 24, 0], True, id="a replay before this one changes nothing"),
    ],
)
def test_a_run_before_one_that_began_is_a_replay(tmp_path: Path, began, is_past):
    """Runs begin one after the other, hours from the night; the last is looked at."""
    with open_warehouse(tmp_path / "warehouse.duckdb", key="k") as warehouse:
        for hours in began:
            with warehouse.transaction():
                write_policy_tables(warehouse.con, PRACTICE, as_of=NIGHT + timedelta(hours=hours))
        assert is_replay(warehouse, NIGHT) == is_past
