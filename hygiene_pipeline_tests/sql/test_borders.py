"""Where data enter: what Great Expectations finds in the staging of each system, and that no find stops a night.

A share (`mostly`) may be missing before anybody is told; the rest is told from the first record on.
"""

from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import pytest

from hygiene_pipeline.expectations import run_expectations
from hygiene_pipeline.model_contracts import EXPECTATION
from hygiene_pipeline.model_history import described
from hygiene_pipeline.model_tests import TestResult
from hygiene_pipeline.night import models
from hygiene_pipeline_tests.bed import Bed

SEEN, LATER = datetime(2026, 3, 1, 9, tzinfo=UTC), datetime(2026, 3, 1, 10, tzinfo=UTC)
FIRST, LAST = date(2026, 1, 1), date(9999, 12, 31)
PHONE, NPI = "+16172530000", "1234567893"
SOUND: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "staging.ehr_patient": (
        {"ehr_patient_id": "VARCHAR", "mrn": "VARCHAR", "birth_date": "DATE", "phone": "VARCHAR"},
        {"ehr_patient_id": "p", "mrn": "M1", "birth_date": date(1980, 1, 2), "phone": PHONE},
    ),
    "staging.ehr_encounter": (
        {
            "ehr_patient_id": "VARCHAR",
            "encounter_id": "VARCHAR",
            "started_at": "TIMESTAMPTZ",
            "ended_at": "TIMESTAMPTZ",
        },
        {"ehr_patient_id": "p", "encounter_id": "e", "started_at": SEEN, "ended_at": LATER},
    ),
    "staging.pm_patient": (
        {"pm_patient_id": "VARCHAR", "mrn": "VARCHAR", "birth_date": "DATE", "phone": "VARCHAR"}
        | {"referring_provider_npi": "VARCHAR"},
        {"pm_patient_id": "p", "mrn": "M1", "birth_date": date(1980, 1, 2), "phone": PHONE}
        | {"referring_provider_npi": NPI},
    ),
    "staging.pm_coverage": (
        {"pm_patient_id": "VARCHAR", "coverage_rank": "INTEGER", "member_id": "VARCHAR"}
        | {"effective_date": "DATE", "termination_date": "DATE"},
        {
            "pm_patient_id": "p",
            "coverage_rank": 1,
            "member_id": "W1",
            "effective_date": FIRST,
            "termination_date": LAST,
        },
    ),
    "staging.pm_appointment": (
        {"appointment_id": "VARCHAR", "booked_at": "TIMESTAMPTZ", "scheduled_at": "TIMESTAMPTZ"},
        {"appointment_id": "a", "booked_at": SEEN, "scheduled_at": LATER},
    ),
    "staging.pm_referral_network": (
        {"npi": "VARCHAR", "effective_date": "DATE", "end_date": "DATE"},
        {"npi": NPI, "effective_date": FIRST, "end_date": LAST},
    ),
    "staging.crm_contact": (
        {"contact_id": "VARCHAR", "mrn": "VARCHAR", "birth_date": "DATE", "phone": "VARCHAR", "email": "VARCHAR"}
        | {"care_status": "VARCHAR"},
        {"contact_id": "c", "mrn": "M1", "birth_date": date(1980, 1, 2), "phone": PHONE, "email": "ann@example.org"}
        | {"care_status": "none"},
    ),
    "staging.phone_lookup": (
        {"phone": "VARCHAR", "checked_at": "TIMESTAMPTZ", "provider": "VARCHAR", "valid": "BOOLEAN"},
        {"phone": PHONE, "checked_at": SEEN, "provider": "x", "valid": True},
    ),
    "staging.reply": (
        {"contact_id": "VARCHAR", "received_at": "TIMESTAMPTZ", "kind": "VARCHAR", "value": "VARCHAR"},
        {"contact_id": "c", "received_at": SEEN, "kind": "confirm_phone", "value": PHONE},
    ),
}
FOUND: dict[str, tuple[str, dict[str, Any]]] = {
    "an EHR without record numbers": ("staging.ehr_patient", {"mrn": None}),
    "an EHR without birth dates": ("staging.ehr_patient", {"birth_date": None}),
    "an EHR with a birth date of another age": ("staging.ehr_patient", {"birth_date": date(1880, 1, 1)}),
    "an EHR phone that is no number": ("staging.ehr_patient", {"phone": "6172530000"}),
    "a visit that ends before it starts": ("staging.ehr_encounter", {"started_at": LATER, "ended_at": SEEN}),
    "a PM without record numbers": ("staging.pm_patient", {"mrn": None}),
    "a PM birth date of another age": ("staging.pm_patient", {"birth_date": date(1880, 1, 1)}),
    "a PM phone that is no number": ("staging.pm_patient", {"phone": "617"}),
    "a referrer who is no NPI": ("staging.pm_patient", {"referring_provider_npi": "Dr Roe"}),
    "coverage that ends before it begins": ("staging.pm_coverage", {"termination_date": date(2025, 12, 31)}),
    "coverage without member ids": ("staging.pm_coverage", {"member_id": None}),
    "a visit booked after it was": ("staging.pm_appointment", {"booked_at": LATER, "scheduled_at": SEEN}),
    "a network of no NPIs": ("staging.pm_referral_network", {"npi": "12345"}),
    "a relationship that ends before it begins": ("staging.pm_referral_network", {"end_date": date(2025, 12, 31)}),
    "a CRM without care status": ("staging.crm_contact", {"care_status": None}),
    "a CRM without record numbers": ("staging.crm_contact", {"mrn": None}),
    "a CRM birth date of another age": ("staging.crm_contact", {"birth_date": date(1880, 1, 1)}),
    "a CRM phone that is no number": ("staging.crm_contact", {"phone": "617"}),
    "emails that are none": ("staging.crm_contact", {"email": "ann at example"}),
    "a lookup of no number": ("staging.phone_lookup", {"phone": "617"}),
    "lookups that say nothing": ("staging.phone_lookup", {"valid": None}),
    "a confirmed number that is none": ("staging.reply", {"value": "617"}),
}
# Nothing is known of these, and that is no find.
UNKNOWN = {
    "staging.ehr_patient": {"phone": None},
    "staging.ehr_encounter": {"ended_at": None},
    "staging.pm_patient": {"phone": None, "birth_date": None, "referring_provider_npi": None},
    "staging.pm_coverage": {"effective_date": None, "termination_date": None},
    "staging.pm_appointment": {"booked_at": None},
    "staging.pm_referral_network": {"effective_date": None, "end_date": None},
    "staging.crm_contact": {"phone": None, "email": None, "birth_date": None},
    "staging.phone_lookup": {},
    "staging.reply": {"value": None},
}


@cache
def bed() -> Bed:
    return Bed()


def results(name: str, rows: list[dict[str, Any]]) -> tuple[TestResult, ...]:
    bed().table(name, rows, SOUND[name][0])
    return run_expectations(bed().con, models()[name], name, described(bed().con, name)).results


@cache
def finds(case: str) -> tuple[TestResult, ...]:
    """The expectations that a case's record does not meet."""
    name, change = FOUND[case]
    return tuple(each for each in results(name, [SOUND[name][1] | change]) if not each.passed)


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("kind", ["sound", "unknown", "none"])
def test_sound_records_are_no_find(name, kind):
    sound = SOUND[name][1]
    rows = {"sound": [sound], "unknown": [sound | UNKNOWN[name]], "none": []}[kind]
    assert [(each.test, each.error) for each in results(name, rows) if not each.passed] == []


@pytest.mark.parametrize("case", FOUND)
def test_a_find_is_told_and_blocks_nothing(case):
    assert [(each.failing, each.error, each.severity) for each in finds(case)] == [(1, None, "warn")]


def test_every_expectation_of_staging_is_tried_here():
    every = {
        (name, test.name)
        for name, model in models().items()
        if name.startswith("staging.")
        for test in model.every_test
        if test.type.startswith(EXPECTATION)
    }
    assert {(each.model, each.test) for case in FOUND for each in finds(case)} == every
