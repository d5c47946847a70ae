"""The smaller FHIR resources around a visit: vital signs, procedures, immunizations and consents."""

from collections.abc import Iterator

from hygiene_pipeline.demo.clock import Clock
from hygiene_pipeline.demo.fhir import TERMINOLOGY, Resource, coded, reference
from hygiene_pipeline.demo.people import Person
from hygiene_pipeline.demo.visits import Visit

LOINC = "http://loinc.org"
VACCINES = (("140", "Influenza, seasonal"), ("115", "Tdap"), ("33", "Pneumococcal polysaccharide"))


def around_visit(person: Person, visit: Visit, clock: Clock) -> Iterator[Resource]:
    """What a visit leaves besides its encounter: every third one a blood pressure or HbA1c, some a shot or an ECG."""
    number = person.index + int(visit.visit_id[-3:])
    if number % 3 == 0:
        yield _observation(person, visit, clock, number)
    if visit.visit_type == "vaccination":
        yield _immunization(person, visit, clock, number)
    if number % 11 == 0:
        yield _procedure(person, visit, clock)


def _observation(person: Person, visit: Visit, clock: Clock, number: int) -> Resource:
    is_sugar = any(found.segment == "diabetes" for found in person.conditions)
    code, name, unit, value = (
        ("4548-4", "Hemoglobin A1c", "%", 5.6 + number % 40 / 10)
        if is_sugar
        else ("8480-6", "Systolic blood pressure", "mm[Hg]", 104.0 + number % 60)
    )
    kind = "laboratory" if is_sugar else "vital-signs"
    return {
        "resourceType": "Observation",
        "id": f"obs-{visit.visit_id}",
        "meta": {"lastUpdated": clock.text(visit.ends_at)},
        "status": "final",
        "category": [coded(TERMINOLOGY + "observation-category", kind)],
        "code": coded(LOINC, code, name),
        "subject": reference("Patient", person.ehr_id),
        "encounter": reference("Encounter", visit.encounter_id),
        "effectiveDateTime": clock.text(visit.at),
        "valueQuantity": {
            "value": round(value, 1), "unit": unit, "system": "http://unitsofmeasure.org", "code": unit,
        },
    }  # fmt: skip


def _immunization(person: Person, visit: Visit, clock: Clock, number: int) -> Resource:
    code, name = VACCINES[number % len(VACCINES)]
    return {
        "resourceType": "Immunization",
        "id": f"imm-{visit.visit_id}",
        "meta": {"lastUpdated": clock.text(visit.ends_at)},
        "status": "completed",
        "vaccineCode": coded("http://hl7.org/fhir/sid/cvx", code, name),
        "patient": reference("Patient", person.ehr_id),
        "encounter": reference("Encounter", visit.encounter_id),
        "occurrenceDateTime": clock.text(visit.at),
        "primarySource": True,
    }


def _procedure(person: Person, visit: Visit, clock: Clock) -> Resource:
    return {
        "resourceType": "Procedure",
        "id": f"proc-{visit.visit_id}",
        "meta": {"lastUpdated": clock.text(visit.ends_at)},
        "status": "completed",
        "code": coded("http://snomed.info/sct", "29303009", "Electrocardiographic procedure"),
        "subject": reference("Patient", person.ehr_id),
        "encounter": reference("Encounter", visit.encounter_id),
        "performedPeriod": {"start": clock.text(visit.at), "end": clock.text(visit.ends_at)},
    }


def consent(person: Person, clock: Clock) -> Resource:
    """Consent to treatment and to the use of the record, signed at the first visit."""
    return {
        "resourceType": "Consent",
        "id": f"cons-{person.index:06d}",
        "meta": {"lastUpdated": clock.text(person.visits[0].at)},
        "status": "active",
        "scope": coded(TERMINOLOGY + "consentscope", "patient-privacy"),
        "category": [coded(LOINC, "59284-0", "Patient Consent")],
        "patient": reference("Patient", person.ehr_id),
        "dateTime": clock.text(person.visits[0].at),
        "policyRule": coded(TERMINOLOGY + "v3-ActCode", "OPTIN"),
        "provision": {"type": "permit"},
    }
