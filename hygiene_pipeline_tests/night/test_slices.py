"""An event run renews the rows of whom it touches, and leaves every table as if each had been built whole."""

import random
import shutil
from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest

from hygiene_pipeline.demo.story import simulate_only
from hygiene_pipeline.night import models, open_night
from hygiene_pipeline_tests.night import formats
from hygiene_pipeline_tests.night.bed import PRACTICE, TinyPractice
from hygiene_pipeline_tests.night.mortal_nights import night_in_a_fork
from hygiene_pipeline_tests.night.random_events import Person, arrivals

PATIENTS = 60
NIGHT = "2026-01-06T07:00:00+00:00"
RUNS = [
    ("ehr_event", "2026-01-06T13:00:00+00:00", 12),
    ("reply_event", "2026-01-06T14:00:00+00:00", 5),
    ("eligibility_event", "2026-01-06T15:00:00+00:00", 5),
]
# How often the CRM was asked, and on which line of which answer a contact stood.
OF_TAKING = ("source_line", "file_id", "take_seq")
BOOKKEEPING = ("raw.landing_file", "raw.delivery")


@pytest.fixture(scope="module")
def after_a_night(tmp_path_factory: pytest.TempPathFactory) -> TinyPractice:
    bed = TinyPractice(tmp_path_factory.mktemp("sliced"))
    with bed.environment():
        simulate_only(PRACTICE, patients=PATIENTS, days=1, seed=5, on_day=lambda _: None)
    bed.night(NIGHT, job="bare_night")
    return bed


@pytest.fixture
def copies(after_a_night: TinyPractice, tmp_path: Path) -> tuple[TinyPractice, TinyPractice]:
    one, other = (TinyPractice(shutil.copytree(after_a_night.root, tmp_path / name)) for name in ("one", "other"))
    return one, other


def people(bed: TinyPractice, rng: random.Random, number: int) -> list[Person]:
    rows = bed.rows(
        """select chart.mrn, chart.ehr_patient_id, pm.source_id as pm_patient_id, crm.source_id as contact_id
           from staging.ehr_patient as chart
           inner join identity.patient_link as ehr on ehr.source = 'ehr' and ehr.source_id = chart.ehr_patient_id
           inner join identity.patient_link as pm on pm.source = 'pm' and pm.patient_id = ehr.patient_id
           inner join identity.patient_link as crm on crm.source = 'crm' and crm.patient_id = ehr.patient_id
           order by all"""
    )
    return [Person(**row) for row in rng.sample(rows, number)]


def forget_a_build(bed: TinyPractice) -> None:
    """So that the next event run cannot tell what a table knows, and builds each whole."""
    with bed.environment(), open_night(PRACTICE) as night:
        night.warehouse.con.execute("delete from quality.built_model where model = 'staging.crm_contact'")


def run(bed: TinyPractice, job: str, as_of: str) -> str:
    """Why the run built every table whole, or nothing."""
    with dg.DagsterInstance.ephemeral() as instance:
        outcome = bed.run(as_of, job=job, instance=instance)
        assert outcome.success, outcome.problems
        [told] = [
            event.dagster_event.step_output_data.metadata["built_whole_because"].value
            for event in instance.all_logs(outcome.run_id, of_type=dg.DagsterEventType.STEP_OUTPUT)
            if event.dagster_event and event.dagster_event.step_key == "renew_the_touched"
        ]
        return str(told)


def tables(bed: TinyPractice) -> dict[str, str]:
    return {
        name: rows
        for name, rows in bed.tables(without=OF_TAKING).items()
        if name not in BOOKKEEPING and not name.startswith("quality.")
    }


def unlike(one: TinyPractice, other: TinyPractice) -> list[str]:
    left, right = tables(one), tables(other)
    return sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))


def test_a_slice_leaves_what_building_everything_leaves(copies: tuple[TinyPractice, TinyPractice]) -> None:
    sliced, whole = copies
    rng = random.Random(20260106)
    for number, (job, as_of, touched) in enumerate(RUNS):
        files = arrivals(job, people(sliced, rng, touched), seed=number, at=datetime.fromisoformat(as_of))
        for bed in copies:
            bed.write(files)
        forget_a_build(whole)
        assert run(sliced, job, as_of) == ""
        assert run(whole, job, as_of) != ""
    assert unlike(sliced, whole) == []
    assert sliced.crm() == whole.crm()
    decided, made = "from reconciled.field_decision", f"from ({models()['reconciled.field_decision'].sql}\n)"
    for bed in copies:
        assert bed.rows(f"({decided} except {made}) union all ({made} except {decided})") == []


def test_a_killed_slice_is_made_up_for(copies: tuple[TinyPractice, TinyPractice]) -> None:
    alone, killed = copies
    job, as_of, touched = RUNS[0]
    files = arrivals(job, people(alone, random.Random(7), touched), seed=7, at=datetime.fromisoformat(as_of))
    for bed in copies:
        bed.write(files)
    ended, seconds = night_in_a_fork(alone.root, as_of, 0, job).split()
    assert ended == "done"
    for share in (0.6, 0.85):
        night_in_a_fork(killed.root, as_of, share * float(seconds), job)
    assert night_in_a_fork(killed.root, as_of, 0, job).startswith("done")
    assert unlike(alone, killed) == []
    assert alone.crm() == killed.crm()


def test_a_run_that_could_concern_others_says_why_it_builds_all(after_a_night: TinyPractice, tmp_path: Path) -> None:
    bed = TinyPractice(shutil.copytree(after_a_night.root, tmp_path / "one"))
    [one, other] = people(bed, random.Random(3), 2)
    merge = formats.discharge(one.mrn, stamp="20260106120000+0000", control="m1")
    merge = merge.replace("ADT^A03^ADT_A03", "ADT^A40^ADT_A39").replace("EVN|A03", "EVN|A40")
    bed.write({"ehr_events/merge.hl7": merge + f"MRG|{other.mrn}^^^RIVERSIDE^MR\r"})
    assert run(bed, "ehr_event", RUNS[0][1]) == "staging.ehr_merge changed for others too"
    [link] = bed.rows(
        "select count(distinct patient_id) as patients from identity.patient_link"
        " where source = 'ehr' and source_id in (?, ?)", one.ehr_patient_id, other.ehr_patient_id,
    )  # fmt: skip
    assert link["patients"] == 1
    assert run(bed, "reply_event", RUNS[1][1]) == ""
    assert run(bed, "reply_event", "2026-01-07T06:00:00+00:00") == "a new day has begun"
