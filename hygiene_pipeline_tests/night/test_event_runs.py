"""Events between nights: a run touches what follows from what arrived, corrects the CRM, and is asked for once."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from hygiene_pipeline.defs import event_jobs
from hygiene_pipeline.defs.sensors import ehr_event_arrived, eligibility_arrived, reply_arrived
from hygiene_pipeline.model_build import ModelFailedError
from hygiene_pipeline_tests.night import formats
from hygiene_pipeline_tests.night.bed import FIRST, PRACTICE, TinyPractice
from hygiene_pipeline_tests.night.systems import PAYER, phone_of

BOOKKEEPING = ("raw.landing_file", "raw.delivery", "history.night")
ARRIVALS = {
    "ehr_event": ("2026-03-02T15:00:00+00:00", "raw/ehr_event", ehr_event_arrived),
    "eligibility_event": ("2026-03-02T16:00:00+00:00", "raw/pm_eligibility", eligibility_arrived),
    "reply_event": ("2026-03-02T17:00:00+00:00", "raw/replies", reply_arrived),
}
WRITTEN = {
    "ehr_event": {
        ("C01", "care_status", "discharged"),
        ("C01", "segments", None),
        ("C04", "care_status", "completed"),
        ("C04", "segments", None),
    },
    "eligibility_event": {("C02", "insurance_status", "verify_required")},
    "reply_event": {
        ("C01", "last_phone_verified", "2026-03-02T16:10:00Z"),
        ("C02", "sms_opt_out", "true"),
        ("C02", "email_opt_out", "true"),
        ("C02", "call_opt_out", "true"),
        ("C03", "phone", phone_of(3, generation=2)),
        ("C03", "last_phone_verified", "2026-03-02T16:30:00Z"),
    },
}


@dataclass
class Run:
    """What a run of an event job left behind."""

    materialized: set[str]
    left: dict[str, str]
    touched: set[str]
    written: set[tuple[str, str, str | None]]


def arrivals() -> dict[str, dict[str, bytes]]:
    answer = {
        **PAYER, "check_id": "K99", "member_id": "ACM0002", "result": "inactive", "stamp": "20260302T1030",
    }  # fmt: skip
    replies = [
        {"contact_id": "C01", "received_at": "2026-03-02T16:10:00Z", "channel": "email", "kind": "confirm_phone",
         "value": phone_of(1)},
        {"contact_id": "C02", "received_at": "2026-03-02T16:20:00Z", "channel": "sms", "kind": "stop", "value": "STOP"},
        {"contact_id": "C03", "received_at": "2026-03-02T16:30:00Z", "channel": "sms", "kind": "change_phone",
         "value": phone_of(3, generation=2)},
    ]  # fmt: skip
    discharge = formats.discharge("M01", stamp="20260302093000-0500", control="A1")
    plan = formats.care_plan("CP99", "E04", "completed", start="2026-01-05T15:00:00Z", end="2026-03-02T14:00:00Z")
    return {
        "ehr_event": {"ehr_events/noon.hl7": discharge.encode(), "ehr_events/plan.json": formats.ndjson_bytes([plan])},
        "eligibility_event": {"pm/eligibility/noon.271": formats.x12_271([answer], control=99).encode()},
        "reply_event": {"replies/noon.ndjson": formats.ndjson_bytes(replies)},
    }


def materialized_in(instance: dg.DagsterInstance, run_id: str) -> set[str]:
    """The tables that a run has told Dagster of."""
    return {
        event.dagster_event.asset_key.to_user_string()
        for event in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        if event.dagster_event and event.dagster_event.asset_key
    }


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> TinyPractice:
    bed = TinyPractice(tmp_path_factory.mktemp("events"), people=4)
    bed.deliver()
    bed.night(FIRST, job="bare_night")
    return bed


@pytest.fixture(scope="module")
def runs(bed: TinyPractice) -> Iterator[dict[str, Run]]:
    found = {}
    with dg.DagsterInstance.ephemeral() as instance:
        for job, (as_of, *_) in ARRIVALS.items():
            tables, log = bed.tables(), len(bed.crm_log())
            bed.write(arrivals()[job])
            outcome = bed.run(as_of, job=job, instance=instance)
            assert outcome.success, outcome.problems
            left = bed.tables()
            found[job] = Run(
                left=left,
                materialized=materialized_in(instance, outcome.run_id),
                touched={name for name, rows in left.items() if tables.get(name) != rows},
                written={(row["contact_id"], row["field"], row["after_value"]) for row in bed.crm_log()[log:]},
            )
        yield found


@pytest.mark.parametrize("job", ARRIVALS)
def test_corrects_the_crm_at_once(runs: dict[str, Run], job: str) -> None:
    assert runs[job].written == WRITTEN[job]


def test_what_a_patient_says_is_the_evidence_in_the_ledger(bed: TinyPractice, runs: dict[str, Run]) -> None:
    rows = bed.rows("select contact_id, field, evidence_ref from sync.crm_change where evidence_ref like 'replies/%'")
    assert {(row["contact_id"], row["field"]): row["evidence_ref"] for row in rows} == {
        (contact_id, field): f"replies/noon.ndjson:{contact_id[-1]}" for contact_id, field, _ in WRITTEN["reply_event"]
    }


@pytest.mark.parametrize("job", ARRIVALS)
def test_takes_its_own_source_and_the_crm(runs: dict[str, Run], job: str) -> None:
    raw = {asset for asset in runs[job].materialized if asset.startswith("raw/")}
    assert raw == {ARRIVALS[job][1], "raw/crm_contacts"}


OWN_STAGING = {
    "ehr_event": ({"staging/ehr_patient", "staging/ehr_care_event"}, {"staging/pm_patient", "staging/reply"}),
    "eligibility_event": ({"staging/pm_eligibility"}, {"staging/ehr_patient", "staging/ehr_telecom"}),
    "reply_event": ({"staging/reply"}, {"staging/ehr_patient", "staging/pm_patient"}),
}


@pytest.mark.parametrize("job", ARRIVALS)
def test_stages_what_arrived_and_no_other_source(runs: dict[str, Run], job: str) -> None:
    needed, needless = OWN_STAGING[job]
    assert needed <= runs[job].materialized
    assert not needless & runs[job].materialized


@pytest.mark.parametrize("job", ARRIVALS)
def test_leaves_measures_copies_and_reports_to_the_night(runs: dict[str, Run], job: str) -> None:
    groups = {asset.partition("/")[0] for asset in runs[job].materialized}
    assert groups == {"policy", "raw", "staging", "identity", "reconciled", "hygiene", "sync"}


@pytest.mark.parametrize("job", ARRIVALS)
def test_touches_no_table_beside_its_assets_and_the_books(runs: dict[str, Run], job: str) -> None:
    made = {asset.replace("/", ".") for asset in runs[job].materialized}
    others = {
        table
        for table in runs[job].touched - made
        if not table.startswith(("policy.", "quality.", "history.", "raw.fhir_")) and table not in BOOKKEEPING
    }
    assert not others


@pytest.mark.parametrize("job", ARRIVALS)
def test_keeps_the_queue_in_step(runs: dict[str, Run], job: str) -> None:
    assert "hygiene/issue" in runs[job].materialized


SHOWN = ("staging", "identity", "reconciled", "hygiene")


# The last is no replay: no run was later.
@pytest.mark.parametrize("job", list(ARRIVALS)[:-1])
def test_a_replay_of_its_time_shows_what_it_showed_and_writes_nothing(
    bed: TinyPractice, runs: dict[str, Run], job: str
) -> None:
    written = bed.crm_log()
    outcome = bed.run(ARRIVALS[job][0], job=job)
    assert outcome.success, outcome.problems
    built = {asset.replace("/", ".") for asset in runs[job].materialized if asset.startswith(SHOWN)}
    now = bed.tables(*SHOWN)
    assert {name for name in built if now.get(name) != runs[job].left.get(name)} == set()
    assert bed.crm_log() == written


def test_the_run_after_a_replay_shows_every_source_as_of_now(bed: TinyPractice, runs: dict[str, Run]) -> None:
    assert bed.run(ARRIVALS["ehr_event"][0], job="ehr_event").success
    assert bed.tables("staging")["staging.reply"] != runs["reply_event"].left["staging.reply"], "not there yet"
    outcome = bed.run("2026-03-02T18:00:00+00:00", job="ehr_event")
    assert outcome.success, outcome.problems
    own = ("staging.reply", "staging.pm_eligibility", "staging.ehr_care_event")
    now = bed.tables("staging")
    assert {name: now[name] for name in own} == {name: runs["reply_event"].left[name] for name in own}


def test_a_run_that_fails_shows_what_it_renewed_and_the_next_one_goes_on(
    bed: TinyPractice, runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ModelFailedError("it fails here")

    reply = {
        "contact_id": "C04",
        "received_at": "2026-03-02T18:30:00Z",
        "channel": "sms",
        "kind": "stop",
        "value": "STOP",
    }
    bed.write({"replies/evening.ndjson": formats.ndjson_bytes([reply])})
    before = len(bed.crm_log())
    with monkeypatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setattr(event_jobs, "build_model", fail)
        outcome = bed.run("2026-03-02T19:00:00+00:00", job="reply_event", instance=instance)
        assert (outcome.success, len(bed.crm_log())) == (False, before)
        assert {"raw/replies", "staging/reply", "hygiene/contact_status"} <= materialized_in(instance, outcome.run_id)
    assert bed.run("2026-03-02T19:05:00+00:00", job="reply_event").success
    assert {(row["contact_id"], row["field"]) for row in bed.crm_log()[before:]} == {
        ("C04", "sms_opt_out"),
        ("C04", "email_opt_out"),
        ("C04", "call_opt_out"),
    }


def long_ago(path: Path, *, hours: int) -> None:
    """Make a file look as if nobody had touched it for so long."""
    os.utime(path, (path.stat().st_mtime - 3600 * hours,) * 2)


@pytest.mark.parametrize("job", ARRIVALS)
def test_a_tick_asks_once_for_a_settled_file(tmp_path_factory: pytest.TempPathFactory, job: str) -> None:
    bed = TinyPractice(tmp_path_factory.mktemp("ticks"))
    sensor = ARRIVALS[job][2]
    cursor = None

    def tick() -> list[dg.RunRequest]:
        nonlocal cursor
        with bed.environment(), dg.DagsterInstance.ephemeral() as instance:
            result = sensor(dg.build_sensor_context(instance=instance, cursor=cursor))
        cursor = result.cursor
        return list(result.run_requests or [])

    name, content = next(iter(arrivals()[job].items()))
    path = bed.folders.landing / name
    assert tick() == [], "no night yet"
    bed.folders.warehouse.parent.mkdir(parents=True)
    bed.folders.warehouse.touch()
    long_ago(bed.folders.warehouse, hours=3)
    bed.write({name: content})
    long_ago(path, hours=4)
    assert tick() == [], "the night took it"
    bed.write({name: content[:40]})
    # Later than any tick that this machine may come to.
    long_ago(path, hours=-1)
    assert tick() == [], "still being written"
    bed.write({name: content})
    long_ago(path, hours=1)
    [request] = tick()
    assert (request.partition_key, request.run_key is not None) == (PRACTICE, True)
    assert tick() == []
    assert path.name not in str(cursor)
    assert path.name not in str(request)
