"""What the strict judge of FHIR resources says, field and reason, and never a value."""

from typing import Any

import pytest

from hygiene_pipeline.ehr.fhir_judge import Fault, is_resource_type, judge

PATIENT = {"resourceType": "Patient", "id": "p1"}


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param({}, id="the least there can be"),
        pytest.param({"birthDate": "1970-03"}, id="a partial date"),
        pytest.param(
            {"_birthDate": {"extension": [{"url": "x", "valueString": "y"}]}}, id="an extension of a primitive"
        ),
        pytest.param({"deceasedDateTime": "2026-01-05T10:00:00-05:00"}, id="a time with an offset"),
        pytest.param({"telecom": [{"system": "phone", "value": "617-253-0000", "rank": 1}]}, id="a telecom"),
    ],
)
def test_a_sound_patient_has_no_fault(extra: dict[str, Any]) -> None:
    assert judge({**PATIENT, **extra}) is None


@pytest.mark.parametrize(
    ("extra", "field", "reason"),
    [
        pytest.param({"active": "true"}, "active", "wrong_type", id="a boolean spelt as text"),
        pytest.param({"active": "yes"}, "active", "wrong_type", id="a word for a boolean"),
        pytest.param({"multipleBirthInteger": "2"}, "multipleBirthInteger", "wrong_type", id="a number spelt as text"),
        pytest.param({"name": "Ada"}, "name", "wrong_type", id="a name that is no list"),
        pytest.param(
            {"telecom": [{"value": 6172530000}]}, "telecom.value", "wrong_type", id="a phone that is a number"
        ),
        pytest.param({"contained": [{"resourceType": "x"}]}, "", "fails_fhir", id="a contained resource of no type"),
        pytest.param({"telecom": [{"rank": "1"}]}, "telecom.rank", "wrong_type", id="a rank spelt as text"),
        pytest.param({"deceasedDateTime": 20260105}, "deceasedDateTime", "wrong_type", id="a time that is a number"),
        pytest.param({"id": "x" * 65}, "id", "invalid_id", id="an id of 65 characters"),
        pytest.param({"gender": "F"}, "gender", "unknown_code", id="a gender of no list"),
        pytest.param(
            {"telecom": [{"system": "mobile"}]}, "telecom.system", "unknown_code", id="a nested code of no list"
        ),
        pytest.param({"birthDate": "1970-02-30"}, "birthDate", "invalid_date", id="the thirtieth of February"),
        pytest.param(
            {"meta": {"lastUpdated": "2026"}}, "meta.lastUpdated", "invalid_date", id="an instant without a time"
        ),
        pytest.param({"favouriteColour": "blue"}, "favouriteColour", "fails_fhir", id="an element FHIR does not have"),
        pytest.param({"resourceType": "HumanName"}, "resourceType", "unknown_resource_type", id="a data type"),
        pytest.param({"resourceType": None}, "resourceType", "missing_resource_type", id="no resource type"),
    ],
)
def test_a_fault_is_named_by_field_and_reason(extra: dict[str, Any], field: str, reason: str) -> None:
    assert judge({**PATIENT, **extra}) == Fault(field=field, reason=reason)


def test_a_status_is_checked_even_where_the_library_knows_only_some_codes() -> None:
    encounter = {"resourceType": "Encounter", "id": "e1", "class": {"code": "AMB"}}
    assert judge({**encounter, "status": "unknown"}) is None
    assert judge({**encounter, "status": "gone"}) == Fault(field="status", reason="unknown_code")


def test_only_resources_are_resource_types() -> None:
    assert [name for name in ("Patient", "Medication", "HumanName", "Nonsense") if is_resource_type(name)] == [
        "Patient",
        "Medication",
    ]
