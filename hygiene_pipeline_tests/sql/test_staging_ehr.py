"""What the EHR staging models make of resources and messages, through the real loaders and the real SQL."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hygiene_pipeline.landing import ehr_events, ledger
from hygiene_pipeline_tests.bed import Bed, shipped_policies
from hygiene_pipeline_tests.ehr.test_hl7_v2 import message
from hygiene_pipeline_tests.landing.fhir_desk import FIRST_NIGHT, Desk, ndjson, patient

MODELS = [
    f"staging.ehr_{name}"
    for name in (
        *("deletion", "patient_version", "resource", "provider", "merge", "taken_back", "telecom", "patient"),
        *("mrn", "encounter", "condition", "appointment", "care_event"),
    )
]
NPI = "http://hl7.org/fhir/sid/us-npi"


def mrn(value: str) -> dict[str, Any]:
    return {"type": {"coding": [{"code": "MR"}]}, "system": "urn:hospital", "value": value}


def phone(value: str, **more: Any) -> dict[str, Any]:
    return {"system": "phone", "value": value, **more}


def plan(status: str, reference: str = "Patient/p1", **more: Any) -> dict[str, Any]:
    subject = {"reference": reference}
    return {"resourceType": "CarePlan", "id": "c1", "status": status, "intent": "plan", "subject": subject, **more}


def adt(kind: str, control: str = "M1", at: str = "20260301010000", **segments: str) -> bytes:
    return message(kind, control, EVN=f"EVN||{at}", **segments).encode()


class Staging:
    """Real loaders into the bed, a night apart; `build` looks at them as of the given night."""

    def __init__(self, folder: Path) -> None:
        self.bed = Bed()
        self.desk = Desk(folder)
        self.desk.con = self.bed.con
        ledger.create_tables(self.bed.con)
        ehr_events.create_tables(self.bed.con)
        self.bed.policies()

    def build(self, nights: int = 30) -> "Staging":
        self.bed.clock((FIRST_NIGHT + timedelta(days=nights)).isoformat())
        spelt = self.bed.rows(
            """select distinct one.value as raw from (select unnest(telecom) as one from raw.fhir_patient)
               union select distinct one.value from (select unnest(phones) as one from raw.ehr_event)"""
        )
        numbers = [{"raw": row["raw"], **_number(str(row["raw"]))} for row in spelt]
        self.bed.table("staging.phone_number", numbers)
        self.bed.build(*MODELS)
        return self

    def one(self, query: str) -> Any:
        rows = self.bed.rows(query)
        assert len(rows) == 1, rows
        values = tuple(rows[0].values())
        return values[0] if len(values) == 1 else values


def _number(raw: str) -> dict[str, Any]:
    digits = "".join(letter for letter in raw if letter.isdigit())[-10:]
    return {"digits": digits, "e164": f"+1{digits}" if len(digits) == 10 else None}


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path)


def test_a_patient_is_described_by_its_official_name_and_home_address(staging: Staging) -> None:
    staging.desk.fhir(
        ndjson(
            patient(
                "p1",
                identifier=[{"value": "other"}, mrn("MRN1")],
                name=[
                    {"use": "maiden", "family": "Roe"},
                    {"use": "official", "family": "Núñez", "given": ["Ana", "M"]},
                ],
                birthDate="1970-03-01",
                gender="female",
                address=[
                    {"use": "old", "city": "Salem"},
                    {"use": "home", "line": ["1 Elm", "Apt 2"], "city": "Boston"},
                ],
                generalPractitioner=[{"reference": "Practitioner/d1"}],
            ),
            {"resourceType": "Practitioner", "id": "d1", "identifier": [{"system": NPI, "value": "1234567893"}]},
        )
    )
    found = staging.build().one(
        """select mrn, first_name, last_name, name_key, birth_date, sex, address_line, city, pcp_npi, is_active,
                  is_deceased
           from staging.ehr_patient"""
    )
    assert found == (
        *("MRN1", "Ana", "Núñez", "ana nunez", date(1970, 3, 1), "female", "1 Elm, Apt 2", "Boston"),
        *("1234567893", True, False),
    )


PREFERRED: dict[str, tuple[list[dict[str, Any]], str | None]] = {
    "mobile": ([phone("617-253-0001", use="home"), phone("617-253-0002", use="mobile")], "+16172530002"),
    "rank": ([phone("617-253-0001", rank=1), phone("617-253-0002", use="mobile")], "+16172530001"),
    "not-an-old-one": ([phone("617-253-0001", use="old"), phone("617-253-0002")], "+16172530002"),
    "a-valid-one-first": ([phone("12"), phone("617-253-0002")], "+16172530002"),
    "in-force": ([phone("617-253-0001", period={"end": "2025"}), phone("617-253-0002")], "+16172530002"),
    "no-fax": ([{"system": "fax", "value": "617-253-0001"}], None),
}


def test_the_preferred_phone(staging: Staging) -> None:
    staging.desk.fhir(ndjson(*(patient(case, telecom=telecom) for case, (telecom, _) in PREFERRED.items())))
    rows = staging.build().bed.rows("select ehr_patient_id, phone from staging.ehr_patient")
    assert {row["ehr_patient_id"]: row["phone"] for row in rows} == {
        case: expected for case, (_, expected) in PREFERRED.items()
    }


def test_a_phone_is_confirmed_by_the_version_that_first_carried_it(staging: Staging) -> None:
    for day, number in enumerate(["617-253-0001", "617-253-0002", "617-253-0001", "(617) 253-0001"], start=1):
        meta = {"lastUpdated": f"2026-02-0{day}T00:00:00Z"}
        staging.desk.fhir(ndjson(patient("p1", meta=meta, telecom=[phone(number)])))
    found = staging.build().one("select phone, phone_confirmed_at from staging.ehr_patient")
    assert found == ("+16172530001", datetime(2026, 2, 3, tzinfo=UTC))


def test_the_start_of_the_telecoms_period_confirms_it(staging: Staging) -> None:
    staging.desk.fhir(ndjson(patient("p1", telecom=[phone("617-253-0001", period={"start": "2025-06"})])))
    assert staging.build().one("select phone_confirmed_at from staging.ehr_patient") == datetime(2025, 6, 1, tzinfo=UTC)


def test_a_later_registration_message_brings_the_new_phone(staging: Staging) -> None:
    old = patient(
        "p1", meta={"lastUpdated": "2026-01-01T00:00:00Z"}, identifier=[mrn("MRN1")], telecom=[phone("617-253-0009")]
    )
    staging.desk.fhir(ndjson(old))
    staging.desk.events(adt("ADT^A08", at="20260201120000"))
    found = staging.build().one("select phone, phone_confirmed_at from staging.ehr_patient")
    assert found == ("+16172530001", datetime(2026, 2, 1, 17, tzinfo=UTC))


REFERENCES = [
    "Patient/p1",
    "Patient/p1/_history/2",
    "https://ehr.example.org/fhir/Patient/p1",
    "urn:uuid:p1",
    "Patient?identifier=urn:hospital|MRN1",
    "Patient?identifier=urn:hospital%7CMRN1",
    "#inside",
]


def test_every_spelling_of_a_reference_leads_to_the_patient(staging: Staging) -> None:
    inside = [{"resourceType": "Patient", "id": "inside", "identifier": [mrn("MRN1")]}]
    plans = [
        {**plan("active", reference, contained=inside), "id": f"c{number}"}
        for number, reference in enumerate(REFERENCES)
    ]
    staging.desk.fhir(ndjson(patient("p1", identifier=[mrn("MRN1")]), patient("p2", identifier=[mrn("MRN2")]), *plans))
    rows = staging.build().bed.rows("select ehr_patient_id from staging.ehr_care_event")
    assert [row["ehr_patient_id"] for row in rows] == ["p1"] * len(REFERENCES)


def of_patient(resource_type: str, own_id: str, status: str, **more: Any) -> dict[str, Any]:
    owner = "patient" if resource_type == "EpisodeOfCare" else "subject"
    return {"resourceType": resource_type, "id": own_id, "status": status, owner: {"reference": "Patient/p1"}, **more}


def category(code: str) -> dict[str, Any]:
    return {"intent": "order", "category": [{"coding": [{"system": "http://snomed.info/sct", "code": code}]}]}


AT_HOME = {"dischargeDisposition": {"coding": [{"code": "home"}]}}
EVENTS: list[tuple[dict[str, Any], str | None]] = [
    (of_patient("CarePlan", "completed-plan", "completed", intent="plan"), "completed"),
    (of_patient("CarePlan", "revoked-plan", "revoked", intent="plan"), None),
    (of_patient("EpisodeOfCare", "running-episode", "active"), "active"),
    (of_patient("EpisodeOfCare", "finished-episode", "finished"), "completed"),
    (of_patient("ServiceRequest", "referral", "active", **category("3457005")), "referred"),
    (of_patient("ServiceRequest", "laboratory-order", "active", **category("108252007")), None),
    (of_patient("Encounter", "stay", "finished", **{"class": {"code": "IMP"}}, hospitalization=AT_HOME), "discharged"),
    (of_patient("Encounter", "ordinary-visit", "finished", **{"class": {"code": "AMB"}}), None),
    (patient("p1", deceasedDateTime="2026-01-05T10:00:00Z"), "deceased"),
    (patient("p2", deceasedBoolean=False), None),
]


def test_the_policy_says_what_is_an_event(staging: Staging) -> None:
    staging.desk.fhir(ndjson(*(resource for resource, _ in EVENTS)))
    rows = staging.build().bed.rows("select evidence_ref, care_status from staging.ehr_care_event")
    assert {row["evidence_ref"]: row["care_status"] for row in rows} == {
        f"{resource['resourceType']}/{resource['id']}": status for resource, status in EVENTS if status
    }


def test_an_event_keeps_its_id_and_time_of_receipt_when_the_resource_is_edited(staging: Staging) -> None:
    staging.desk.fhir(ndjson(plan("active", period={"start": "2026-01-01"})))
    staging.desk.fhir(ndjson(plan("active", period={"start": "2026-01-01"}, title="Edited")))
    found = staging.build().one("select event_id, event_at, received_at, evidence_ref from staging.ehr_care_event")
    assert found == ("CarePlan/c1/active", datetime(2026, 1, 1, tzinfo=UTC), FIRST_NIGHT, "CarePlan/c1")


def test_only_the_latest_state_of_a_plan_counts_and_an_earlier_night_can_be_replayed(staging: Staging) -> None:
    staging.desk.fhir(ndjson(plan("active", period={"start": "2026-01-01"})))
    staging.desk.fhir(ndjson(plan("completed", period={"start": "2026-01-01", "end": "2026-03-01"})))
    query = "select care_status from staging.ehr_care_event"
    assert staging.build().one(query) == "completed"
    assert staging.build(nights=0).one(query) == "active"


def test_an_older_state_that_arrives_later_changes_nothing(staging: Staging) -> None:
    done = {"start": "2026-01-01", "end": "2026-03-01"}
    staging.desk.fhir(ndjson(plan("completed", period=done, meta={"lastUpdated": "2026-03-01T10:00:00Z"})))
    staging.desk.fhir(
        ndjson(plan("active", period={"start": "2026-01-01"}, meta={"lastUpdated": "2026-01-01T10:00:00Z"}))
    )
    assert staging.build().one("select care_status from staging.ehr_care_event") == "completed"


def test_a_cancelled_discharge_is_flagged_and_a_new_one_is_not(staging: Staging) -> None:
    staging.desk.fhir(ndjson(patient("p1", identifier=[mrn("MRN1")])))
    staging.desk.events(adt("ADT^A03", "M1", "20260105120000"))
    staging.desk.events(adt("ADT^A13", "M2", "20260105130000"))
    staging.desk.events(adt("ADT^A03", "M3", "20260106120000"))
    rows = staging.build().bed.rows(
        "select evidence_ref, kind, care_status, is_cancelled from staging.ehr_care_event order by evidence_ref"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("ADT^A03/M1", "ADT^A03", "discharged", True),
        ("ADT^A03/M3", "ADT^A03", "discharged", False),
    ]


@pytest.mark.parametrize(
    ("segments", "cancelled", "expected"),
    [
        pytest.param(
            {"PID": "PID|1||MRN1^^^H^MR" + "|" * 26 + "20260104|Y"}, False, True, id="the indicator of a message"
        ),
        pytest.param({"PV1": "PV1|1|I" + "|" * 17 + "V1" + "|" * 17 + "20"}, False, True, id="discharged as expired"),
        pytest.param({"PV1": "PV1|1|I" + "|" * 17 + "V1" + "|" * 17 + "20"}, True, False, id="and that taken back"),
        pytest.param({}, False, False, id="discharged home"),
    ],
)
def test_a_message_can_tell_of_a_death(
    staging: Staging, segments: dict[str, str], cancelled: bool, expected: bool
) -> None:
    staging.desk.fhir(ndjson(patient("p1", identifier=[mrn("MRN1")])))
    staging.desk.events(adt("ADT^A03", "M1", "20260105120000", **segments))
    if cancelled:
        staging.desk.events(adt("ADT^A13", "M2", "20260105130000"))
    assert staging.build().one("select is_deceased from staging.ehr_patient") is expected


@pytest.mark.parametrize("said_by", ["replaced-by", "replaces", "A40"])
def test_a_merged_patient_names_its_survivor(staging: Staging, said_by: str) -> None:
    other = {"replaced-by": "new", "replaces": "old"}.get(said_by)
    link = {"link": [{"other": {"reference": f"Patient/{other}"}, "type": said_by}]} if other else {}
    staging.desk.fhir(
        ndjson(
            patient("old", identifier=[mrn("OLD9")], **(link if said_by == "replaced-by" else {})),
            patient("new", identifier=[mrn("MRN1")], **(link if said_by == "replaces" else {})),
        )
    )
    if said_by == "A40":
        staging.desk.events(adt("ADT^A40", PV1="", MRG="MRG|OLD9^^^HOSP^MR"))
    rows = staging.build().bed.rows("select ehr_patient_id, replaced_by, is_active from staging.ehr_patient order by 1")
    assert [tuple(row.values()) for row in rows] == [("new", None, True), ("old", "new", False)]


def test_a_visit_names_its_provider_and_disposition(staging: Staging) -> None:
    visit = {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/p1"},
        "period": {"start": "2026-01-05T09:00:00-05:00", "end": "2026-01-05T09:30:00-05:00"},
        "participant": [{"individual": {"reference": f"Practitioner?identifier={NPI}|1234567893"}}],
    }
    staging.desk.fhir(ndjson(visit))
    found = staging.build().one("select ehr_patient_id, class, started_at, provider_npi from staging.ehr_encounter")
    assert found == ("p1", "AMB", datetime(2026, 1, 5, 14, tzinfo=UTC), "1234567893")


def test_refuted_conditions_are_left_out(staging: Staging) -> None:
    def condition(own_id: str, verification: str) -> dict[str, Any]:
        return {
            "resourceType": "Condition",
            "id": own_id,
            "clinicalStatus": {"coding": [{"code": "active"}]},
            "verificationStatus": {"coding": [{"code": verification}]},
            "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9"}]},
            "subject": {"reference": "Patient/p1"},
            "recordedDate": "2025-11",
        }

    staging.desk.fhir(ndjson(condition("k1", "confirmed"), condition("k2", "refuted")))
    found = staging.build().one("select condition_id, code, recorded_at from staging.ehr_condition")
    assert found == ("k1", "E11.9", datetime(2025, 11, 1, tzinfo=UTC))


def test_appointments_come_from_resources_and_from_scheduling_messages(staging: Staging) -> None:
    booked = {
        "resourceType": "Appointment",
        "id": "a1",
        "status": "booked",
        "start": "2026-04-01T09:00:00-04:00",
        "participant": [{"actor": {"reference": "Practitioner/d1"}}, {"actor": {"reference": "Patient/p1"}}],
    }
    staging.desk.fhir(ndjson(patient("p1", identifier=[mrn("MRN1")]), booked))
    sch = "SCH|P1|F1" + "|" * 9 + "^^^20260402090000"
    staging.desk.events(adt("SIU^S12", "M1", PV1="", SCH=sch))
    staging.desk.events(message("SIU^S15", "M2", EVN="EVN||20260302", PV1="", SCH=sch).encode())
    rows = staging.build().bed.rows(
        "select ehr_patient_id, appointment_id, status from staging.ehr_appointment order by 2"
    )
    assert [tuple(row.values()) for row in rows] == [("p1", "F1", "cancelled"), ("p1", "a1", "booked")]


def test_an_appointment_follows_its_messages_by_their_own_time_in_whatever_order_they_come(staging: Staging) -> None:
    def siu(kind: str, control: str, at: str, start: str = "", status: str = "") -> bytes:
        sch = "SCH|P1|F1" + "|" * 9 + (f"^^^{start}" if start else "") + "|" * 14 + status
        text = message(kind, control, EVN="", PV1="", SCH=sch)
        return text.replace("20260105103100-0500", f"{at}-0500").encode()

    staging.desk.fhir(ndjson(patient("p1", identifier=[mrn("MRN1")])))
    at_ten = datetime(2026, 4, 3, 14, tzinfo=UTC)
    steps = [
        (siu("SIU^S15", "M3", "20260103120000"), ("cancelled", None)),
        (siu("SIU^S13", "M2", "20260102120000", "20260403100000-0400"), ("cancelled", at_ten)),
        (siu("SIU^S12", "M1", "20260101120000", "20260402090000-0400"), ("cancelled", at_ten)),
        (siu("SIU^S26", "M4", "20260104120000"), ("noshow", at_ten)),
        (siu("SIU^S14", "M5", "20260105120000", status="Booked"), ("booked", at_ten)),
        (siu("SIU^S14", "M6", "20260106120000", status="Complete"), ("fulfilled", at_ten)),
        (siu("SIU^S17", "M7", "20260107120000"), ("cancelled", at_ten)),
    ]
    for content, expected in steps:
        staging.desk.events(content)
        assert staging.build().one("select status, scheduled_at from staging.ehr_appointment") == expected


def test_a_later_message_about_an_appointment_that_fhir_knows_comes_before_the_export(staging: Staging) -> None:
    booked = {
        "resourceType": "Appointment",
        "id": "a1",
        "meta": {"lastUpdated": "2026-03-01T00:00:00Z"},
        "identifier": [{"system": "urn:filler", "value": "F1"}],
        "status": "booked",
        "start": "2026-04-01T13:00:00Z",
        "participant": [{"actor": {"reference": "Patient/p1"}}],
    }
    staging.desk.fhir(ndjson(patient("p1", identifier=[mrn("MRN1")]), booked))
    for month, expected in (("02", "booked"), ("03", "cancelled")):
        text = message("SIU^S15", f"M{month}", EVN="", PV1="", SCH="SCH|P1|F1")
        staging.desk.events(text.replace("20260105103100", f"2026{month}05103100").encode())
        assert staging.build().one("select appointment_id, status from staging.ehr_appointment") == ("a1", expected)


def merge(survivor: str, retired: str, control: str, at: str, kind: str = "ADT^A40") -> bytes:
    other = f"PID|2||{retired}^^^HOSP^MR" if kind == "ADT^A37" else f"MRG|{retired}^^^HOSP^MR"
    return adt(kind, control, at, PID=f"PID|1||{survivor}^^^HOSP^MR", PV1="", MRG=other)


DAYS = [f"202601{day:02d}120000" for day in range(1, 8)]
MERGES: dict[str, tuple[list[bytes], dict[str, str]]] = {
    "one into another": ([merge("B", "A", "1", DAYS[0])], {"A": "B"}),
    "a chain": ([merge("B", "A", "1", DAYS[0]), merge("C", "B", "2", DAYS[1])], {"A": "C", "B": "C"}),
    "a chain told from its end": ([merge("C", "B", "2", DAYS[0]), merge("B", "A", "1", DAYS[1])], {"A": "B"}),
    "a merge made right": ([merge("B", "A", "1", DAYS[0]), merge("A", "B", "2", DAYS[1])], {"B": "A"}),
    "into two, the later one": ([merge("B", "A", "1", DAYS[0]), merge("C", "A", "2", DAYS[1])], {"A": "C"}),
    "undone": ([merge("B", "A", "1", DAYS[0]), merge("A", "B", "2", DAYS[1], "ADT^A37")], {}),
    "undone and done again": (
        [merge("B", "A", "1", DAYS[0]), merge("B", "A", "2", DAYS[1], "ADT^A37"), merge("B", "A", "3", DAYS[2])],
        {"A": "B"},
    ),
    "a circle of one moment": ([merge("B", "A", "1", DAYS[0]), merge("A", "B", "2", DAYS[0])], {}),
    "two in one message": (
        [adt("ADT^A40", "1", DAYS[0], PID="PID|1||B^^^H^MR\rMRG|A^^^H^MR\rPID|2||D^^^H^MR\rMRG|C^^^H^MR", PV1="")],
        {"A": "B", "C": "D"},
    ),
}


@pytest.mark.parametrize("is_reversed", [False, True], ids=["in-order", "backwards"])
@pytest.mark.parametrize("case", MERGES)
def test_a_number_is_what_its_merges_made_of_it(staging: Staging, case: str, is_reversed: bool) -> None:
    messages, expected = MERGES[case]
    staging.desk.fhir(ndjson(*(patient(f"p{each}", identifier=[mrn(each)]) for each in "ABCD")))
    for content in reversed(messages) if is_reversed else messages:
        staging.desk.events(content)
    bed = staging.build().bed
    rows = bed.rows("select retired_mrn, current_mrn from staging.ehr_merge")
    assert {row["retired_mrn"]: row["current_mrn"] for row in rows} == expected
    replaced = bed.rows("select mrn, replaced_by from staging.ehr_patient where replaced_by is not null")
    assert {row["mrn"]: row["replaced_by"] for row in replaced} == {a: f"p{b}" for a, b in expected.items()}


def test_an_event_under_a_retired_number_is_the_survivors_and_can_be_taken_back_under_either(staging: Staging) -> None:
    staging.desk.fhir(ndjson(patient("p1", identifier=[mrn("NEW")])))
    old = "PID|1||OLD^^^HOSP^MR"
    staging.desk.events(adt("ADT^A03", "M1", DAYS[0], PID=old))
    assert staging.build().bed.rows("from staging.ehr_care_event") == [], "nobody knows whose it is"
    staging.desk.events(merge("NEW", "OLD", "M2", DAYS[1]))
    query = "select ehr_patient_id, care_status, is_cancelled from staging.ehr_care_event"
    assert staging.build().one(query) == ("p1", "discharged", False)
    staging.desk.events(adt("ADT^A13", "M3", DAYS[2], PID="PID|1||NEW^^^HOSP^MR"))
    assert staging.build().one(query) == ("p1", "discharged", True)


def test_a_death_and_a_phone_told_under_a_retired_number_are_the_survivors(staging: Staging) -> None:
    staging.desk.fhir(ndjson(patient("p1", identifier=[mrn("NEW")], meta={"lastUpdated": "2025-01-01T00:00:00Z"})))
    pid = "PID|1||OLD^^^HOSP^MR" + "|" * 10 + "(617)253-0007" + "|" * 17 + "Y"
    staging.desk.events(adt("ADT^A08", "M1", DAYS[0], PID=pid))
    staging.desk.events(merge("NEW", "OLD", "M2", DAYS[1]))
    assert staging.build().one("select is_deceased, phone from staging.ehr_patient") == (True, "+16172530007")


VISITLESS = "PV1|1|I"
TAKEN_BACK: dict[str, tuple[list[bytes], list[str]]] = {
    "a discharge of the same visit": ([adt("ADT^A03", "D1", DAYS[0]), adt("ADT^A13", "C1", DAYS[1])], ["D1"]),
    "not that of another visit": (
        [adt("ADT^A03", "D1", DAYS[0]), adt("ADT^A13", "C1", DAYS[1], PV1="PV1|1|I" + "|" * 17 + "V2")],
        [],
    ),
    "without a visit number only the latest": (
        [
            adt("ADT^A03", "D1", DAYS[0], PV1=VISITLESS),
            adt("ADT^A03", "D2", DAYS[1], PV1=VISITLESS),
            adt("ADT^A13", "C1", DAYS[2], PV1=VISITLESS),
        ],
        ["D2"],
    ),
    "an admission and a registration": (
        [adt("ADT^A01", "A1", DAYS[0]), adt("ADT^A04", "A2", DAYS[0]), adt("ADT^A11", "C1", DAYS[1])],
        ["A1", "A2"],
    ),
    "nothing that came after": ([adt("ADT^A13", "C1", DAYS[0]), adt("ADT^A03", "D1", DAYS[1])], []),
}


@pytest.mark.parametrize("is_reversed", [False, True], ids=["in-order", "backwards"])
@pytest.mark.parametrize("case", TAKEN_BACK)
def test_a_cancellation_takes_back(staging: Staging, case: str, is_reversed: bool) -> None:
    messages, expected = TAKEN_BACK[case]
    for content in reversed(messages) if is_reversed else messages:
        staging.desk.events(content)
    rows = staging.build().bed.rows("select event_id from staging.ehr_taken_back order by event_id")
    assert [row["event_id"].split("/")[3] for row in rows] == expected


def ref(kind: str, control: str, at: str, status: str = "A", referral: str = "R1") -> bytes:
    rf1 = f"RF1|{status}||Specialty|||{referral}"
    return message(kind, control, EVN="", PV1="", RF1=rf1).replace("20260105103100-0500", f"{at}-0500").encode()


REFERRALS: dict[str, tuple[list[bytes], list[str]]] = {
    "asked for": ([ref("REF^I12", "1", DAYS[0])], ["referred"]),
    "changed": ([ref("REF^I12", "1", DAYS[0]), ref("REF^I13", "2", DAYS[1])], ["referred", "referred"]),
    "cancelled": ([ref("REF^I12", "1", DAYS[0]), ref("REF^I14", "2", DAYS[1])], []),
    "cancelled and asked for again": (
        [ref("REF^I12", "1", DAYS[0]), ref("REF^I14", "2", DAYS[1]), ref("REF^I12", "3", DAYS[2])],
        ["referred"],
    ),
    "rejected": ([ref("REF^I12", "1", DAYS[0]), ref("REF^I13", "2", DAYS[1], "R")], []),
    "its status asked: expired": ([ref("REF^I12", "1", DAYS[0]), ref("REF^I15", "2", DAYS[1], "E")], []),
    "another one cancelled": (
        [ref("REF^I12", "1", DAYS[0]), ref("REF^I14", "2", DAYS[1], referral="R2")],
        ["referred"],
    ),
}


@pytest.mark.parametrize("is_reversed", [False, True], ids=["in-order", "backwards"])
@pytest.mark.parametrize("case", REFERRALS)
def test_a_referral_message_refers_until_it_is_taken_back(staging: Staging, case: str, is_reversed: bool) -> None:
    messages, expected = REFERRALS[case]
    staging.desk.fhir(ndjson(patient("p1", identifier=[mrn("MRN1")])))
    for content in reversed(messages) if is_reversed else messages:
        staging.desk.events(content)
    rows = staging.build().bed.rows("select care_status from staging.ehr_care_event where not is_cancelled")
    assert [row["care_status"] for row in rows] == expected


def test_a_row_for_a_pathway_comes_before_the_row_for_all(staging: Staging) -> None:
    events = [
        {"kind": "ADT", "event": "A03", "pathway": None, "care_status": "discharged", "rank": 4},
        {"kind": "ADT", "event": "A03", "pathway": "O", "care_status": "unchanged", "rank": 4},
        {"kind": "CarePlan", "event": "completed", "pathway": None, "care_status": "completed", "rank": 3},
        {"kind": "CarePlan", "event": "completed", "pathway": "735321000", "care_status": "discharged", "rank": 3},
    ]
    staging.bed.policies(care_event_mapping=events)
    surgical = [{"coding": [{"code": "38717003"}, {"code": "735321000"}]}]
    staging.desk.fhir(
        ndjson(
            patient("p1", identifier=[mrn("MRN1")]),
            {**plan("completed"), "id": "plain"},
            {**plan("completed", category=surgical), "id": "surgical"},
        )
    )
    staging.desk.events(adt("ADT^A03", "ward", DAYS[0]))
    staging.desk.events(adt("ADT^A03", "clinic", DAYS[0], PV1="PV1|1|O"))
    rows = staging.build().bed.rows("select evidence_ref, care_status from staging.ehr_care_event")
    assert {row["evidence_ref"]: row["care_status"] for row in rows} == {
        "ADT^A03/ward": "discharged",
        "CarePlan/plain": "completed",
        "CarePlan/surgical": "discharged",
    }


@pytest.mark.parametrize(
    ("disposition", "expected"),
    [("01", "discharged"), ("30", None), ("20", "deceased")],
    ids=["home", "still a patient", "expired"],
)
def test_where_a_stay_led_may_say_more_than_that_it_ended(
    staging: Staging, disposition: str, expected: str | None
) -> None:
    stay = {"dischargeDisposition": {"coding": [{"code": disposition}]}}
    staging.desk.fhir(ndjson(of_patient("Encounter", "e1", "finished", hospitalization=stay)))
    rows = staging.build().bed.rows("select care_status from staging.ehr_care_event")
    assert [row["care_status"] for row in rows] == ([expected] if expected else [])


def test_an_event_is_never_later_than_its_arrival_unless_it_is_far_ahead(staging: Staging) -> None:
    staging.desk.fhir(ndjson(patient("p1", identifier=[mrn("MRN1")])))
    taken = FIRST_NIGHT + timedelta(days=1)
    for control, ahead in (("skewed", timedelta(minutes=3)), ("planned", timedelta(days=3))):
        stamp = f"{taken + ahead:%Y%m%d%H%M%S}+0000"
        text = message("REF^I12", control, EVN="", PV1="", RF1="RF1|A|||||R1")
        staging.desk.taken = 1
        staging.desk.folder = staging.desk.folder / control
        staging.desk.folder.mkdir()
        staging.desk.events(text.replace("20260105103100-0500", stamp).encode())
    rows = staging.build().bed.rows("select evidence_ref, event_at from staging.ehr_care_event")
    assert {row["evidence_ref"]: row["event_at"] for row in rows} == {
        "REF^I12/skewed": taken,
        "REF^I12/planned": taken + timedelta(days=3),
    }


def deletion(*urls: str, at: str = "2026-02-15T00:00:00Z", number: int = 1) -> dict[str, Any]:
    entry = [{"request": {"method": "DELETE", "url": url}} for url in urls]
    meta = {"lastUpdated": at}
    return {"resourceType": "Bundle", "id": f"gone-{number}", "type": "transaction", "meta": meta, "entry": entry}


VISIT = {"class": {"code": "AMB"}, "subject": {"reference": "Patient/p1"}, "status": "finished"}
OF_FEBRUARY = {"meta": {"lastUpdated": "2026-02-01T00:00:00Z"}}
HELD = [
    patient("p1", identifier=[mrn("MRN1")], telecom=[phone("617-253-0001")], **OF_FEBRUARY),
    patient("p2", identifier=[mrn("MRN2")], telecom=[phone("617-253-0002")], **OF_FEBRUARY),
    {**plan("active"), **OF_FEBRUARY},
    {"resourceType": "Encounter", "id": "e1", **VISIT, **OF_FEBRUARY},
    {"resourceType": "Practitioner", "id": "d1", "identifier": [{"system": NPI, "value": "1234567893"}], **OF_FEBRUARY},
]
DELETED = [
    "Patient/p1",
    "https://ehr.example.org/fhir/CarePlan/c1",
    "Encounter/e1/_history/4",
    "Practitioner/d1",
    # What nobody knew, and a search, which names nothing.
    "Patient/p9",
    "Patient?identifier=MRN2",
]
STILL_THERE = """
    select 'Patient/' || ehr_patient_id as ref from staging.ehr_patient
    union all select 'telecom/' || ehr_patient_id from staging.ehr_telecom
    union all select evidence_ref from staging.ehr_care_event
    union all select 'Encounter/' || encounter_id from staging.ehr_encounter
    union all select resource_type || '/' || resource_id from staging.ehr_provider"""


def test_what_the_ehr_deleted_is_gone_and_nothing_else(staging: Staging) -> None:
    staging.desk.fhir(ndjson(*HELD))
    staging.desk.fhir(ndjson(*(deletion(url, number=number) for number, url in enumerate(DELETED))))
    assert {str(row["ref"]) for row in staging.build().bed.rows(STILL_THERE)} == {"Patient/p2", "telecom/p2"}
    assert len(staging.build(nights=0).bed.rows(STILL_THERE)) == 7, "an earlier night knows of no deletion"


def test_what_came_back_after_a_deletion_is_there_again(staging: Staging) -> None:
    staging.desk.fhir(ndjson(*HELD))
    staging.desk.fhir(ndjson(deletion("Patient/p1", "CarePlan/c1")))
    staging.desk.fhir(ndjson(patient("p1", meta={"lastUpdated": "2026-02-20T00:00:00Z"}, identifier=[mrn("MRN7")])))
    query = "select mrn from staging.ehr_patient where ehr_patient_id = 'p1'"
    assert staging.build().one(query) == "MRN7"
    assert staging.bed.rows("select 1 from staging.ehr_telecom where ehr_patient_id = 'p1'") == []


def test_a_deletion_counts_even_if_the_export_with_the_resource_comes_later(staging: Staging) -> None:
    staging.desk.fhir(ndjson(deletion("Patient/p1")))
    staging.desk.fhir(ndjson(*HELD))
    assert staging.build().one("select ehr_patient_id from staging.ehr_patient") == "p2"


CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"


def core(name: str, text: str, *codes: str) -> dict[str, Any]:
    coded = [{"url": "ombCategory", "valueCoding": {"system": "urn:oid:2.16", "code": code}} for code in codes]
    return {"url": CORE + name, "extension": [*coded, {"url": "text", "valueString": text}]}


def test_race_and_ethnicity_are_told_as_us_core_says(staging: Staging) -> None:
    told = [core("race", "Asian and White", "2106-3", "2028-9", "2106-3"), core("ethnicity", "Not Hispanic", "2186-5")]
    staging.desk.fhir(ndjson(patient("p1", extension=told)))
    found = staging.build().one("select race_codes, race, ethnicity_code, ethnicity from staging.ehr_patient")
    assert found == (["2028-9", "2106-3"], "Asian and White", "2186-5", "Not Hispanic")


def number(value: str, **more: Any) -> dict[str, Any]:
    return {"value": value, "system": "urn:hospital", **more}


RECORD_NUMBERS: dict[str, tuple[list[dict[str, Any]], str | None]] = {
    "by-its-type": ([number("SSN1", use="usual"), mrn("MRN1")], "MRN1"),
    "not-an-old-one": ([{**mrn("OLD1"), "use": "old"}, mrn("MRN1")], "MRN1"),
    "an-old-one-if-no-other": ([number("SSN1"), {**mrn("OLD1"), "use": "old"}], "OLD1"),
    "second-coding": ([number("SSN1"), number("MRN1", type={"coding": [{"code": "PI"}, {"code": "MR"}]})], "MRN1"),
    "in-words": ([number("SSN1"), number("MRN1", type={"text": "MRN"})], "MRN1"),
    "usual": ([number("SSN1"), number("N1", use="usual")], "N1"),
    "the-only-one": ([number("N1")], "N1"),
    "one-of-two-unmarked": ([number("N1"), number("N2")], None),
    "none": ([], None),
}


def test_the_record_number(staging: Staging) -> None:
    staging.desk.fhir(ndjson(*(patient(case, identifier=given) for case, (given, _) in RECORD_NUMBERS.items())))
    rows = staging.build().bed.rows("select ehr_patient_id, mrn from staging.ehr_patient")
    assert {row["ehr_patient_id"]: row["mrn"] for row in rows} == {
        case: expected for case, (_, expected) in RECORD_NUMBERS.items()
    }


# The night on which the tables are built is 2026-03-31.
IN_FORCE: dict[str, tuple[dict[str, str], bool]] = {
    "no-period": ({}, True),
    "began": ({"start": "2020"}, True),
    "begins-tomorrow": ({"start": "2026-04-01"}, False),
    "ended-yesterday": ({"end": "2026-03-30"}, False),
    "ends-today": ({"end": "2026-03-31"}, True),
    "ends-this-month": ({"end": "2026-03"}, True),
    "ended-last-month": ({"end": "2026-02"}, False),
    "ends-this-year": ({"end": "2026"}, True),
    "ended-an-hour-ago": ({"end": "2026-03-31T06:00:00Z"}, False),
}


def test_a_phone_is_in_force_within_its_period_the_last_day_included(staging: Staging) -> None:
    given = {case: [phone("617-253-0001", period=period)] for case, (period, _) in IN_FORCE.items()}
    staging.desk.fhir(ndjson(*(patient(case, telecom=telecom) for case, telecom in given.items())))
    rows = staging.build().bed.rows("select ehr_patient_id, is_past from staging.ehr_telecom")
    assert {row["ehr_patient_id"]: not row["is_past"] for row in rows} == {
        case: expected for case, (_, expected) in IN_FORCE.items()
    }


def test_an_older_state_of_a_patient_that_arrives_later_brings_no_phone_back(staging: Staging) -> None:
    for month, value in ((2, "617-253-0002"), (1, "617-253-0001")):
        meta = {"lastUpdated": f"2026-0{month}-01T00:00:00Z"}
        staging.desk.fhir(ndjson(patient("p1", meta=meta, telecom=[phone(value)])))
    found = staging.build().one("select phone, phone_confirmed_at from staging.ehr_patient")
    assert found == ("+16172530002", datetime(2026, 2, 1, tzinfo=UTC))


DEATHS: dict[str, tuple[dict[str, Any], tuple[bool, datetime | None]]] = {
    "nothing-said": ({}, (False, None)),
    "denied": ({"deceasedBoolean": False}, (False, None)),
    "said": ({"deceasedBoolean": True}, (True, None)),
    "with-an-instant": (
        {"deceasedDateTime": "2026-01-05T10:00:00-05:00"},
        (True, datetime(2026, 1, 5, 15, tzinfo=UTC)),
    ),
    "with-a-day": ({"deceasedDateTime": "2026-01-05"}, (True, datetime(2026, 1, 5, tzinfo=UTC))),
    "with-a-month": ({"deceasedDateTime": "2026-01"}, (True, datetime(2026, 1, 1, tzinfo=UTC))),
    "with-a-year": ({"deceasedDateTime": "2025"}, (True, datetime(2025, 1, 1, tzinfo=UTC))),
}


def test_a_death_however_it_is_told(staging: Staging) -> None:
    staging.desk.fhir(ndjson(*(patient(case, **said) for case, (said, _) in DEATHS.items())))
    rows = staging.build().bed.rows("select ehr_patient_id, is_deceased, deceased_at from staging.ehr_patient")
    assert {row["ehr_patient_id"]: (row["is_deceased"], row["deceased_at"]) for row in rows} == {
        case: expected for case, (_, expected) in DEATHS.items()
    }


def test_a_survivor_is_known_however_its_link_is_spelt(staging: Staging) -> None:
    spelt = ["Patient/new", "Patient/new/_history/2", "https://ehr.example.org/fhir/Patient/new", "urn:uuid:new"]
    links = [[{"other": {"reference": reference}, "type": "replaced-by"}] for reference in spelt]
    retired = [patient(f"old{number}", link=link) for number, link in enumerate(links)]
    staging.desk.fhir(ndjson(*retired, patient("new")))
    rows = staging.build().bed.rows("select replaced_by from staging.ehr_patient order by ehr_patient_id")
    assert [row["replaced_by"] for row in rows] == [None, "new", "new", "new", "new"]


def inside(own_id: str, *identifiers: dict[str, Any], kind: str = "Patient") -> dict[str, Any]:
    return {"contained": [{"resourceType": kind, "id": own_id, "identifier": list(identifiers)}]}


OWNERS: dict[str, tuple[dict[str, Any], dict[str, Any], str | None]] = {
    "conditional-its-system-masked": ({"reference": "Patient?identifier=urn%3Ahospital%7CMRN1"}, {}, "p1"),
    "conditional-of-another-system": ({"reference": "Patient?identifier=urn:other|MRN1"}, {}, None),
    "conditional-without-a-system": ({"reference": "Patient?identifier=MRN1"}, {}, "p1"),
    "conditional-without-a-system-and-of-two": ({"reference": "Patient?identifier=SHARED"}, {}, None),
    "logical": ({"identifier": {"system": "urn:hospital", "value": "MRN2"}}, {}, "p2"),
    "contained-by-its-record-number": ({"reference": "#p"}, inside("p", number("X"), mrn("MRN2")), "p2"),
    "contained-with-a-strangers-number": ({"reference": "#p"}, inside("p", mrn("MRN9")), None),
    "contained-with-another-patients-id": ({"reference": "#p1"}, inside("p1"), None),
    "nowhere": ({"display": "somebody"}, {}, None),
}


def test_whose_a_resource_is(staging: Staging) -> None:
    shared = number("SHARED")
    conditions = [
        {"resourceType": "Condition", "id": case, "subject": subject, **more}
        for case, (subject, more, _) in OWNERS.items()
    ]
    people = [patient(f"p{each}", identifier=[mrn(f"MRN{each}"), shared]) for each in (1, 2)]
    staging.desk.fhir(ndjson(*people, *conditions))
    rows = staging.build().bed.rows("select resource_id, ehr_patient_id from staging.ehr_resource")
    assert {row["resource_id"]: row["ehr_patient_id"] for row in rows} == {
        case: expected for case, (*_, expected) in OWNERS.items()
    }


PROVIDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("Practitioner/d1", {}),
    "by-a-version": ("Practitioner/d1/_history/3", {}),
    "by-an-address": ("https://ehr.example.org/fhir/Practitioner/d1", {}),
    "as-synthea-does-in-one-bundle": ("urn:uuid:d1", {}),
    "by-a-role": ("PractitionerRole/r1", {}),
    "conditional": (f"Practitioner?identifier={NPI}|1234567893", {}),
    "contained": ("#doctor", inside("doctor", {"system": NPI, "value": "1234567893"}, kind="Practitioner")),
}


def test_a_provider_is_known_however_it_is_referred_to(staging: Staging) -> None:
    held: list[dict[str, Any]] = [
        {"resourceType": "Practitioner", "id": "d1", "identifier": [{"system": NPI, "value": "1234567893"}]},
        {"resourceType": "PractitionerRole", "id": "r1", "practitioner": {"reference": "urn:uuid:d1"}},
    ]
    for case, (reference, more) in PROVIDERS.items():
        treated_by = [{"individual": {"reference": reference}}]
        held.append({"resourceType": "Encounter", "id": case, **VISIT, "participant": treated_by, **more})
        held.append(patient(case, generalPractitioner=[{"reference": reference}], **more))
    staging.desk.fhir(ndjson(*held))
    visits = staging.build().bed.rows("select encounter_id, provider_npi from staging.ehr_encounter")
    assert {row["encounter_id"]: row["provider_npi"] for row in visits} == dict.fromkeys(PROVIDERS, "1234567893")
    patients = staging.bed.rows("select ehr_patient_id, pcp_npi from staging.ehr_patient")
    assert {row["ehr_patient_id"]: row["pcp_npi"] for row in patients} == dict.fromkeys(PROVIDERS, "1234567893")


def example_of(kind: str, event: str, number: int) -> dict[str, Any] | bytes:
    """The plainest resource or message that a row of the policy is about, for patient `p<number>`."""
    if kind in ("ADT", "REF"):
        segments = {"RF1": f"RF1|A|||||R{number}"} if kind == "REF" else {}
        return adt(f"{kind}^{event}", f"M{number}", PID=f"PID|1||N{number}^^^HOSP^MR", **segments)
    if kind == "Patient":
        return patient(f"p{number}", identifier=[mrn(f"N{number}")], deceasedBoolean=True)
    resource = of_patient(kind, f"r{number}", event.removesuffix("+disposition"))
    resource["patient" if kind == "EpisodeOfCare" else "subject"] = {"reference": f"Patient/p{number}"}
    if event.endswith("+disposition"):
        resource["hospitalization"] = AT_HOME
    return {**resource, **(category("3457005") if kind == "ServiceRequest" else {"intent": "plan"})}


def test_every_row_of_the_shipped_policy_does_what_it_says(staging: Staging) -> None:
    rows = shipped_policies()["policy.care_event_mapping"]
    examples = [example_of(row["kind"], row["event"], number) for number, row in enumerate(rows)]
    known = [patient(f"p{number}", identifier=[mrn(f"N{number}")]) for number, _ in enumerate(rows)]
    staging.desk.fhir(ndjson(*known))
    staging.desk.fhir(ndjson(*(each for each in examples if isinstance(each, dict))))
    staging.desk.events(b"".join(each for each in examples if isinstance(each, bytes)))
    found = staging.build().bed.rows("select ehr_patient_id, care_status from staging.ehr_care_event")
    assert {row["ehr_patient_id"]: row["care_status"] for row in found} == {
        f"p{number}": row["care_status"] for number, row in enumerate(rows)
    }
