"""FHIR events: topic notifications (a history bundle led by a status), other bundles, and single resources.

A notification's events are known by subscription and event number, other resources by type, id and version. Every
resource is judged; a bad one leaves the others of its bundle alone. Handshakes and heartbeats are no events.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hygiene_pipeline.ehr.event import BadEvent, EhrEvent, EventFile
from hygiene_pipeline.ehr.fhir_judge import Fault, judge

_STATUS_TYPES = frozenset({"Parameters", "SubscriptionStatus"})
_WHEN = (
    "period.end",
    "authoredOn",
    "recordedDate",
    "effectiveDateTime",
    "performedDateTime",
    "created",
    "period.start",
)
_PATIENT = re.compile(r"(?:^|/)Patient/([A-Za-z0-9\-.]{1,64})(?:/_history/.*)?$|^urn:uuid:([A-Za-z0-9\-.]{1,64})$")

Resource = Mapping[str, Any]


def parse(content: bytes) -> EventFile:
    """The events of one JSON document: a bundle, a resource, or a list of either."""
    file = EventFile()
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return _unreadable(file, content, "not_utf8")
    except (json.JSONDecodeError, RecursionError):
        is_cut = content.lstrip()[:1] in (b"{", b"[") and content.rstrip()[-1:] not in (b"}", b"]")
        return _unreadable(file, content, "truncated" if is_cut else "not_json")
    return parse_document(document)


def parse_document(document: object) -> EventFile:
    """The events of a JSON document that was read already."""
    file = EventFile()
    for part in document if isinstance(document, list) else [document]:
        _take(file, part)
    return file


def _unreadable(file: EventFile, content: bytes, reason: str) -> EventFile:
    original = content.decode("utf-8", errors="backslashreplace")
    file.bad.append(BadEvent(source_line=1, field="", reason=reason, original=original))
    return file


def _take(file: EventFile, part: object) -> None:
    if not isinstance(part, dict):
        file.bad.append(_bad(part, Fault(field="", reason="wrong_type")))
        return
    if part.get("resourceType") != "Bundle":
        _take_resource(file, part)
        return
    entries = part.get("entry") or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        file.bad.append(_bad(part, Fault(field="entry", reason="wrong_type")))
        return
    leader = entries[0].get("resource") if entries else None
    if part.get("type") == "history" and isinstance(leader, dict) and leader.get("resourceType") in _STATUS_TYPES:
        _take_notification(file, leader, entries[1:])
        return
    for entry in entries:
        if entry.get("resource") is not None:
            _take(file, entry["resource"])


def _take_resource(file: EventFile, resource: dict[str, Any]) -> None:
    if sound := _judged(file, resource):
        file.resources.append(sound)
        file.events.append(_event(sound, _version_id(sound), None))


def _take_notification(file: EventFile, leader: Resource, entries: Sequence[Mapping[str, Any]]) -> None:
    sound = {}
    for entry in entries:
        resource = entry.get("resource")
        if isinstance(resource, dict) and (judged := _judged(file, resource)):
            file.resources.append(judged)
            for name in _names_of(entry, judged):
                sound[name] = judged
    bad = judge(leader)
    if bad is not None and leader.get("resourceType") == "Parameters":
        file.bad.append(_bad(leader, bad))
        return
    subscription = _reference(_member(leader, "subscription"))
    for event in _notified(leader):
        focus = _reference(_member(event, "focus"))
        number = _member(event, "event-number", "eventNumber")
        if not focus or number is None:
            continue
        happened = _instant(_member(event, "timestamp"))
        resource = sound.get(focus) or sound.get(_type_and_id(focus)) or _named_only(focus)
        file.events.append(_event(resource, f"{subscription}#{number}", happened))


def _judged(file: EventFile, resource: dict[str, Any]) -> dict[str, Any] | None:
    fault = judge(resource)
    if fault is None and not resource.get("id"):
        fault = Fault(field="id", reason="missing_id")
    if fault is not None:
        file.bad.append(_bad(resource, fault))
        return None
    return resource


def _event(resource: Resource, event_id: str, happened: datetime | None) -> EhrEvent:
    kind, own_id = str(resource["resourceType"]), str(resource["id"])
    return EhrEvent(
        event_id=event_id,
        kind=kind,
        source_line=1,
        event_at=happened or _happened(resource),
        evidence_ref=f"{kind}/{own_id}",
        ehr_patient_id=own_id if kind == "Patient" else _patient_id(resource),
        status=_text(resource.get("status")),
        disposition=_disposition(resource),
        is_deceased=_is_deceased(resource) if kind == "Patient" else None,
        deceased_at=_instant(resource.get("deceasedDateTime")),
        resource_type=kind,
        resource_id=own_id,
    )


def _bad(part: object, fault: Fault) -> BadEvent:
    return BadEvent(
        source_line=1, field=fault.field, reason=fault.reason, original=json.dumps(part, ensure_ascii=False)
    )


def _version_id(resource: Resource) -> str:
    """Type, id and version; without a version the content tells versions apart."""
    version = _at(resource, "meta.versionId")
    if not version:
        spelt = json.dumps(resource, sort_keys=True, separators=(",", ":"))
        version = hashlib.sha256(spelt.encode()).hexdigest()[:16]
    return f"{resource['resourceType']}/{resource['id']}/{version}"


def _notified(leader: Resource) -> Iterator[Resource]:
    """The events in either spelling: R4B `notificationEvent`, or R4 parameters named `notification-event`."""
    if leader.get("resourceType") == "SubscriptionStatus":
        yield from (event for event in leader.get("notificationEvent") or [] if isinstance(event, dict))
        return
    yield from (part for part in _parts(leader) if part.get("name") == "notification-event")


def _parts(holder: Resource) -> list[dict[str, Any]]:
    parts = holder.get("parameter") or holder.get("part") or []
    return [part for part in parts if isinstance(part, dict)]


def _member(holder: Resource, *names: str) -> object:
    """A member by its name, or the value of the parameter of that name."""
    for name in names:
        if name in holder:
            return holder[name]
    for part in _parts(holder):
        if part.get("name") in names:
            return next((value for key, value in part.items() if key.startswith("value")), None)
    return None


def _reference(value: object) -> str:
    return str(value.get("reference") or "") if isinstance(value, dict) else ""


def _type_and_id(reference: str) -> str:
    return "/".join(re.sub(r"/_history/.*$", "", reference).split("/")[-2:])


def _names_of(entry: Mapping[str, Any], resource: Resource) -> list[str]:
    return [str(entry.get("fullUrl") or ""), f"{resource['resourceType']}/{resource['id']}"]


def _named_only(focus: str) -> Resource:
    """What an id-only notification says of its focus."""
    kind, _, own_id = _type_and_id(focus).rpartition("/")
    return {"resourceType": kind or "Resource", "id": own_id}


def _at(resource: Resource, path: str) -> object:
    value: object = resource
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _happened(resource: Resource) -> datetime | None:
    found = (_instant(_at(resource, path)) for path in ("deceasedDateTime", *_WHEN, "meta.lastUpdated"))
    return next((when for when in found if when is not None), None)


def _instant(value: object) -> datetime | None:
    """A FHIR instant in UTC; a date alone is no instant."""
    if not isinstance(value, str) or "T" not in value:
        return None
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except ValueError:
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _patient_id(resource: Resource) -> str | None:
    for name in ("subject", "patient", "beneficiary"):
        found = _PATIENT.search(_reference(resource.get(name)))
        if found:
            return found[1] or found[2]
    return None


def _disposition(resource: Resource) -> str | None:
    codings = _at(resource, "hospitalization.dischargeDisposition.coding")
    first = codings[0] if isinstance(codings, list) and codings else None
    return _text(first.get("code")) if isinstance(first, dict) else None


def _is_deceased(resource: Resource) -> bool:
    return bool(resource.get("deceasedBoolean")) or "deceasedDateTime" in resource
