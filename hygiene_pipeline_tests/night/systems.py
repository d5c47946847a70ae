"""What the three systems of a tiny practice hold, as plain rows that a test changes, and the files they drop."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from hygiene_pipeline_tests.night import formats
from hygiene_pipeline_tests.night.formats import Resource, Row

NPI = "1234567893"
PAYER = {"payer_id": "P-ACME", "payer_name": "Acme Health"}
LONG_AGO = "2025-06-01T12:00:00Z"
LATELY = "2026-02-20T15:00:00Z"
LATELY_X12 = "20260220T1000"


@dataclass
class Systems:
    """Rows by key where a system sends all it has each time; lists of news where it sends what is new."""

    contacts: dict[str, Row] = field(default_factory=dict)
    patients: dict[str, Row] = field(default_factory=dict)
    coverage: dict[str, Row] = field(default_factory=dict)
    network: dict[str, Row] = field(default_factory=dict)
    appointments: list[Row] = field(default_factory=list)
    interactions: list[Row] = field(default_factory=list)
    lookups: list[Row] = field(default_factory=list)
    answers: list[Row] = field(default_factory=list)
    responses: list[Row] = field(default_factory=list)
    answer_rows: list[Row] = field(default_factory=list)
    replies: list[Row] = field(default_factory=list)
    resources: list[Resource] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def add_person(
        self,
        number: int,
        *,
        crm: Mapping[str, Any] | None = None,
        pm: Mapping[str, Any] | None = None,
        ehr: Mapping[str, Any] | None = None,
        answer: str = "active",
        care: str = "active",
    ) -> str:
        """A patient of whom all three systems say the same and nothing is stale, but for what is given.

        Ids end in the number: contact C01, registration P01, chart E01, record number M01. Returns the contact id.
        """
        both = _everybody(number)
        contact_id, pm_id, ehr_id = f"C{number:02}", f"P{number:02}", f"E{number:02}"
        policy = {"insurance_payer_id": PAYER["payer_id"], "insurance_payer": PAYER["payer_name"]}
        self.contacts[contact_id] = {
            **both,
            **policy,
            "contact_id": contact_id,
            "insurance_member_id": f"ACM{number:04}",
            "insurance_status": "active",
            "care_status": "active",
            "segments": "diabetes",
            "preferred_channel": "sms",
            "is_active": "true",
            "last_modified": LONG_AGO,
            **{f"{channel}_opt_out": "false" for channel in ("sms", "email", "call")},
            **(crm or {}),
        }
        self.patients[pm_id] = {**both, "pm_patient_id": pm_id, "last_updated": LONG_AGO, **(pm or {})}
        self.coverage[pm_id] = {
            **PAYER,
            "pm_patient_id": pm_id,
            "member_id": f"ACM{number:04}",
            "plan_name": "Gold",
            "effective_date": "2024-01-01",
            "last_updated": LONG_AGO,
        }
        self.network.setdefault(
            NPI, {"npi": NPI, "name": "Dr. Ada Wu", "status": "active", "effective_date": "2020-01-01"}
        )
        self.lookups.append(lookup(self.contacts[contact_id]["phone"]))
        self._ask(number, answer)
        chart = {**both, "ehr_patient_id": ehr_id, **(ehr or {})}
        more = {name: chart.pop(name) for name in ("deceasedDateTime",) if name in chart}
        self.resources += [
            formats.patient(chart, updated=LONG_AGO, **more),
            formats.care_plan(f"CP{number:02}", ehr_id, care, start=LONG_AGO, end=None if care == "active" else LATELY),
            formats.condition(f"CO{number:02}", ehr_id, "E11.9", recorded=LONG_AGO),
            formats.encounter(f"EN{number:02}", ehr_id, start=LATELY, end="2026-02-20T15:30:00Z"),
        ]
        return contact_id

    def _ask(self, number: int, result: str) -> None:
        """Answers come as 271, every fifth as FHIR, every seventh as CSV."""
        answer = {
            "check_id": f"K{number:02}",
            "pm_patient_id": f"P{number:02}",
            "payer_id": PAYER["payer_id"],
            "member_id": f"ACM{number:04}",
            "result": result,
            "checked_at": LATELY,
            "stamp": LATELY_X12,
        }
        if number % 5 == 0:
            self.responses.append(answer)
        elif number % 7 == 0:
            self.answer_rows.append(answer)
        else:
            self.answers.append(answer)

    def files(self, day: str) -> dict[str, bytes]:
        """All that is dropped on a day, by path below landing; what is news is then no longer held."""
        files = {
            "crm/contacts.csv": formats.csv_bytes(formats.CONTACTS, self.contacts.values()),
            "pm/patients.csv": formats.csv_bytes(formats.PATIENTS, self.patients.values()),
            "pm/coverage.csv": formats.csv_bytes(formats.COVERAGE, self.coverage.values()),
            "pm/referral_network.csv": formats.csv_bytes(formats.NETWORK, self.network.values()),
            "pm/appointments.csv": formats.csv_bytes(formats.APPOINTMENTS, self.appointments),
            "crm/interactions.csv": formats.csv_bytes(formats.INTERACTIONS, self.interactions),
            "phone/lookups.csv": formats.csv_bytes(formats.LOOKUPS, self.lookups),
            **self._news(day),
        }
        for news in (self.answers, self.responses, self.answer_rows, self.replies, self.resources, self.messages):
            news.clear()
        return files

    def _news(self, day: str) -> dict[str, bytes]:
        news = {}
        by_type = sorted(self.resources, key=lambda resource: str(resource["resourceType"]))
        for kind, resources in groupby(by_type, key=lambda resource: str(resource["resourceType"])):
            news[f"ehr/{day}.{kind}.ndjson"] = formats.ndjson_bytes(resources)
        if self.messages:
            news[f"ehr_events/{day}.hl7"] = "".join(self.messages).encode()
        if self.answers:
            control = int("".join(filter(str.isdigit, day)) or 1)
            news[f"pm/eligibility/{day}.271"] = formats.x12_271(self.answers, control=control).encode()
        if self.responses:
            responses = (formats.eligibility_response(answer) for answer in self.responses)
            news[f"pm/eligibility/{day}.ndjson"] = formats.ndjson_bytes(responses)
        if self.answer_rows:
            news[f"pm/eligibility/{day}.csv"] = formats.csv_bytes(formats.ANSWERS, self.answer_rows)
        if self.replies:
            news[f"replies/{day}.ndjson"] = formats.ndjson_bytes(self.replies)
        return news


def phone_of(number: int, *, generation: int = 1) -> str:
    """A valid number of nobody's; `generation` tells a person's numbers apart."""
    return f"+16172{50 + generation}{1200 + number}"


def lookup(phone: str, **found: object) -> Row:
    """A carrier's answer that the number is fine, but for what is given."""
    fine = {"valid": "true", "line_type": "mobile", "line_status": "active", "reassigned": "no", "provider": "carrier"}
    return {"phone": phone, "checked_at": LATELY, **fine, **found}


def _everybody(number: int) -> Row:
    first = ("Ann", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gail", "Hugo", "Iris", "Jon")[number % 10]
    last = ("Abbot", "Baker", "Cole", "Drew", "Ellis", "Frost", "Grant")[number % 7]
    return {
        "mrn": f"M{number:02}",
        "first_name": first,
        "last_name": last,
        "birth_date": f"19{50 + number % 40}-0{1 + number % 9}-1{number % 9}",
        "sex": "female" if number % 2 else "male",
        "phone": phone_of(number),
        "email": f"person{number}@example.org",
        "address_line": f"{number} Main St",
        "city": "Salem",
        "state": "MA",
        "postal_code": "01970",
        "referring_provider_npi": NPI,
    }
