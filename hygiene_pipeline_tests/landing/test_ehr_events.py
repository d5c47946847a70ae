"""Files of EHR events into `raw.ehr_event`, the raw FHIR tables and the quarantine."""

import json
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hygiene_pipeline.landing.file import Loaded
from hygiene_pipeline.landing.inbox import DOCUMENTS, FRAMES
from hygiene_pipeline_tests.ehr.test_fhir_events import PLAN, notification
from hygiene_pipeline_tests.ehr.test_hl7_v2 import message
from hygiene_pipeline_tests.landing.fhir_desk import Desk, ndjson, patient


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_messages_become_events_with_their_provenance(desk: Desk) -> None:
    assert desk.events((message(control="M1") + message(control="M2")).encode()) == Loaded(rows=2, quarantined=0)
    rows = desk.rows(
        """select kind, mrn, event_at, disposition, visit_number, phones[1].value, source_file, source_line, take_seq
           from raw.ehr_event where evidence_ref = 'ADT^A03/M2'"""
    )
    at = datetime(2026, 1, 5, 15, 30, tzinfo=UTC)
    assert rows == [("ADT^A03", "MRN1", at, "01", "V1", "(617)253-0001", "ehr_events/feed.hl7", 5, 1)]


def test_an_event_sent_twice_is_one_event(desk: Desk) -> None:
    twice = (message() + message()).encode()
    assert desk.events(twice).rows == 1
    assert desk.events(message().replace("\r", "\n").encode(), name="again.hl7").rows == 0


def test_a_bad_message_is_quarantined_by_its_line_and_the_rest_survives(desk: Desk) -> None:
    content = (message(control="M1") + message(PID="") + message(control="M3")).encode()
    assert desk.events(content) == Loaded(rows=2, quarantined=1)
    assert desk.rows("select place, source_line, field, reason, original like 'MSH%' from quarantine.record") == [
        ("ehr_events", 5, "PID", "missing_segment", True)
    ]


def test_a_notified_resource_is_an_event_and_a_version(desk: Desk) -> None:
    assert desk.events(notification("CarePlan/c1", resources=[PLAN]), name="n.json") == Loaded(rows=1, quarantined=0)
    assert desk.rows("select event_id, resource_id from raw.ehr_event") == [("https://ehr/Subscription/9#7", "c1")]
    assert desk.rows("select id, status, source_file from raw.fhir_care_plan") == [
        ("c1", "completed", "ehr_events/n.json")
    ]


def test_a_version_that_came_in_an_event_is_not_stored_again_by_the_export(desk: Desk) -> None:
    desk.events(json.dumps(PLAN).encode(), name="plan.json")
    assert desk.fhir(ndjson(PLAN)) == Loaded(rows=0, quarantined=0)


def test_a_bad_resource_in_a_bundle_is_quarantined_alone(desk: Desk) -> None:
    entries = [{"resource": patient("p1", active="yes")}, {"resource": patient("p2", active=True)}]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    assert desk.events(json.dumps(bundle).encode(), name="b.json") == Loaded(rows=1, quarantined=1)
    assert desk.quarantined() == [(1, "active", "wrong_type")]
    assert desk.rows("select id from raw.fhir_patient") == [("p2",)]


def test_a_file_that_is_no_json_is_quarantined_whole(desk: Desk) -> None:
    assert desk.events(b'{"resourceType": "Pat', name="cut.json") == Loaded(rows=0, quarantined=1)
    assert desk.quarantined() == [(1, "", "truncated")]


def test_what_a_receiver_stored_is_read_as_what_was_sent(desk: Desk) -> None:
    frames = FRAMES.join([message(control="M1").encode(), b"no HL7", message(control="M2").encode()])
    assert desk.events(frames, name="mllp-1.hl7") == Loaded(rows=2, quarantined=1)
    documents = DOCUMENTS.join([notification("CarePlan/c1", resources=[PLAN]), json.dumps(patient("p1")).encode()])
    assert desk.events(documents, name="fhir-1.json") == Loaded(rows=2, quarantined=0)
    assert desk.rows("select kind from raw.ehr_event order by 1") == [
        ("ADT^A03",),
        ("ADT^A03",),
        ("CarePlan",),
        ("Patient",),
    ]


def test_a_warehouse_from_before_pathways_takes_messages(desk: Desk) -> None:
    desk.events(message(control="M1").encode())
    desk.con.execute("alter table raw.ehr_event drop column pathways")
    desk.events(message(control="M2").encode())
    assert desk.rows("select pathways from raw.ehr_event order by evidence_ref") == [(None,), (["I"],)]


def version(own_id: str, status: str, updated: str | None) -> dict[str, Any]:
    meta = {"meta": {"lastUpdated": updated}} if updated else {}
    return {"resourceType": "EpisodeOfCare", "id": own_id, "status": status, "patient": {"reference": "#"}, **meta}


RESOURCES = st.one_of(
    st.builds(
        version,
        st.sampled_from(["e1", "e2"]),
        # The last is no status, so its resource goes to quarantine.
        st.sampled_from(["planned", "active", "ended"]),
        st.sampled_from([None, "2026-02-01T10:00:00Z", "2026-02-02T10:00:00Z"]),
    ),
    st.builds(patient, st.sampled_from(["e1", "e2"]), active=st.sampled_from([True, False, "yes"])),
)


@settings(max_examples=12)
@given(st.lists(st.lists(RESOURCES, max_size=4), min_size=2, max_size=4))
def test_files_taken_in_one_go_give_the_rows_of_files_taken_one_by_one(documents: list[list[dict[str, Any]]]) -> None:
    contents = [json.dumps(document).encode() for document in documents]
    found = []
    for at_once in (True, False):
        with TemporaryDirectory() as folder:
            desk = Desk(Path(folder))
            taken = sum(desk.events_of(contents, at_once=at_once), Loaded(rows=0, quarantined=0))
            tables = ("raw.ehr_event", "raw.fhir_episode_of_care", "raw.fhir_patient", "quarantine.record")
            found.append((taken, [desk.rows(f"from {table} order by all") for table in tables]))
    assert found[0] == found[1]
