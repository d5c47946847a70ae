"""The landing formats, each written from plain values as the system that sends it would: no reader is used here."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
Resource = dict[str, Any]


def _columns(names: str) -> tuple[str, ...]:
    return tuple(names.split())


PATIENTS = _columns(
    "pm_patient_id mrn first_name last_name birth_date sex phone email address_line city state postal_code"
    " referring_provider_npi last_updated"
)
COVERAGE = _columns(
    "pm_patient_id payer_id payer_name member_id plan_name effective_date termination_date last_updated"
)
APPOINTMENTS = _columns("appointment_id pm_patient_id provider_npi booked_at scheduled_at status visit_type location")
NETWORK = _columns("npi name specialty organization status effective_date end_date")
CONTACTS = _columns(
    "contact_id mrn first_name last_name birth_date sex phone alternate_phone email address_line city state"
    " postal_code insurance_payer_id insurance_payer insurance_member_id insurance_status care_status segments"
    " referring_provider_npi last_phone_verified preferred_channel sms_opt_out email_opt_out call_opt_out owner"
    " is_active last_modified"
)
INTERACTIONS = _columns(
    "interaction_id contact_id occurred_at channel direction kind outcome staff topic resolved_at score"
)
LOOKUPS = _columns("phone checked_at valid line_type line_status reassigned provider")
ANSWERS = _columns("check_id pm_patient_id payer_id member_id checked_at result message")

_CODES = "http://terminology.hl7.org/CodeSystem/"
_X12_ANSWERS = {
    "active": "EB*1**30",
    "inactive": "EB*6**30",
    "not_found": "AAA*Y**75*C",
    "payer_error": "AAA*N**42*R",
}


def csv_bytes(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def ndjson_bytes(records: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def patient(row: Mapping[str, Any], *, updated: str, phone_since: str | None = None, **more: object) -> Resource:
    """A FHIR Patient of `ehr_patient_id mrn first_name last_name birth_date sex phone email city …`."""
    phone = {"system": "phone", "value": row["phone"], "use": "mobile", "rank": 1}
    if phone_since:
        phone["period"] = {"start": phone_since}
    return {
        "resourceType": "Patient",
        "id": row["ehr_patient_id"],
        "meta": {"lastUpdated": updated},
        "identifier": [{"type": _coded(_CODES + "v2-0203", "MR"), "system": "urn:mrn", "value": row["mrn"]}],
        "active": True,
        "name": [{"use": "official", "family": row["last_name"], "given": [row["first_name"]]}],
        "telecom": [phone, {"system": "email", "value": row["email"]}],
        "gender": row["sex"],
        "birthDate": row["birth_date"],
        "address": [
            {
                "use": "home",
                "line": [row["address_line"]],
                "city": row["city"],
                "state": row["state"],
                "postalCode": row["postal_code"],
            }
        ],
        **more,
    }


def care_plan(key: str, ehr_patient_id: str, status: str, *, start: str, end: str | None = None) -> Resource:
    period = {"start": start, "end": end} if end else {"start": start}
    return {
        "resourceType": "CarePlan",
        "id": key,
        "meta": {"lastUpdated": end or start},
        "status": status,
        "intent": "plan",
        "subject": {"reference": f"Patient/{ehr_patient_id}"},
        "period": period,
    }


def condition(key: str, ehr_patient_id: str, code: str, *, recorded: str) -> Resource:
    return {
        "resourceType": "Condition",
        "id": key,
        "meta": {"lastUpdated": recorded},
        "clinicalStatus": _coded(_CODES + "condition-clinical", "active"),
        "code": _coded("http://hl7.org/fhir/sid/icd-10-cm", code),
        "subject": {"reference": f"Patient/{ehr_patient_id}"},
        "recordedDate": recorded,
    }


def encounter(key: str, ehr_patient_id: str, *, start: str, end: str, disposition: str | None = None) -> Resource:
    resource: Resource = {
        "resourceType": "Encounter",
        "id": key,
        "meta": {"lastUpdated": end},
        "status": "finished",
        "class": {"system": _CODES + "v3-ActCode", "code": "IMP" if disposition else "AMB"},
        "subject": {"reference": f"Patient/{ehr_patient_id}"},
        "period": {"start": start, "end": end},
    }
    if disposition:
        where = _coded(_CODES + "discharge-disposition", disposition)
        resource["hospitalization"] = {"dischargeDisposition": where}
    return resource


def referral(key: str, ehr_patient_id: str, *, authored: str) -> Resource:
    return {
        "resourceType": "ServiceRequest",
        "id": key,
        "meta": {"lastUpdated": authored},
        "status": "active",
        "intent": "order",
        "category": [_coded("http://snomed.info/sct", "3457005")],
        "code": {"text": "Referral"},
        "subject": {"reference": f"Patient/{ehr_patient_id}"},
        "authoredOn": authored,
    }


def _coded(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def discharge(mrn: str, *, stamp: str, control: str, name: str = "ROE^JANE", phone: str = "") -> str:
    """An HL7 v2 ADT^A03; `stamp` as HL7 writes it, 20260302140000-0500."""
    visit = [""] * 46
    visit[1], visit[2], visit[19], visit[36], visit[45] = "1", "I", f"V{control}", "01", stamp
    segments = [
        f"MSH|^~\\&|EHR|RIVERSIDE|CRM|RIVERSIDE|{stamp}||ADT^A03^ADT_A03|{control}|P|2.5.1",
        f"EVN|A03|{stamp}",
        f"PID|1||{mrn}^^^RIVERSIDE^MR||{name}|||||||||{phone}".rstrip("|"),
        "PV1|" + "|".join(visit[1:]),
    ]
    return "\r".join(segments) + "\r"


def x12_271(answers: Sequence[Mapping[str, Any]], *, control: int) -> str:
    """An X12 271 interchange, a transaction an answer (`check_id payer_id member_id result stamp name`).

    `result` is one of the four results, or the segment that says it.
    """
    body = [segment for number, answer in enumerate(answers, 1) for segment in _transaction(answer, number)]
    segments = [
        "ISA*00*          *00*          *ZZ*CLEARINGHOUSE  *ZZ*CLINIC         *260301*0700*^*00501"
        f"*{control:09d}*0*P*:",
        f"GS*HB*CLEARINGHOUSE*CLINIC*20260301*0700*{control}*X*005010X279A1",
        *body,
        f"GE*{len(answers)}*{control}",
        f"IEA*1*{control:09d}",
    ]
    return "~\n".join(segments) + "~\n"


def _transaction(answer: Mapping[str, Any], number: int) -> list[str]:
    segments = [
        f"ST*271*{number:04d}*005010X279A1",
        f"BHT*0022*11*{answer['check_id']}*{answer['stamp'].replace('T', '*')}",
        "HL*1**20*1",
        f"NM1*PR*2*{answer.get('payer_name', 'PAYER')}*****PI*{answer['payer_id']}",
        "HL*2*1*21*1",
        "NM1*1P*2*RIVERSIDE PRIMARY CARE*****XX*1234567893",
        "HL*3*2*22*0",
        f"TRN*2*{answer['check_id']}*9877281234",
        f"NM1*IL*1*{answer.get('name', 'ROE*JANE')}****MI*{answer['member_id']}",
        _X12_ANSWERS.get(answer["result"], answer["result"]),
    ]
    return [*segments, f"SE*{len(segments) + 1}*{number:04d}"]


def eligibility_response(answer: Mapping[str, Any]) -> Resource:
    """A FHIR CoverageEligibilityResponse that says active or inactive."""
    return {
        "resourceType": "CoverageEligibilityResponse",
        "id": answer["check_id"],
        "identifier": [{"value": answer["check_id"]}],
        "status": "active",
        "purpose": ["validation"],
        "patient": {"reference": f"Patient/{answer['pm_patient_id']}"},
        "created": answer["checked_at"],
        "request": {"reference": f"CoverageEligibilityRequest/{answer['check_id']}"},
        "outcome": "complete",
        "insurer": {"identifier": {"value": answer["payer_id"]}},
        "insurance": [
            {"coverage": {"identifier": {"value": answer["member_id"]}}, "inforce": answer["result"] == "active"}
        ],
    }
