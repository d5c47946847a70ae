"""FHIR notifications, bundles and single resources as events."""

import json
from datetime import UTC, datetime
from typing import Any

from hygiene_pipeline.ehr.fhir_events import parse

PLAN = {
    "resourceType": "CarePlan",
    "id": "c1",
    "meta": {"versionId": "3"},
    "status": "completed",
    "intent": "plan",
    "subject": {"reference": "Patient/p1/_history/2"},
    "period": {"end": "2026-01-05T09:00:00-05:00"},
}


def notification(
    *focuses: str, kind: str = "event-notification", resources: list[dict[str, Any]] | None = None
) -> bytes:
    events = [
        {
            "name": "notification-event",
            "part": [
                {"name": "event-number", "valueString": str(number)},
                {"name": "timestamp", "valueInstant": "2026-01-05T10:00:00-05:00"},
                {"name": "focus", "valueReference": {"reference": focus}},
            ],
        }
        for number, focus in enumerate(focuses, start=7)
    ]
    status = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "subscription", "valueReference": {"reference": "https://ehr/Subscription/9"}},
            {"name": "type", "valueCode": kind},
            *events,
        ],
    }
    entries = [{"resource": status}, *({"resource": each} for each in resources or [])]
    return json.dumps({"resourceType": "Bundle", "type": "history", "entry": entries}).encode()


def test_a_notification_is_known_by_subscription_and_number() -> None:
    file = parse(notification("https://ehr/CarePlan/c1", resources=[PLAN]))
    event = file.events[0]
    assert (event.event_id, event.kind, event.status) == ("https://ehr/Subscription/9#7", "CarePlan", "completed")
    assert (event.ehr_patient_id, event.evidence_ref) == ("p1", "CarePlan/c1")
    assert event.event_at == datetime(2026, 1, 5, 15, tzinfo=UTC)
    assert file.resources == [PLAN]


def test_an_id_only_notification_still_names_its_focus() -> None:
    event = parse(notification("Encounter/e9")).events[0]
    assert (event.kind, event.resource_id, event.ehr_patient_id) == ("Encounter", "e9", None)


def test_a_heartbeat_is_no_event_and_no_fault() -> None:
    file = parse(notification(kind="heartbeat"))
    assert (file.events, file.bad, file.resources) == ([], [], [])


def test_a_single_resource_is_known_by_its_version() -> None:
    event = parse(json.dumps(PLAN).encode()).events[0]
    assert event.event_id == "CarePlan/c1/3"
    assert event.event_at == datetime(2026, 1, 5, 14, tzinfo=UTC)


def test_a_bad_entry_is_set_aside_and_the_others_survive() -> None:
    bad = {"resourceType": "CarePlan", "id": "c2", "status": "finished", "intent": "plan", "subject": {}}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": bad}, {"resource": PLAN}]}
    file = parse(json.dumps(bundle).encode())
    assert [(each.field, each.reason) for each in file.bad] == [("status", "unknown_code")]
    assert [event.resource_id for event in file.events] == ["c1"]


def test_what_is_no_json_is_set_aside_with_its_reason() -> None:
    reasons = [parse(content).bad[0].reason for content in (b'{"resourceType": "Pat', b"hello", b'{"a": "\xff"}', b"3")]
    assert reasons == ["truncated", "not_json", "not_utf8", "wrong_type"]


def test_a_discharge_and_a_death_are_read_from_resources() -> None:
    encounter = {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "finished",
        "class": {"code": "IMP"},
        "subject": {"reference": "urn:uuid:p1"},
        "hospitalization": {"dischargeDisposition": {"coding": [{"code": "home"}]}},
    }
    patient = {"resourceType": "Patient", "id": "p1", "deceasedDateTime": "2026-01-05T10:00:00Z"}
    stay = parse(json.dumps(encounter).encode()).events[0]
    death = parse(json.dumps(patient).encode()).events[0]
    assert (stay.disposition, stay.ehr_patient_id) == ("home", "p1")
    assert (death.is_deceased, death.deceased_at) == (True, datetime(2026, 1, 5, 10, tzinfo=UTC))
