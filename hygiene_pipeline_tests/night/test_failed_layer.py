"""A layer that stops at a model still tells what was found in those before it."""

from pathlib import Path

import dagster as dg
import pytest

from hygiene_pipeline.defs import models
from hygiene_pipeline.model_build import Built, ModelFailedError, build_model
from hygiene_pipeline_tests.night.bed import FIRST, TinyPractice

LATER = "staging.reply"


def test_warnings_of_the_tables_before_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bed = TinyPractice(tmp_path)
    bed.systems.add_person(1, crm={"birth_date": "1880-02-03"})
    bed.deliver()

    def build(con: object, model: models.Model, **how: bool) -> Built:
        if model.name == LATER:
            raise ModelFailedError(f"{model.name}: it fails here")
        return build_model(con, model, **how)

    monkeypatch.setattr(models, "build_model", build)
    with dg.DagsterInstance.ephemeral() as instance:
        outcome = bed.run(FIRST, instance=instance, is_thorough=True)
        told = [
            event.dagster_event.asset_check_evaluation_data
            for event in instance.all_logs(outcome.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        ]
    assert outcome.problems == (f"{LATER}: it fails here",)
    found = [(each.asset_key.to_user_string(), each.passed) for each in told if each.check_name.startswith("expect")]
    assert ("staging/crm_contact", False) in found
