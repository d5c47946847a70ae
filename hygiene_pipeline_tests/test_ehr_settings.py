"""How a practice file describes its EHR's export: what a vendor cannot do is refused, what it wants is the default."""

from typing import Any

import pytest
from pydantic import ValidationError

from hygiene_pipeline.landing.fhir_schemas import RESOURCES
from hygiene_pipeline.settings.ehr import READ_TYPES, SmartBulk

GROUP = {"level": "group", "group": "g1"}


def settings(**changes: Any) -> SmartBulk:
    return SmartBulk.model_validate({"kind": "smart_bulk", "base_url": "https://ehr.example/r4", **changes})


@pytest.mark.parametrize(
    ("changes", "key", "told"),
    [
        pytest.param({"vendor": "epic"}, "level", "Epic exports; allowed: group", id="all patients of Epic"),
        pytest.param({"vendor": "Oracle_Health", "level": "system"}, "level", "Oracle Health", id="all of Oracle"),
        pytest.param({"level": "group"}, "group", "goes with level: group", id="a group without its id"),
        pytest.param({"group": "g1"}, "group", "goes with level: group", id="a group's id without the level"),
        pytest.param({"base_url": "http://ehr.example"}, "base_url", "in clear; allowed: https", id="in clear"),
        pytest.param({"token_url": "http://ehr.example"}, "token_url", "in clear", id="token in clear"),
        pytest.param(
            {"vendor": "athenahealth", **GROUP, "type_filters": ["Patient?active=true"]},
            "type_filters",
            "are not taken by athenahealth",
            id="filters at athenahealth",
        ),
        pytest.param({"types": ["patient"]}, "types", "pattern", id="a type in lower case"),
        pytest.param({"algorithm": "RS256"}, "algorithm", "RS384", id="another algorithm"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], key: str, told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(**changes)
    [error] = caught.value.errors()
    assert error["loc"][0] == key
    assert told in error["msg"]


@pytest.mark.parametrize(
    ("vendor", "is_incremental", "is_lenient", "seconds"),
    [("epic", False, False, 1800), ("oracle_health", True, True, 1800), ("athenahealth", True, False, 600)],
)
def test_what_is_known_of_a_vendor(vendor: str, is_incremental: bool, is_lenient: bool, seconds: float) -> None:
    known = settings(vendor=vendor, **GROUP).known
    assert (known.is_incremental, known.is_lenient, known.longest_wait_seconds) == (is_incremental, is_lenient, seconds)


def test_a_server_on_this_machine_needs_no_certificate() -> None:
    assert settings(base_url="http://127.0.0.1:8000/r4").known.called == "this server"


def test_what_is_asked_for_is_what_is_read() -> None:
    assert {*READ_TYPES, "Bundle"} == set(RESOURCES)
