"""What is stale is found, field by field: the four states, the email, the address and the identity of a contact."""

from datetime import date
from typing import Any

import pytest

from hygiene_pipeline_tests.sql.cases import IDENTITY, RECONCILED, STATUS, Row, ago, lay, number

HOME: Row = {"address_line": "12 Main Street", "city": "Boston", "state": "MA", "postal_code": "02139"}
MOVED: Row = {"address_line": "9 Elm Road", "city": "Boston", "state": "MA", "postal_code": "02140"}
MAIL = {"email": "old@example.org"}
NEW_MAIL = {"email": "new@example.org"}

# name: (CRM, EHR, PM, the findings of email, address and identity); None: the system has no record
CASES: dict[str, tuple[Row, Row | None, Row | None, set[tuple[str, str, str]]]] = {
    "nothing is wrong": ({**MAIL, **HOME}, {**MAIL, **HOME}, {**MAIL, **HOME}, set()),
    "the PM confirmed another email later": (MAIL, None, {**NEW_MAIL, "email_confirmed_at": ago(5)},
        {("email", "superseded", "pm")}),
    "the EHR confirmed another email later": (MAIL, {**NEW_MAIL, "email_confirmed_at": ago(5)}, None,
        {("email", "superseded", "ehr")}),
    "another email was confirmed before this was typed in": (MAIL, {**NEW_MAIL, "email_confirmed_at": ago(50)}, None,
        set()),
    "another email that nobody confirmed": (MAIL, NEW_MAIL, None, set()),
    "the PM stands by the CRM's email since": (MAIL, {**NEW_MAIL, "email_confirmed_at": ago(5)},
        {**MAIL, "email_confirmed_at": ago(4)}, set()),
    "another email confirmed after the clock": (MAIL, {**NEW_MAIL, "email_confirmed_at": ago(-5)}, None, set()),
    "what is no email supersedes nothing": (MAIL, {"email": "none", "email_confirmed_at": ago(5)}, None, set()),
    "the CRM has no email, the PM has one": ({}, {}, MAIL, {("email", "missing", "pm")}),
    "nobody has an email": ({}, {}, {}, set()),
    "the patient moved, says the PM": (HOME, {**HOME, "last_updated": ago(9)}, {**MOVED, "last_updated": ago(5)},
        {("address", "outdated", "pm")}),
    "the patient moved, says the EHR": (HOME, {**MOVED, "last_updated": ago(5)}, None,
        {("address", "outdated", "ehr")}),
    "the other address is older": (HOME, {**MOVED, "last_updated": ago(50)}, None, set()),
    "the later of two others agrees": (HOME, {**MOVED, "last_updated": ago(9)}, {**HOME, "last_updated": ago(5)},
        set()),
    "the same place in another spelling": (HOME,
        {**HOME, "address_line": "12 MAIN ST.", "postal_code": "02139-0001", "last_updated": ago(5)}, None, set()),
    "no address in the CRM is not outdated": ({}, {**MOVED, "last_updated": ago(5)}, None, set()),
    "nobody else knows the contact": (HOME, None, None, {("identity", "no_match", "crm")}),
    "the number is another person's": ({"name_key": "anna keller", "birth_date": date(1980, 5, 4)},
        {"name_key": "bruno ortiz", "birth_date": date(1951, 11, 30)}, None,
        {("identity", "conflicting_identity", "crm")}),
}  # fmt: skip


def tables() -> dict[str, list[dict[str, Any]]]:
    contacts, ehr, pm = [], [], []
    for index, (crm_row, ehr_row, pm_row, _) in enumerate(CASES.values()):
        name, mrn = f"c{index:02}", {"mrn": f"m{index}"}
        contacts.append({"contact_id": name, **mrn, "last_modified": ago(20), "is_active": index % 2 == 0, **crm_row})
        ehr += [{"ehr_patient_id": name, **mrn, **ehr_row}] if ehr_row is not None else []
        pm += [{"pm_patient_id": name, **mrn, **pm_row}] if pm_row is not None else []
    return {"staging.crm_contact": contacts, "staging.ehr_patient": ehr, "staging.pm_patient": pm}


@pytest.fixture(scope="module")
def findings() -> dict[str, set[tuple[str, str, str]]]:
    bed = lay(tables())
    bed.build(*IDENTITY, *RECONCILED, *STATUS, "hygiene.finding")
    found: dict[str, set[tuple[str, str, str]]] = {}
    for row in bed.rows("select * from hygiene.finding where staleness_type in ('email', 'address', 'identity')"):
        found.setdefault(row["contact_id"], set()).add((row["staleness_type"], row["reason"], row["evidence_source"]))
    return found


@pytest.mark.parametrize(("index", "name"), list(enumerate(CASES)), ids=list(CASES))
def test_finding(findings: dict[str, set[tuple[str, str, str]]], index: int, name: str) -> None:
    assert findings.get(f"c{index:02}", set()) == CASES[name][3]


def test_every_stale_field_of_a_contact_is_a_finding() -> None:
    contact = {
        "contact_id": "c1",
        "mrn": "1",
        "phone": number(1),
        "care_status": "active",
        "insurance_status": "active",
        "referring_provider_npi": "1003000126",
        "last_modified": ago(30),
    }
    answer = {
        "pm_patient_id": "m1",
        "check_id": "k1",
        "result": "inactive",
        "checked_at": ago(2),
        "evidence_ref": "271/k1",
    }
    event = {
        "ehr_patient_id": "e1",
        "event_id": "1",
        "event_at": ago(3),
        "care_status": "discharged",
        "evidence_ref": "ADT^A03/1",
    }
    bed = lay(
        {
            "staging.crm_contact": [contact],
            "staging.ehr_patient": [{"ehr_patient_id": "e1", "mrn": "1"}],
            "staging.pm_patient": [{"pm_patient_id": "m1", "mrn": "1"}],
            "staging.phone_lookup": [{"phone": number(1), "checked_at": ago(1), "valid": False, "provider": "files"}],
            "staging.pm_eligibility": [answer],
            "staging.ehr_care_event": [event],
        }
    )
    bed.build(*IDENTITY, *RECONCILED, *STATUS, "hygiene.finding")
    rows = bed.rows("select * exclude contact_id from hygiene.finding order by staleness_type")
    assert [tuple(row.values()) for row in rows] == [
        ("care", "outdated_status", "ehr", "ADT^A03/1", ago(3)),
        ("insurance", "coverage_inactive", "eligibility", "271/k1", ago(2)),
        ("phone", "disconnected", "lookup", "lookup/files", ago(1)),
        ("referring_provider", "not_in_network", "pm", "referral_network/1003000126", None),
    ]
    [status] = bed.rows("select is_stale, stale_fields from hygiene.contact_status")
    assert status == {"is_stale": True, "stale_fields": ["care", "insurance", "phone", "referring_provider"]}
    assert bed.failures("hygiene.finding") == {}
    assert bed.failures("hygiene.contact_status") == {}


TO_VERIFY: dict[str, tuple[str, str, bool]] = {
    "shown as to be verified, and the payer said inactive": ("verify_required", "inactive", True),
    "shown as to be verified, and the payer knows nobody": ("verify_required", "not_found", True),
    "shown as to be verified, and nobody asked": ("verify_required", "payer_error", False),
    "shown as lapsed, and the payer said inactive": ("lapsed", "inactive", False),
    "shown as active, and the payer says so": ("active", "active", False),
}


def test_coverage_that_waits_to_be_verified_is_somebodys_work() -> None:
    contacts, patients, answers = [], [], []
    for index, (shown, result, _) in enumerate(TO_VERIFY.values()):
        key = f"{index}"
        contacts.append({"contact_id": key, "mrn": key, "insurance_status": shown, "last_modified": ago(30)})
        patients.append({"pm_patient_id": key, "mrn": key})
        said = {"result": result, "checked_at": ago(2), "evidence_ref": f"271/{key}"}
        answers.append({"pm_patient_id": key, "check_id": key, **said})
    bed = lay({"staging.crm_contact": contacts, "staging.pm_patient": patients, "staging.pm_eligibility": answers})
    bed.build(*IDENTITY, *RECONCILED, *STATUS, "hygiene.finding")
    rows = bed.rows("select * from hygiene.finding where staleness_type = 'insurance' order by contact_id")
    expected = [f"{index}" for index, (*_, is_work) in enumerate(TO_VERIFY.values()) if is_work]
    assert [(row["contact_id"], row["reason"], row["evidence_source"]) for row in rows] == [
        (key, "verify_required", "eligibility") for key in expected
    ]
