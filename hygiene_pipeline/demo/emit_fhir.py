"""The EHR's bulk export: everything on day 0, afterwards only what changed, one file a type and day."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from hygiene_pipeline.demo import fhir, fhir_history
from hygiene_pipeline.demo.emit_files import json_text, write_text
from hygiene_pipeline.demo.fhir import Resource
from hygiene_pipeline.demo.people import Person
from hygiene_pipeline.demo.world import Duplicate, World

TOPIC = "http://riverside.example/SubscriptionTopic/care-pathway"
# Lines that no reader should let pass: cut off, without id, an impossible date, a wrong type, no resource at all.
BAD_PATIENTS = (
    '{"resourceType":"Patient","id":"pt-bad-1","name":[{"family":"Cut","given":["Off"\n'
    '{"resourceType":"Patient","name":[{"family":"Nobody","given":["Nemo"]}],"birthDate":"1971-05-05"}\n'
    '{"resourceType":"Patient","id":"pt-bad-3","gender":"female","birthDate":"1980-13-45"}\n'
    '{"resourceType":"Patient","id":"pt-bad-4","name":"Wrong Type","birthDate":"1980-01-01"}'
)
BAD_ENCOUNTERS = '{"id":"enc-bad-1","status":"finished"}\n{"resourceType":"Encounter","id":"enc-bad-2","status":'


def emit_export(world: World, landing: Path, day: int) -> None:
    """Write `ehr/<Type>.ndjson` on day 0 and `ehr/<Type>.<date>.ndjson` later."""
    lines: dict[str, list[str]] = defaultdict(list)
    for resource in _everything(world) if day == 0 else _changed(world):
        lines[str(resource["resourceType"])].append(json_text(resource))
    if day == 0:
        lines["Patient"].append(BAD_PATIENTS)
        lines["Encounter"].append(BAD_ENCOUNTERS)
    stamp = "" if day == 0 else f".{world.clock.date(day - 1).isoformat()}"
    for kind, texts in lines.items():
        write_text(landing / "ehr" / f"{kind}{stamp}.ndjson", "\n".join(texts) + "\n")


def emit_notifications(world: World, landing: Path, day: int) -> None:
    """One R4 notification bundle a changed pathway, as the subscription delivers them."""
    for number, (person, record) in enumerate(world.news.notified):
        resource = fhir.care_record(person, record, world.clock)
        at = world.clock.text(record.changed_at)
        focus = {"reference": f"{record.kind}/{record.record_id}"}
        event = [
            {"name": "event-number", "valueString": str(number + 1)},
            {"name": "timestamp", "valueInstant": at},
            {"name": "focus", "valueReference": focus},
        ]
        status: Resource = {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "subscription", "valueReference": {"reference": "Subscription/care-pathways"}},
                {"name": "topic", "valueCanonical": TOPIC},
                {"name": "status", "valueCode": "active"},
                {"name": "type", "valueCode": "event-notification"},
                {"name": "events-since-subscription-start", "valueString": str(day * 1000 + number + 1)},
                {"name": "notification-event", "part": event},
            ],
        }
        key = f"ntf-{day:04d}-{number:04d}"
        url = "https://ehr.example/fhir/"
        bundle: Resource = {
            "resourceType": "Bundle",
            "id": key,
            "type": "history",
            "timestamp": at,
            "entry": [
                _entry(
                    "urn:uuid:00000000-0000-4000-8000-" + f"{day * 10_000 + number:012d}",
                    status,
                    "Subscription/care-pathways/$status",
                ),
                _entry(f"{url}{focus['reference']}", resource, focus["reference"]),
            ],
        }
        write_text(landing / "ehr_events" / f"{key}.json", json_text(bundle) + "\n")


def _entry(full_url: str, resource: Resource, request: str) -> Resource:
    method = "GET" if request.endswith("$status") else "PUT"
    return {
        "fullUrl": full_url,
        "resource": resource,
        "request": {"method": method, "url": request},
        "response": {"status": "200"},
    }


def _everything(world: World) -> Iterator[Resource]:
    clock = world.clock
    yield from _directory(world)
    for person in world.everybody():
        yield from _chart(world, person)
        yield from (fhir.coverage(person, known, clock) for known in person.known_coverages)
        yield from (fhir.condition(person, found, clock) for found in person.conditions)
        yield from (fhir.care_record(person, record, clock) for record in person.care)
        for visit in person.visits:
            if visit.at > clock.midnight(0) - dt.timedelta(days=400):
                yield fhir.appointment(person, visit, clock)
            if visit.status == "fulfilled":
                yield fhir.encounter(person, visit, clock)
                yield from fhir_history.around_visit(person, visit, clock)
        if person.index % 9 == 0:
            yield fhir_history.consent(person, clock)
    yield from (_second_chart(world, duplicate) for duplicate in world.duplicates)


def _directory(world: World) -> Iterator[Resource]:
    updated = world.clock.text(world.clock.midnight(0) - dt.timedelta(days=300))
    providers = [*world.land.network.practice, *world.land.network.referring]
    keys = {name: f"org-{number}" for number, name in enumerate(sorted({each.organization for each in providers}))}
    for name, key in keys.items():
        yield fhir.organization(key, name, updated)
    for provider in providers:
        yield fhir.practitioner(provider, updated)
        yield fhir.practitioner_role(provider, keys[provider.organization], updated)


def _chart(world: World, person: Person) -> Iterator[Resource]:
    if person.ehr is not None:
        yield fhir.patient(person, person.ehr, world.clock)


def _second_chart(world: World, duplicate: Duplicate) -> Resource:
    made = fhir.patient(duplicate.person, duplicate.note, world.clock, ehr_id=duplicate.ehr_id, mrn=duplicate.mrn)
    return fhir.replaced(made, duplicate.person.ehr_id) if duplicate.is_merged else made


def _changed(world: World) -> Iterator[Resource]:
    news, clock = world.news, world.clock
    for person in news.ehr_people.values():
        yield from _chart(world, person)
    for duplicate in world.duplicates:
        if duplicate.person.index in news.ehr_people and duplicate.is_merged:
            yield _second_chart(world, duplicate)
    for person in news.ehr_coverages.values():
        yield from (fhir.coverage(person, known, clock) for known in person.known_coverages)
    yield from (fhir.condition(person, found, clock) for person, found in news.conditions.values())
    yield from (fhir.care_record(person, record, clock) for person, record in news.care.values())
    yield from (fhir.appointment(person, visit, clock) for person, visit in news.appointments.values())
    for person, visit in news.visits.values():
        yield fhir.encounter(person, visit, clock)
        yield from fhir_history.around_visit(person, visit, clock)
