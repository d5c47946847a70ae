"""FHIR R4 resources of the world's people and records, as a certified EHR exports them."""

from hygiene_pipeline.demo.clock import Clock
from hygiene_pipeline.demo.pathways import CONDITIONS, CareRecord, Condition
from hygiene_pipeline.demo.people import RACES, Demographics, KnownCoverage, Person
from hygiene_pipeline.demo.providers import SPECIALTIES, Provider
from hygiene_pipeline.demo.visits import Visit

Resource = dict[str, object]
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
NPI = "http://hl7.org/fhir/sid/us-npi"
MRN = "urn:oid:2.16.840.1.113883.19.5"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
LANGUAGES = ("en", "en", "en", "es", "pt", "zh", "ar", "vi")


def coded(system: str, code: str, display: str | None = None) -> Resource:
    """A CodeableConcept with one coding."""
    coding = {"system": system, "code": code}
    return {"coding": [coding | {"display": display} if display else coding]}


def reference(kind: str, key: str) -> Resource:
    """A literal reference."""
    return {"reference": f"{kind}/{key}"}


def patient(person: Person, note: Demographics, clock: Clock, *, ehr_id: str = "", mrn: str = "") -> Resource:
    """A US Core Patient; `ehr_id` and `mrn` are given for a second chart of the same person."""
    race, race_name, _ = RACES[person.race]
    resource: Resource = {
        "resourceType": "Patient",
        "id": ehr_id or person.ehr_id,
        "meta": {"lastUpdated": clock.text(note.updated_at), "profile": [US_CORE + "us-core-patient"]},
        "extension": [
            _omb("us-core-race", race, race_name),
            _omb(
                "us-core-ethnicity",
                "2135-2" if person.is_hispanic else "2186-5",
                "Hispanic or Latino" if person.is_hispanic else "Not Hispanic or Latino",
            ),
        ],
        "identifier": [
            {"use": "usual", "type": coded(TERMINOLOGY + "v2-0203", "MR"), "system": MRN, "value": mrn or person.mrn}
        ],
        "active": True,
        "name": _names(person, note),
        "telecom": _telecom(person, note, clock),
        "gender": "female" if person.sex == "F" else "male",
        "birthDate": person.birth_date.isoformat(),
        "address": [
            {
                "use": "home", "line": [note.address.line], "city": note.address.city, "state": note.address.state,
                "postalCode": note.address.postal_code, "country": "US",
            }
        ],
        "communication": [{"language": coded("urn:ietf:bcp:47", LANGUAGES[person.index % len(LANGUAGES)])}],
        "generalPractitioner": [reference("Practitioner", f"prac-{person.pcp}")],
    }  # fmt: skip
    if person.died_at is not None and note.updated_at >= person.died_at:
        resource["deceasedDateTime"] = clock.text(person.died_at)
    return resource


def replaced(resource: Resource, by: str) -> Resource:
    """The chart after its merge into another one."""
    link = {"other": reference("Patient", by), "type": "replaced-by"}
    return resource | {"active": False, "link": [link]}


def _omb(name: str, code: str, text: str) -> Resource:
    coding = {"system": "urn:oid:2.16.840.1.113883.6.238", "code": code, "display": text}
    parts = [{"url": "ombCategory", "valueCoding": coding}, {"url": "text", "valueString": text}]
    return {"url": US_CORE + name, "extension": parts}


def _names(person: Person, note: Demographics) -> list[Resource]:
    listed: list[Resource] = [{"use": "official", "family": note.last, "given": [note.first]}]
    if person.written_name:
        family, given = person.written_name
        listed.append({"use": "usual", "family": family, "given": [given], "text": f"{family} {given}"})
    return listed


def _telecom(person: Person, note: Demographics, clock: Clock) -> list[Resource]:
    phone: Resource = {"system": "phone", "value": note.phone_text, "use": "mobile", "rank": 1}
    period: Resource = {"period": {"start": clock.text(note.confirmed_at)}} if note.has_period else {}
    listed = [phone | period]
    if person.alternate:
        listed.append({"system": "phone", "value": f"+1{person.alternate}", "use": "home", "rank": 2})
    if note.email:
        email: Resource = {"system": "email", "value": note.email, "use": "home", "rank": 1}
        listed.append(email | period)
    return listed


def practitioner(provider: Provider, updated: str) -> Resource:
    """A clinician."""
    return {
        "resourceType": "Practitioner",
        "id": f"prac-{provider.npi}",
        "meta": {"lastUpdated": updated, "profile": [US_CORE + "us-core-practitioner"]},
        "identifier": [{"system": NPI, "value": provider.npi}],
        "active": True,
        "name": [{"family": provider.last, "given": [provider.first], "prefix": ["Dr."]}],
    }


def practitioner_role(provider: Provider, organization_id: str, updated: str) -> Resource:
    """What a clinician does, and where."""
    taxonomy = coded("http://nucc.org/provider-taxonomy", SPECIALTIES[provider.specialty], provider.specialty)
    return {
        "resourceType": "PractitionerRole",
        "id": f"role-{provider.npi}",
        "meta": {"lastUpdated": updated},
        "active": True,
        "practitioner": reference("Practitioner", f"prac-{provider.npi}"),
        "organization": reference("Organization", organization_id),
        "code": [taxonomy],
        "specialty": [taxonomy],
    }


def organization(key: str, name: str, updated: str) -> Resource:
    """A practice or group."""
    return {"resourceType": "Organization", "id": key, "meta": {"lastUpdated": updated}, "active": True, "name": name}


def encounter(person: Person, visit: Visit, clock: Clock) -> Resource:
    """The encounter of a visit; an office visit has no discharge disposition."""
    return {
        "resourceType": "Encounter",
        "id": visit.encounter_id,
        "meta": {"lastUpdated": clock.text(visit.ends_at)},
        "status": "finished",
        "class": {"system": TERMINOLOGY + "v3-ActCode", "code": "AMB"},
        "subject": reference("Patient", person.ehr_id),
        "participant": [{"individual": reference("Practitioner", f"prac-{visit.provider}")}],
        "appointment": [reference("Appointment", f"appt-{visit.visit_id}")],
        "period": {"start": clock.text(visit.at), "end": clock.text(visit.ends_at)},
    }


def appointment(person: Person, visit: Visit, clock: Clock) -> Resource:
    """An appointment as the EHR shows it."""
    return {
        "resourceType": "Appointment",
        "id": f"appt-{visit.visit_id}",
        "meta": {"lastUpdated": clock.text(visit.ends_at if visit.status == "fulfilled" else visit.booked_at)},
        "status": visit.status,
        "start": clock.text(visit.at),
        "end": clock.text(visit.ends_at),
        "created": clock.text(visit.booked_at),
        "participant": [
            {"actor": reference("Patient", person.ehr_id), "status": "accepted"},
            {"actor": reference("Practitioner", f"prac-{visit.provider}"), "status": "accepted"},
        ],
    }


def condition(person: Person, found: Condition, clock: Clock) -> Resource:
    """A problem, coded in ICD-10-CM and SNOMED CT."""
    name, icd10, snomed, *_ = CONDITIONS[found.kind]
    return {
        "resourceType": "Condition",
        "id": found.condition_id,
        "meta": {"lastUpdated": clock.text(found.recorded_at)},
        "clinicalStatus": coded(TERMINOLOGY + "condition-clinical", "active" if found.is_active else "resolved"),
        "verificationStatus": coded(TERMINOLOGY + "condition-ver-status", "confirmed"),
        "category": [coded(TERMINOLOGY + "condition-category", "problem-list-item")],
        "code": {
            "coding": [
                {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": icd10, "display": name},
                {"system": "http://snomed.info/sct", "code": snomed, "display": name},
            ],
            "text": name,
        },
        "subject": reference("Patient", person.ehr_id),
        "recordedDate": clock.text(found.recorded_at),
    }


def care_record(person: Person, record: CareRecord, clock: Clock) -> Resource:
    """A care plan, episode, referral or hospital stay in its present state."""
    period = {"start": clock.text(record.started_at)}
    if record.ended_at is not None:
        period["end"] = clock.text(record.ended_at)
    resource: Resource = {
        "resourceType": record.kind,
        "id": record.record_id,
        "meta": {"lastUpdated": clock.text(record.changed_at)},
        "status": record.status,
    }
    subject = reference("Patient", person.ehr_id)
    practitioner_reference = reference("Practitioner", f"prac-{record.provider}")
    if record.kind == "CarePlan":
        return resource | {"intent": "plan", "title": record.title, "subject": subject, "period": period}
    if record.kind == "EpisodeOfCare":
        kind = {"type": [{"text": record.title}], "patient": subject, "period": period}
        return resource | kind | {"careManager": practitioner_reference}
    if record.kind == "ServiceRequest":
        category = {"category": [coded("http://snomed.info/sct", "3457005", "Patient referral")]}
        asked = {"subject": subject, "authoredOn": period["start"], "requester": practitioner_reference}
        return resource | {"intent": "order", "code": {"text": record.title}} | category | asked
    resource |= {"class": {"system": TERMINOLOGY + "v3-ActCode", "code": "IMP"}, "subject": subject, "period": period}
    if record.disposition:
        disposition = coded(TERMINOLOGY + "discharge-disposition", record.disposition)
        resource["hospitalization"] = {"dischargeDisposition": disposition}
    return resource


def coverage(person: Person, known: KnownCoverage, clock: Clock) -> Resource:
    """The policy as registered, which is not what the payer says."""
    period = {"start": known.effective.isoformat()}
    if known.terminated is not None:
        period["end"] = known.terminated.isoformat()
    return {
        "resourceType": "Coverage",
        "id": f"cov-{person.index:06d}-{person.known_coverages.index(known)}",
        "meta": {"lastUpdated": clock.text(known.updated_at)},
        "status": "active" if known.terminated is None else "cancelled",
        "subscriberId": known.member_id,
        "beneficiary": reference("Patient", person.ehr_id),
        "period": period,
        "payor": [{"identifier": {"value": known.coverage.payer.payer_id}, "display": known.coverage.payer.name}],
        "class": [{"type": coded(TERMINOLOGY + "coverage-class", "plan"), "value": known.coverage.plan}],
    }
