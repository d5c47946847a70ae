"""What a FHIR CoverageEligibilityResponse says, and which ones say nothing."""

import json
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hygiene_pipeline.pm.fhir_eligibility import read_response
from hygiene_pipeline.pm.protocol import EligibilityAnswer, Unusable
from hygiene_pipeline.policies.load import load_policies

ZONE = ZoneInfo("America/New_York")
RESPONSE = {
    "resourceType": "CoverageEligibilityResponse",
    "id": "er-1",
    "status": "active",
    "patient": {"reference": "Patient/p-1"},
    "created": "2026-02-28T23:30:00-05:00",
    "insurer": {"identifier": {"value": "12345"}, "display": "Acme Health"},
    "outcome": "complete",
    "insurance": [{"coverage": {"identifier": {"value": "M100"}}, "inforce": True}],
}


def error(*codes: str) -> list[dict[str, object]]:
    return [{"code": {"coding": [{"code": code}]}} for code in codes]


def read(resource: object) -> EligibilityAnswer | Unusable:
    return read_response(
        resource, position=3, original=json.dumps(resource), outcomes=load_policies().x12_outcomes, timezone=ZONE
    )


def test_an_answer_has_everything_a_271_gives():
    assert read(RESPONSE) == EligibilityAnswer(
        position=3,
        check_id="er-1",
        pm_patient_id="p-1",
        payer_id="12345",
        payer_name="Acme Health",
        member_id="M100",
        checked_at="2026-03-01T04:30:00+00:00",
        result="active",
        message="EB 1: active coverage",
        plan_begin=None,
        plan_end=None,
        source_format="fhir",
        evidence_ref="CoverageEligibilityResponse/er-1",
    )


RESULTS = {
    "in force": ({}, "active"),
    "not in force": ({"insurance": [{"inforce": False}]}, "inactive"),
    "one of two policies in force": ({"insurance": [{"inforce": False}, {"inforce": True}]}, "active"),
    "in force not said": ({"insurance": [{}]}, "payer_error"),
    "in force as a string is not said": ({"insurance": [{"inforce": "true"}]}, "payer_error"),
    "in force, but the period has ended": (
        {"insurance": [{"inforce": True, "benefitPeriod": {"end": "2026-02-27"}}]},
        "inactive",
    ),
    "in force on the period's last day, which is still the practice's day": (
        {"insurance": [{"inforce": True, "benefitPeriod": {"end": "2026-02-28"}}]},
        "active",
    ),
    "subscriber not found": ({"outcome": "error", "insurance": [], "error": error("75")}, "not_found"),
    "payer down": ({"outcome": "error", "insurance": [], "error": error("42")}, "payer_error"),
    "an unknown error": ({"outcome": "error", "insurance": [], "error": error("ZZ")}, "payer_error"),
    "an error without code": ({"outcome": "error", "insurance": []}, "payer_error"),
    "an error beats what it says on coverage": ({"outcome": "error", "error": error("42")}, "payer_error"),
    "queued": ({"outcome": "queued", "insurance": []}, "payer_error"),
    "nothing of a right type": ({"outcome": 1, "insurance": "x", "error": [1, {"code": 2}]}, "payer_error"),
}


@pytest.mark.parametrize(("changes", "result"), RESULTS.values(), ids=RESULTS.keys())
def test_the_result(changes, result):
    answer = read({**RESPONSE, **changes})
    assert isinstance(answer, EligibilityAnswer)
    assert answer.result == result


DETAILS = {
    "an absolute reference": ({"patient": {"reference": "https://ehr/fhir/Patient/p-2"}}, "pm_patient_id", "p-2"),
    "a versioned reference": ({"patient": {"reference": "Patient/p-2/_history/4"}}, "pm_patient_id", "p-2"),
    "a URN": ({"patient": {"reference": "urn:uuid:ab-1"}}, "pm_patient_id", "ab-1"),
    "a logical reference": ({"patient": {"identifier": {"value": "p-3"}}}, "pm_patient_id", "p-3"),
    "no patient": ({"patient": None}, "pm_patient_id", None),
    "an insurer by reference": ({"insurer": {"reference": "Organization/acme"}}, "payer_id", "acme"),
    "a contained coverage": (
        {"contained": [{"resourceType": "Coverage", "subscriberId": "M200"}]},
        "member_id",
        "M200",
    ),
    "what the payer wrote beside it": (
        {"disposition": "See new card"},
        "message",
        "EB 1: active coverage | See new card",
    ),
    "created without time is local midnight": ({"created": "2026-02-28"}, "checked_at", "2026-02-28T05:00:00+00:00"),
    "created in Zulu": ({"created": "2026-02-28T10:00:00Z"}, "checked_at", "2026-02-28T10:00:00+00:00"),
}


@pytest.mark.parametrize(("changes", "field", "value"), DETAILS.values(), ids=DETAILS.keys())
def test_a_detail(changes, field, value):
    assert getattr(read({**RESPONSE, **changes}), field) == value


UNUSABLE = {
    "another resource": ({"resourceType": "Patient"}, "not_an_eligibility_response"),
    "entered in error": ({"status": "entered-in-error"}, "not_in_effect"),
    "a draft": ({"status": "draft"}, "not_in_effect"),
    "no id": ({"id": " "}, "missing_key"),
    "no time": ({"created": None}, "bad_timestamp"),
    "only a year": ({"created": "2026"}, "bad_timestamp"),
    "a day that is not": ({"created": "2026-02-30T10:00:00Z"}, "bad_timestamp"),
    "the end of the calendar": ({"created": "9999-12-31T23:59:59-14:00"}, "bad_timestamp"),
}


@pytest.mark.parametrize(("changes", "reason"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_what_says_nothing(changes, reason):
    unusable = read({**RESPONSE, **changes})
    assert isinstance(unusable, Unusable)
    assert (unusable.reason, unusable.position) == (reason, 3)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=2)
)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from([*RESPONSE, "error", "contained"]), VALUES | st.dictionaries(st.text(), VALUES)))
def test_no_resource_breaks_the_reader(changes):
    assert read({**RESPONSE, **changes}) is not None
    assert read([changes]) is not None
