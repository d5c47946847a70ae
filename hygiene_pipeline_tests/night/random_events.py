"""Arrivals of one moment, drawn at random for the patients of a practice: messages, notifications, answers, replies."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hygiene_pipeline_tests.night import formats

PHONE = "(617) 555-{:04}"
VALID_PHONE = "+1617253{:04}"


@dataclass(frozen=True, kw_only=True)
class Person:
    """A patient as the systems know them."""

    mrn: str
    ehr_patient_id: str
    pm_patient_id: str
    contact_id: str


def arrivals(job: str, people: Sequence[Person], *, seed: int, at: datetime) -> dict[str, bytes]:
    """Files for an event job, a line or message for each of `people` or for some more than one."""
    rng = random.Random(seed)
    draw = {"ehr_event": _of_ehr, "eligibility_event": _answers, "reply_event": _replies}[job]
    return draw(rng, people, seed, at)


def _of_ehr(rng: random.Random, people: Sequence[Person], seed: int, at: datetime) -> dict[str, bytes]:
    messages, resources = [], []
    for number, person in enumerate(people):
        then = at - timedelta(minutes=rng.randint(1, 600))
        key = f"{seed}-{number}"
        if rng.random() < 0.6:
            messages.append(rng.choice(_MESSAGES)(rng, person, then, key))
        else:
            resources.append(rng.choice(_RESOURCES)(rng, person, then, key))
    messages.append(_adt("A03", "UNKNOWN", at, f"{seed}-x"))
    files = {f"ehr_events/{seed}.hl7": "".join(messages).encode()}
    if resources:
        entries = [{"resource": resource} for resource in resources]
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        files[f"ehr_events/{seed}.json"] = json.dumps(bundle).encode()
    return files


def _adt(
    kind: str, mrn: str, then: datetime, key: str, *, visit: str = "", phone: str = "", name: str = "ROE^JO"
) -> str:
    stamp = f"{then:%Y%m%d%H%M%S}+0000"
    text = formats.discharge(mrn, stamp=stamp, control=key, name=name, phone=phone)
    text = text.replace("ADT^A03^ADT_A03", f"ADT^{kind}^ADT_{kind}").replace("EVN|A03", f"EVN|{kind}")
    return text.replace(f"|V{key}|", f"|{visit}|") if visit else text


def _discharge(rng: random.Random, person: Person, then: datetime, key: str) -> str:
    return _adt("A03", person.mrn, then, key)


def _discharge_taken_back(rng: random.Random, person: Person, then: datetime, key: str) -> str:
    later = then + timedelta(seconds=30)
    return _adt("A03", person.mrn, then, key, visit=f"W{key}") + _adt(
        "A13", person.mrn, later, f"{key}b", visit=f"W{key}"
    )


def _new_phone(rng: random.Random, person: Person, then: datetime, key: str) -> str:
    phone = rng.choice(
        [VALID_PHONE.format(rng.randint(0, 9999)), PHONE.format(rng.randint(100, 199)), "(617) 253-1111"]
    )
    return _adt("A08", person.mrn, then, key, phone=phone)


def _admission(rng: random.Random, person: Person, then: datetime, key: str) -> str:
    return _adt("A01", person.mrn, then, key)


def _referral(rng: random.Random, person: Person, then: datetime, key: str) -> str:
    stamp = f"{then:%Y%m%d%H%M%S}+0000"
    return (
        f"MSH|^~\\&|EHR|RIVERSIDE|CRM|RIVERSIDE|{stamp}||REF^I12^REF_I12|{key}|P|2.5.1\r"
        f"RF1|A^Accepted^HL70283|R|||||{key}^EHR\rPID|1||{person.mrn}^^^RIVERSIDE^MR\r"
    )


def _visit(rng: random.Random, person: Person, then: datetime, key: str) -> str:
    stamp, visit = f"{then:%Y%m%d%H%M%S}+0000", f"{then + timedelta(days=rng.randint(2, 40)):%Y%m%d%H%M%S}+0000"
    return (
        f"MSH|^~\\&|EHR|RIVERSIDE|CRM|RIVERSIDE|{stamp}||SIU^{rng.choice(['S12', 'S15'])}^SIU_S12|{key}|P|2.5.1\r"
        f"SCH||A{key}^EHR|||||||30|min|^^^{visit}||||||||||||||Booked\rPID|1||{person.mrn}^^^RIVERSIDE^MR\r"
    )


def _plan(rng: random.Random, person: Person, then: datetime, key: str) -> Mapping[str, Any]:
    status = rng.choice(["active", "completed"])
    return formats.care_plan(f"cp-{key}", person.ehr_patient_id, status, start=_iso(then), end=_iso(then))


def _condition(rng: random.Random, person: Person, then: datetime, key: str) -> Mapping[str, Any]:
    code = rng.choice(["E11.9", "I10", "J45.909", "F32.9"])
    return formats.condition(f"co-{key}", person.ehr_patient_id, code, recorded=_iso(then))


def _encounter(rng: random.Random, person: Person, then: datetime, key: str) -> Mapping[str, Any]:
    start = _iso(then - timedelta(hours=1))
    disposition = rng.choice([None, "home", "exp"])
    return formats.encounter(f"en-{key}", person.ehr_patient_id, start=start, end=_iso(then), disposition=disposition)


def _request(rng: random.Random, person: Person, then: datetime, key: str) -> Mapping[str, Any]:
    return formats.referral(f"sr-{key}", person.ehr_patient_id, authored=_iso(then))


_MESSAGES: list[Callable[[random.Random, Person, datetime, str], str]] = [
    _discharge, _discharge_taken_back, _new_phone, _admission, _referral, _visit,
]  # fmt: skip
_RESOURCES: list[Callable[[random.Random, Person, datetime, str], Mapping[str, Any]]] = [
    _plan, _condition, _encounter, _request,
]  # fmt: skip


def _answers(rng: random.Random, people: Sequence[Person], seed: int, at: datetime) -> dict[str, bytes]:
    rows = [
        {
            "check_id": f"k{seed}-{number}",
            "pm_patient_id": person.pm_patient_id,
            "payer_id": "",
            "checked_at": _iso(at - timedelta(minutes=rng.randint(1, 300))),
            "result": rng.choice(["active", "inactive", "not_found", "payer_error"]),
        }
        for number, person in enumerate(people)
    ]
    return {f"pm/eligibility/{seed}.csv": formats.csv_bytes(formats.ANSWERS, rows)}


def _replies(rng: random.Random, people: Sequence[Person], seed: int, at: datetime) -> dict[str, bytes]:
    replies = [
        {
            "contact_id": person.contact_id,
            "received_at": _iso(at - timedelta(minutes=rng.randint(1, 300))),
            "channel": rng.choice(["sms", "email"]),
            "kind": rng.choice(["confirm_phone", "change_phone", "stop"]),
            "value": rng.choice([VALID_PHONE.format(rng.randint(0, 9999)), "(617) 253-1111", "nonsense"]),
        }
        for person in people
    ]
    return {f"replies/{seed}.ndjson": formats.ndjson_bytes(replies)}


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
