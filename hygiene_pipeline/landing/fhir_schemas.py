"""Which FHIR elements the raw tables keep, how JSON must spell them, and their DuckDB types. Data only, no reading.

Columns keep FHIR's own element names; an element that no column names stays in the landing file. Dates and times stay
text, because FHIR allows "1970-03" and staging decides what that means.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hygiene_pipeline.ehr import fhir_codes as codes

# Nested JSON as Python: a DuckDB type name, a list of one thing, or an object of named things.
Shape = str | list["Shape"] | dict[str, "Shape"]
Kind = Literal["id", "code", "string", "boolean", "date", "instant", "object", "list"]

TEXT = "VARCHAR"
PERIOD: Shape = {"start": TEXT, "end": TEXT}
CODING: Shape = {"system": TEXT, "code": TEXT}
CONCEPT: Shape = {"coding": [CODING], "text": TEXT}
IDENTIFIER: Shape = {"use": TEXT, "type": CONCEPT, "system": TEXT, "value": TEXT}
REFERENCE: Shape = {"reference": TEXT, "type": TEXT, "identifier": {"system": TEXT, "value": TEXT}}
NAME: Shape = {"use": TEXT, "text": TEXT, "family": TEXT, "given": [TEXT], "period": PERIOD}
TELECOM: Shape = {"use": TEXT, "rank": "BIGINT", "system": TEXT, "value": TEXT, "period": PERIOD}
ADDRESS: Shape = {
    "use": TEXT,
    "line": [TEXT],
    "city": TEXT,
    "state": TEXT,
    "postalCode": TEXT,
    "country": TEXT,
    "period": PERIOD,
}
EXTENSION: Shape = {
    "url": TEXT,
    "valueCode": TEXT,
    "extension": [{"url": TEXT, "valueString": TEXT, "valueCoding": CODING}],
}
CONTAINED: Shape = {"resourceType": TEXT, "id": TEXT, "identifier": [IDENTIFIER]}
QUANTITY: Shape = {"value": "DOUBLE", "unit": TEXT, "code": TEXT}


@dataclass(frozen=True, kw_only=True)
class Element:
    """One element of a resource: what JSON must hold, and for objects and lists what is kept of it."""

    name: str
    kind: Kind
    shape: Shape = TEXT
    codes: frozenset[str] = frozenset()

    @property
    def duckdb_type(self) -> str:
        """The type of the raw column."""
        return duckdb_type(self.shape)


def duckdb_type(shape: Shape) -> str:
    """A shape as DuckDB spells it."""
    if isinstance(shape, str):
        return shape
    if isinstance(shape, list):
        return f"{duckdb_type(shape[0])}[]"
    return "STRUCT(" + ", ".join(f'"{name}" {duckdb_type(part)}' for name, part in shape.items()) + ")"


def _some(kind: Kind, names: str) -> tuple[Element, ...]:
    shape = "BOOLEAN" if kind == "boolean" else TEXT
    return tuple(Element(name=name, kind=kind, shape=shape) for name in names.split())


def _object(name: str, shape: Shape) -> Element:
    return Element(name=name, kind="object", shape=shape)


def _list(name: str, shape: Shape) -> Element:
    return Element(name=name, kind="list", shape=[shape])


def _code(name: str, allowed: frozenset[str]) -> Element:
    return Element(name=name, kind="code", codes=allowed)


ALWAYS = (Element(name="id", kind="id"), _object("meta", {"versionId": TEXT, "lastUpdated": TEXT}))
IDENTIFIERS = _list("identifier", IDENTIFIER)
CONTAINS = _list("contained", CONTAINED)
SUBJECT = (_object("subject", REFERENCE), CONTAINS)
PATIENT = (_object("patient", REFERENCE), CONTAINS)

RESOURCES: Mapping[str, tuple[Element, ...]] = {
    "Patient": (
        IDENTIFIERS,
        *_some("boolean", "active deceasedBoolean"),
        *_some("date", "birthDate deceasedDateTime"),
        _code("gender", codes.GENDER),
        _list("name", NAME),
        _list("telecom", TELECOM),
        _list("address", ADDRESS),
        _list("link", {"other": REFERENCE, "type": TEXT}),
        _list("generalPractitioner", REFERENCE),
        _list("extension", EXTENSION),
        CONTAINS,
    ),
    "Practitioner": (
        IDENTIFIERS,
        *_some("boolean", "active"),
        _list("name", NAME),
        _list("telecom", TELECOM),
        _list("address", ADDRESS),
    ),
    "PractitionerRole": (
        IDENTIFIERS,
        *_some("boolean", "active"),
        _object("period", PERIOD),
        _object("practitioner", REFERENCE),
        _object("organization", REFERENCE),
        _list("code", CONCEPT),
        _list("specialty", CONCEPT),
        _list("telecom", TELECOM),
    ),
    "Organization": (
        IDENTIFIERS,
        *_some("boolean", "active"),
        *_some("string", "name"),
        _list("type", CONCEPT),
        _list("telecom", TELECOM),
        _list("address", ADDRESS),
    ),
    "Encounter": (
        IDENTIFIERS,
        _code("status", codes.ENCOUNTER),
        _object("class", CODING),
        _list("type", CONCEPT),
        *SUBJECT,
        _object("period", PERIOD),
        _list("participant", {"type": [CONCEPT], "individual": REFERENCE}),
        _object("hospitalization", {"dischargeDisposition": CONCEPT}),
        _object("serviceProvider", REFERENCE),
    ),
    "Condition": (
        _object("clinicalStatus", CONCEPT),
        _object("verificationStatus", CONCEPT),
        _list("category", CONCEPT),
        _object("code", CONCEPT),
        *SUBJECT,
        *_some("date", "onsetDateTime abatementDateTime recordedDate"),
    ),
    "CarePlan": (
        IDENTIFIERS,
        _code("status", codes.REQUEST),
        _code("intent", codes.CARE_PLAN_INTENT),
        _list("category", CONCEPT),
        *_some("string", "title"),
        *SUBJECT,
        _object("period", PERIOD),
        *_some("date", "created"),
    ),
    "EpisodeOfCare": (
        IDENTIFIERS,
        _code("status", codes.EPISODE),
        _list("type", CONCEPT),
        *PATIENT,
        _object("period", PERIOD),
        _object("careManager", REFERENCE),
    ),
    "ServiceRequest": (
        IDENTIFIERS,
        _code("status", codes.REQUEST),
        _code("intent", codes.REQUEST_INTENT),
        _list("category", CONCEPT),
        _object("code", CONCEPT),
        *SUBJECT,
        *_some("date", "authoredOn"),
        _object("requester", REFERENCE),
        _list("performer", REFERENCE),
    ),
    "Appointment": (
        IDENTIFIERS,
        _code("status", codes.APPOINTMENT),
        _object("appointmentType", CONCEPT),
        *_some("instant", "start end"),
        *_some("date", "created"),
        _list("participant", {"actor": REFERENCE, "status": TEXT}),
        CONTAINS,
    ),
    "Coverage": (
        IDENTIFIERS,
        _code("status", codes.COVERAGE),
        *_some("string", "subscriberId"),
        _object("beneficiary", REFERENCE),
        _object("period", PERIOD),
        _list("payor", REFERENCE),
        CONTAINS,
    ),
    "Observation": (
        _code("status", codes.OBSERVATION),
        _list("category", CONCEPT),
        _object("code", CONCEPT),
        *SUBJECT,
        *_some("date", "effectiveDateTime"),
        _object("effectivePeriod", PERIOD),
        *_some("instant", "issued"),
        _object("valueQuantity", QUANTITY),
        _object("valueCodeableConcept", CONCEPT),
        *_some("string", "valueString"),
    ),
    "Procedure": (
        _code("status", codes.EVENT),
        _object("code", CONCEPT),
        *SUBJECT,
        *_some("date", "performedDateTime"),
        _object("performedPeriod", PERIOD),
    ),
    "Immunization": (
        _code("status", codes.IMMUNIZATION),
        _object("vaccineCode", CONCEPT),
        *PATIENT,
        *_some("date", "occurrenceDateTime"),
    ),
    "Consent": (
        _code("status", codes.CONSENT),
        _object("scope", CONCEPT),
        _list("category", CONCEPT),
        *PATIENT,
        *_some("date", "dateTime"),
        _object("provision", {"type": TEXT, "period": PERIOD}),
    ),
    # What a server no longer has comes as transactions that delete it; of other bundles nothing is read.
    "Bundle": (
        *_some("string", "type"),
        _list("entry", {"request": {"method": TEXT, "url": TEXT}}),
    ),
}


def elements(resource: str) -> tuple[Element, ...]:
    """Every element that the raw table of this resource keeps, the ones of any resource first."""
    return ALWAYS + RESOURCES[resource]


def table_name(resource: str) -> str:
    """`CarePlan` is kept in `raw.fhir_care_plan`."""
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in resource)
    return f"raw.fhir{snake}"
