"""A practice whose EHR is asked for a bulk export: through the real assets, from a real server, signed in.

Of a night only its beginning is run, since what follows does not know how the files came.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hygiene_pipeline.definitions import defs
from hygiene_pipeline.defs import jobs
from hygiene_pipeline.defs.landing import ehr_export
from hygiene_pipeline.defs.policy import policy_tables
from hygiene_pipeline.defs.raw import raw_ehr
from hygiene_pipeline.defs.resources import Deployment
from hygiene_pipeline.event_run.kinds import EVENT_RUNS
from hygiene_pipeline.folders import Folders
from hygiene_pipeline.landing.fetch_ehr import smart_bulk_findings
from hygiene_pipeline.practice import load_practice
from hygiene_pipeline_tests.ehr.bulk_server import TRANSACTION_TIME, BulkServer, Trouble
from hygiene_pipeline_tests.ehr.mortal_exports import now
from hygiene_pipeline_tests.night.bed import FIRST, PRACTICE, SECOND, TinyPractice

CURVE = ec.generate_private_key(ec.SECP384R1())
SETTINGS = """\
ehr:
  kind: smart_bulk
  base_url: {base_url}
  vendor: epic
  level: group
  group: g1
  incremental: true
  client_id: hygiene
  key_id: key-1
  types: [Patient, Encounter]
  longest_wait_seconds: 0.01
  attempts: 2
  wait_minutes: {minutes}
baa: [{{vendor: epic, signed_on: 2026-01-15}}]
"""


@pytest.fixture(scope="module")
def running() -> Iterator[BulkServer]:
    with BulkServer() as server:
        yield server


@pytest.fixture
def server(running: BulkServer) -> BulkServer:
    running.reset()
    running.client_key = CURVE.public_key()
    return running


@pytest.fixture
def bed(tmp_path: Path, server: BulkServer) -> TinyPractice:
    """A practice with two patients; its EHR's resources are with the server."""
    bed = TinyPractice(tmp_path, people=2)
    pem = CURVE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = tmp_path / "keys" / PRACTICE / "smart_bulk.key"
    key.parent.mkdir(parents=True)
    key.write_bytes(pem)
    use(bed, server)
    files = bed.systems.files("day0")
    bed.write({name: content for name, content in files.items() if not name.startswith("ehr/")})
    for name, content in files.items():
        if name.startswith("ehr/"):
            text = content if isinstance(content, str) else content.decode()
            server.holds(name.removeprefix("ehr/").partition(".")[0], [json.loads(line) for line in text.splitlines()])
    return bed


def use(bed: TinyPractice, server: BulkServer, *, minutes: float = 1, baa: bool = True) -> None:
    """Write the practice file anew, with the EHR asked."""
    bed.use_crm("{kind: embedded, sync: apply}")
    path = bed.root / "practices" / f"{PRACTICE}.yaml"
    settings = SETTINGS.format(base_url=server.base_url, minutes=minutes)
    path.write_text(path.read_text() + (settings if baa else settings.partition("baa:")[0]))


def night(bed: TinyPractice, as_of: str) -> str:
    """Fetch and take what the EHR has; what each failed step says."""
    with bed.environment():
        result = dg.materialize(
            [policy_tables, ehr_export, raw_ehr],
            partition_key=PRACTICE,
            resources={"deployment": Deployment(as_of=as_of, settle_seconds=0)},
            raise_on_error=False,
        )
    found = []
    for event in result.filter_events(lambda event: event.is_step_failure):
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        found.append(error.message if error else "")
    return "\n".join(found)


def patients(bed: TinyPractice) -> list[str]:
    return [row["id"] for row in bed.rows("select id from raw.fhir_patient order by all")]


def test_an_export_becomes_rows_once_and_the_next_night_asks_for_changes(bed: TinyPractice, server: BulkServer) -> None:
    assert night(bed, FIRST) == ""
    first = patients(bed)
    assert len(first) == 2
    assert night(bed, FIRST) == ""
    assert len(server.of("kickoff")) == 1, "the same night again"
    assert night(bed, SECOND) == ""
    assert [each.query.get("_since") for each in server.of("kickoff")] == [None, [TRANSACTION_TIME]]
    assert patients(bed) == first
    assert night(bed, FIRST) == ""
    assert len(server.of("kickoff")) == 2, "a past night replayed"


@pytest.mark.parametrize(
    ("job", "asked"),
    [
        (jobs.nightly, {"landing/ehr_export", "landing/pm_lists"}),
        (jobs.bare_night, {"landing/ehr_export", "landing/pm_lists"}),
        (jobs.referring_providers, set()),
        (jobs.scorecard, set()),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_only_a_night_asks_vendors(job: Any, asked: set[str]) -> None:
    chosen = job.selection.resolve(defs().resolve_asset_graph())
    assert {key.to_user_string() for key in chosen if key.path[0] == "landing"} == asked


@pytest.mark.parametrize("job", EVENT_RUNS)
def test_an_event_run_takes_and_renews_and_writes_and_asks_no_vendor(job: str) -> None:
    steps = defs().resolve_job_def(job).nodes_in_topological_order
    assert [step.name for step in steps] == ["take_what_arrived", "renew_the_touched", "correct_the_crm"]


def test_a_server_that_is_not_ready_does_not_hold_up_the_night(bed: TinyPractice, server: BulkServer) -> None:
    use(bed, server, minutes=0)
    server.polls = 1_000_000
    assert night(bed, FIRST) == ""
    assert patients(bed) == []
    server.exports = dict.fromkeys(server.exports, 0)
    assert night(bed, SECOND) == ""
    assert len(patients(bed)) == 2
    assert len(server.of("kickoff")) == 1


@pytest.mark.parametrize("kind", ["status", "token", "file"])
def test_a_server_that_is_down_stops_the_night_in_one_line(bed: TinyPractice, server: BulkServer, kind: str) -> None:
    server.trouble[kind] = [Trouble(status=503)] * 20
    assert "status 503, 2 times; the next night asks again" in night(bed, FIRST)
    assert list((bed.folders.landing / "ehr").glob("*.ndjson")) == []


def test_nothing_is_asked_without_an_agreement(bed: TinyPractice, server: BulkServer) -> None:
    use(bed, server, baa=False)
    assert "no BAA with epic on file" in night(bed, FIRST)
    assert server.asked == []


def test_a_missing_key_is_named_with_both_places_for_it(bed: TinyPractice, server: BulkServer) -> None:
    (bed.root / "keys" / PRACTICE / "smart_bulk.key").unlink()
    assert "HYGIENE_KEY_RIVERSIDE_SMART_BULK" in night(bed, FIRST)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        pytest.param(None, ["answers, and says where tokens are given", "granted"], id="all is well"),
        pytest.param("configuration", ["GET [base]/.well-known/smart-configuration: status 503, 2 times"], id="silent"),
        pytest.param("token", ["POST [token endpoint]: status 503, 2 times"], id="no token"),
    ],
)
def test_the_doctor_asks_for_a_token_and_no_export(
    bed: TinyPractice, server: BulkServer, kind: str | None, told: list[str]
) -> None:
    if kind:
        server.trouble[kind] = [Trouble(status=503, retry_after="0")] * 2
    with bed.environment():
        folders = Folders()
        found = list(smart_bulk_findings(load_practice(folders.practices, PRACTICE), folders.keys, at=now()))
    assert [finding.told.partition("; the next")[0] for finding in found][-len(told) :] == told
    assert all(finding.is_fine for finding in found) == (kind is None)
    assert server.of("kickoff") == []
