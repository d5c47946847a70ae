"""Published databases of several roles: one that cannot be made costs the others nothing, and fails the run."""

from pathlib import Path

import dagster as dg
import pytest

from hygiene_pipeline.defs import published
from hygiene_pipeline.defs.resources import Deployment
from hygiene_pipeline.night import open_night
from hygiene_pipeline.privacy.roles import Roles
from hygiene_pipeline_tests.night.bed import PRACTICE, TinyPractice


def role(column: str) -> dict[str, object]:
    return {"description": "x", "is_encrypted": False, "tables": {"hygiene.issue": {"columns": {column: "keep"}}}}


def test_a_role_that_cannot_be_published_costs_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {"analyst": "issue_id", "care_coordinator": "not_there", "data_steward": "issue_id"}
    roles = Roles.model_validate(
        {"coded_fields": [], "roles": {name: role(column) for name, column in columns.items()}}
    )
    monkeypatch.setattr(published, "_ROLES", roles)
    bed = TinyPractice(tmp_path)
    with bed.environment(), dg.DagsterInstance.ephemeral() as instance:
        with open_night(PRACTICE) as night:
            night.warehouse.con.execute("create table hygiene.issue as select 'i1' as issue_id")
        result = dg.materialize(
            [published.published],
            partition_key=PRACTICE,
            resources={"deployment": Deployment(border_checks=False)},
            instance=instance,
            raise_on_error=False,
        )
    made = {event.asset_key.path[-1] for event in result.get_asset_materialization_events() if event.asset_key}
    assert (result.success, made) == (False, {"analyst", "data_steward"})
    assert {path.name for path in bed.folders.published.iterdir()} == {"analyst.duckdb", "data_steward.duckdb"}
