"""What Dagster loads, name by name: nothing can be written in `defs/` and then not be registered, or vanish unnoticed.

A new model, job or schedule is added to the list below in the commit that adds it.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType

import dagster as dg
import pytest

from hygiene_pipeline.definitions import defs

ROOT = Path(__file__).resolve().parent.parent
ASSETS = {
    "policy": "tables",
    "landing": "ehr_export pm_lists",
    "raw": """
        crm_contacts crm_interactions
        ehr_event fhir_appointment fhir_bundle fhir_care_plan fhir_condition fhir_consent fhir_coverage fhir_encounter
        fhir_episode_of_care fhir_immunization fhir_observation fhir_organization fhir_patient fhir_practitioner
        fhir_practitioner_role fhir_procedure fhir_service_request
        phone_lookups
        pm_appointments pm_coverage pm_eligibility pm_patients pm_referral_network
        replies
    """,
    "quarantine": "record",
    "staging": """
        crm_contact crm_interaction
        ehr_appointment ehr_care_event ehr_condition ehr_deletion ehr_encounter ehr_merge ehr_mrn ehr_patient
        ehr_patient_version ehr_provider ehr_resource ehr_taken_back ehr_telecom
        phone_lookup phone_number
        pm_appointment pm_coverage pm_eligibility pm_patient pm_referral_network
        reply
    """,
    "identity": "match_review mrn_group patient_link record split_review",
    "reconciled": """
        care_truth coverage coverage_version crm_value_since field_candidate field_decision insurance_truth patient
        patient_phone phone_claim phone_number placeholder_phone postal_address
    """,
    "hygiene": """
        audit_sample care_evidence contact_status eligibility_inquiry eligibility_recheck_plan finding
        insurance_evidence issue issue_assignment issue_context issue_lifecycle issue_priority phone_evidence
        phone_validation_plan queue referral_review referring_provider_evidence suppressed_outreach
    """,
    "sync": "crm_change eligibility_checks_due message phone_lookup_call phone_lookup_run",
    "metrics": "benchmark coverage_of_asking phone_cost phone_spend queue roi stale_rate sync_lag",
    "published": "analyst care_coordinator data_steward",
    "reports": "scorecard",
}
# Read once, by a table that is tested.
UNTESTED_VIEWS = {"reconciled/field_candidate: contract"}
# Beside `contract`, which every other SQL model has and which blocks.
OTHER_BLOCKING_CHECKS = {
    "brought_enough": """
        raw/crm_contacts raw/fhir_patient raw/pm_coverage raw/pm_patients raw/pm_referral_network
    """,
    "expectations": "hygiene/issue hygiene/phone_validation_plan",
}
WARNING_CHECKS = {
    "contract_warnings": """
        staging/crm_interaction staging/ehr_appointment staging/ehr_condition staging/ehr_encounter staging/ehr_patient
        staging/pm_appointment staging/pm_coverage staging/reply
    """,
    "expectations_warnings": """
        staging/crm_contact staging/ehr_encounter staging/ehr_patient staging/phone_lookup
        staging/pm_appointment staging/pm_coverage staging/pm_patient staging/pm_referral_network staging/reply
    """,
}
JOBS = "bare_night ehr_event eligibility_event nightly referring_providers reply_event scorecard"
SCHEDULES = "nightly_riverside referring_providers_riverside scorecard_riverside"
SENSORS = "ehr_event_arrived eligibility_arrived reply_arrived run_failed"
# Slow to import and needed by few steps; those import them when they run.
IMPORTED_LATE = ("great_expectations", "pandas", "sqlglot", "altair", "zeep", "twilio", "httpx", "jwt")

_LOAD = """
import json, sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from hygiene_pipeline.definitions import defs
    loaded = defs()
    loaded.resolve_all_job_defs()
    loaded.get_repository_def()
print(json.dumps({
    "modules": sorted(sys.modules),
    "warnings": [f"{each.filename}: {each.category.__name__}: {each.message}" for each in caught],
}))
"""


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return defs()


@pytest.fixture(scope="module")
def graph(definitions: dg.Definitions):
    return definitions.resolve_asset_graph()


@cache
def loading() -> dict[str, list[str]]:
    """Which modules are imported and which warnings given when Dagster loads us into a fresh interpreter."""
    ended = subprocess.run([sys.executable, "-c", _LOAD], capture_output=True, text=True, check=True, cwd=ROOT)
    return dict(json.loads(ended.stdout.splitlines()[-1]))


def by_group(words: Mapping[str, str]) -> set[str]:
    return {f"{group}/{name}" for group, names in words.items() for name in names.split()}


def assert_same(what: str, found: Iterable[str], expected: Iterable[str]) -> None:
    found, expected = set(found), set(expected)
    differences = [
        *(f"  - {name}: listed, not loaded (dropped beside a @dg.definitions function?)" for name in expected - found),
        *(f"  + {name}: loaded, not listed (add it to the list)" for name in found - expected),
    ]
    told = f"{what} that Dagster loads and the list in {Path(__file__).name} differ:"
    assert not differences, "\n".join([told, *sorted(differences)])


def test_the_assets(graph) -> None:
    assert_same("assets", (key.to_user_string() for key in graph.get_all_asset_keys()), by_group(ASSETS))


def test_an_asset_is_in_the_group_that_its_key_begins_with(graph) -> None:
    wrong = {
        key.to_user_string(): graph.get(key).group_name
        for key in graph.get_all_asset_keys()
        if graph.get(key).group_name != key.path[0]
    }
    assert not wrong


def test_every_sql_file_is_an_asset(graph) -> None:
    files = {f"{path.parent.name}/{path.stem}" for path in (ROOT / "dbt_like_sql").glob("*/*.sql")}
    assert files
    assert files <= {key.to_user_string() for key in graph.get_all_asset_keys()}


def test_every_asset_says_what_it_is_and_whose(graph) -> None:
    lacking = {
        f"{key.to_user_string()}: no {what}"
        for key in graph.get_all_asset_keys()
        for what, value in (
            ("description", graph.get(key).description),
            ("owner", graph.get(key).owners),
            ("kind", graph.get(key).kinds),
            ("partition", graph.get(key).partitions_def),
        )
        if not value
    }
    assert not lacking


def checks(graph, *, are_blocking: bool) -> set[str]:
    return {
        f"{key.asset_key.to_user_string()}: {key.name}"
        for key in graph.asset_check_keys
        if graph.get_check_spec(key).blocking == are_blocking
    }


def named(words: Mapping[str, str]) -> set[str]:
    return {f"{asset}: {check}" for check, assets in words.items() for asset in assets.split()}


def test_the_checks_that_stop_a_night(graph) -> None:
    models = {f"{path.parent.name}/{path.stem}: contract" for path in (ROOT / "dbt_like_sql").glob("*/*.sql")}
    expected = models - UNTESTED_VIEWS | named(OTHER_BLOCKING_CHECKS)
    assert_same("blocking checks", checks(graph, are_blocking=True), expected)


def test_the_checks_that_warn(graph) -> None:
    assert_same("warning checks", checks(graph, are_blocking=False), named(WARNING_CHECKS))


def test_how_many_checks_each_layer_has(graph) -> None:
    counts = Counter(graph.get(key.asset_key).group_name for key in graph.asset_check_keys)
    assert counts == {"raw": 5, "staging": 39, "identity": 5, "reconciled": 12, "hygiene": 20, "metrics": 8}


def test_every_check_says_what_it_looks_at(graph) -> None:
    assert not [key for key in graph.asset_check_keys if not graph.get_check_spec(key).description]


def test_the_jobs(definitions: dg.Definitions) -> None:
    # Dagster adds one job of its own, for runs of single assets.
    found = {job.name for job in definitions.resolve_all_job_defs()} - {"__ASSET_JOB"}
    assert_same("jobs", found, JOBS.split())
    assert not [name for name in found if not definitions.resolve_job_def(name).description]


def test_the_schedules(definitions: dg.Definitions) -> None:
    schedules = definitions.get_repository_def().schedule_defs
    assert_same("schedules", (each.name for each in schedules), SCHEDULES.split())
    assert {each.execution_timezone for each in schedules} == {"America/New_York"}
    assert {each.default_status for each in schedules} == {dg.DefaultScheduleStatus.RUNNING}
    assert all(each.description for each in schedules)


def test_the_sensors(definitions: dg.Definitions) -> None:
    sensors = definitions.get_repository_def().sensor_defs
    assert_same("sensors", (each.name for each in sensors), SENSORS.split())
    assert {each.default_status for each in sensors} == {dg.DefaultSensorStatus.RUNNING}
    assert all(each.description for each in sensors)


def test_what_a_module_of_defs_defines_is_registered(definitions: dg.Definitions, graph) -> None:
    repository = definitions.get_repository_def()
    registered = {
        *(key.to_user_string() for key in graph.get_all_asset_keys()),
        *(f"{key.asset_key.to_user_string()}: {key.name}" for key in graph.asset_check_keys),
        *(job.name for job in definitions.resolve_all_job_defs()),
        *(each.name for each in (*repository.schedule_defs, *repository.sensor_defs)),
    }
    defined = [
        (module.__name__, name)
        for module in list(sys.modules.values())
        if isinstance(module, ModuleType) and module.__name__.startswith("hygiene_pipeline.defs.")
        for value in vars(module).values()
        for name in names_of(value)
    ]
    assert defined
    assert not [f"{name} of {module}" for module, name in defined if name not in registered]


def names_of(value: object) -> list[str]:
    """The names under which a definition must be found, none for anything else."""
    if isinstance(value, dg.AssetsDefinition):
        return [
            *(key.to_user_string() for key in value.keys),
            *(f"{key.asset_key.to_user_string()}: {key.name}" for key in value.check_keys),
        ]
    if isinstance(value, dg.AssetSpec):
        return [value.key.to_user_string()]
    if isinstance(value, dg.ScheduleDefinition | dg.SensorDefinition | dg.JobDefinition):
        return [value.name]
    # What define_asset_job makes has no public name.
    return [str(value.name)] if type(value).__name__ == "UnresolvedAssetJobDefinition" else []


def test_loading_warns_of_nothing() -> None:
    assert loading()["warnings"] == []


@pytest.mark.parametrize("module", IMPORTED_LATE)
def test_loading_does_not_wait_for_a_library_that_few_steps_need(module: str) -> None:
    assert module not in loading()["modules"]


def test_a_difference_is_told_name_by_name() -> None:
    with pytest.raises(AssertionError) as told:
        assert_same("jobs", ["nightly", "weekly"], ["nightly", "monthly"])
    assert "- monthly: listed, not loaded" in str(told.value)
    assert "+ weekly: loaded, not listed" in str(told.value)
    assert "nightly:" not in str(told.value)
