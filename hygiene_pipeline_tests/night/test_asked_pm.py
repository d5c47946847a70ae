"""A PM that is asked, through the steps of the real job: its lists become raw rows; a failed fetch removes nobody."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from hygiene_pipeline.definitions import defs
from hygiene_pipeline.defs.unrecorded import unrecorded_runs
from hygiene_pipeline.landing.fetch_pm import CREDENTIALS
from hygiene_pipeline_tests.night.bed import FIRST, PRACTICE, SECOND, TinyPractice
from hygiene_pipeline_tests.pm.tebra_server import CUSTOMER_KEY, PASSWORD, USER, TebraServer, tebra_server
from hygiene_pipeline_tests.pm.tebra_server import PRACTICE as NAME

STEPS = [
    dg.AssetKey(path)
    for path in (
        ["policy", "tables"],
        ["landing", "pm_lists"],
        *(["raw", f"pm_{n}"] for n in ("patients", "coverage", "appointments")),
    )
]
_PM = """
pm: {{kind: tebra, practice_name: "{name}", wsdl_url: "{url}", appointments_back_days: 5, appointments_ahead_days: 5}}
baa: [{{vendor: tebra, signed_on: 2026-01-15}}]
"""


@pytest.fixture
def tebra() -> Iterator[TebraServer]:
    with tebra_server(pace=1.0) as server:
        server.providers = [{"ID": "31", "Type": "Normal Provider", "NationalProviderIdentifier": "1234567893"}]
        server.patients = [
            {"ID": str(number), "FirstName": "Ann", "LastName": f"Roe{number}", "DOB": "1/2/1980 12:00:00 AM"}
            for number in range(1, 4)
        ]
        yield server


@pytest.fixture
def practice(tmp_path: Path, tebra: TebraServer) -> TinyPractice:
    made = TinyPractice(tmp_path)
    with (tmp_path / "practices" / f"{PRACTICE}.yaml").open("a") as file:
        file.write(_PM.format(name=NAME, url=tebra.url))
    for name, value in zip(CREDENTIALS, (CUSTOMER_KEY, USER, PASSWORD), strict=True):
        path = tmp_path / "keys" / PRACTICE / f"{name}.key"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value)
    return made


def take(practice: TinyPractice, as_of: str) -> dg.ExecuteInProcessResult:
    """The steps of the night that take what the PM holds."""
    config = {"as_of": as_of, "border_checks": False, "describe": False, "settle_seconds": 0.0}
    with practice.environment(), unrecorded_runs() as instance:
        job = defs().resolve_job_def("nightly")
        return job.execute_in_process(
            asset_selection=STEPS,
            partition_key=PRACTICE,
            instance=instance,
            raise_on_error=False,
            run_config={"resources": {"deployment": {"config": config}}},
        )


def test_a_night_takes_what_tebra_holds_and_a_failed_fetch_changes_nothing(practice, tebra):
    assert take(practice, FIRST).success
    rows = "select pm_patient_id, last_name, is_removed from raw.pm_patients order by all"
    first = practice.rows(rows)
    assert [(row["pm_patient_id"], row["last_name"]) for row in first] == [("1", "Roe1"), ("2", "Roe2"), ("3", "Roe3")]

    # Two of three patients are gone, but the list cannot be had: its user was locked.
    tebra.patients = tebra.patients[:1]
    (practice.root / "keys" / PRACTICE / "tebra_password.key").write_text("changed")
    failed = take(practice, SECOND)
    (step,) = failed.get_step_failure_events()
    assert step.step_key == "landing__pm_lists"
    told = step.step_failure_data.error.cause.message
    assert "tebra: GetPractices: Tebra refused the credentials; check the keys" in told
    assert practice.rows(rows) == first
