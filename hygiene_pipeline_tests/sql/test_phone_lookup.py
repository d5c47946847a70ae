"""Lookups from files and from our own calls in one table."""

from datetime import datetime
from typing import Any

import pytest

from hygiene_pipeline_tests.bed import Bed

NIGHTS = [datetime.fromisoformat(f"2026-03-{day:02}T07:00:00+00:00") for day in (1, 2, 3)]
PHONE, OTHER = "+16172530001", "+16172530002"


@pytest.fixture
def bed() -> Bed:
    laid = Bed()
    laid.raw()
    laid.policies(phone=[{"lookup_price_usd": 0.015}])
    laid.clock(NIGHTS[1].isoformat())
    laid.table("staging.phone_number", [{"raw": "(617) 253-0001", "e164": PHONE}])
    return laid


def call(no: int, state: str, **columns: Any) -> dict[str, Any]:
    return {
        "call_no": no,
        "phone": PHONE,
        "provider": "twilio",
        "asked_at": NIGHTS[1],
        "state": state,
        "cost_usd": 0.015,
        **columns,
    }


def lookups(bed: Bed) -> list[dict[str, Any]]:
    bed.build("staging.phone_lookup")
    return bed.rows("from staging.phone_lookup order by phone, checked_at, provider")


def test_a_file_and_our_own_call_stand_side_by_side(bed: Bed) -> None:
    bought = {"phone": "(617) 253-0001", "checked_at": NIGHTS[0], "valid": True, "extracted_at": NIGHTS[1]}
    bed.table("raw.phone_lookups", [{**bought, "provider": "CarrierLink", "line_type": "Mobile"}])
    answer = {"valid": True, "line_type": "fixedVoip", "line_status": "reachable", "reassigned": "no"}
    bed.table("sync.phone_lookup_call", [call(1, "answered", **answer, cost_usd=0.035)])
    unknown = {"line_status": "unknown", "reassigned": "no_data_available"}
    assert lookups(bed) == [
        {
            "phone": PHONE,
            "checked_at": NIGHTS[0],
            "valid": True,
            "line_type": "mobile",
            **unknown,
            "provider": "carrierlink",
            "cost_usd": 0.015,
        },
        {
            "phone": PHONE,
            "checked_at": NIGHTS[1],
            **answer,
            "line_type": "fixedvoip",
            "provider": "twilio",
            "cost_usd": 0.035,
        },
    ]
    assert bed.failures("staging.phone_lookup") == {}


STATES = {"answered": 1, "refused": 1, "failed": 1, "asked": 0, "unasked": 0, "lost": 0}


@pytest.mark.parametrize(("state", "rows"), STATES.items())
def test_what_was_tried_is_known_and_what_never_came_to_an_end_is_not(bed: Bed, state: str, rows: int) -> None:
    bed.table("sync.phone_lookup_call", [call(1, state)])
    found = lookups(bed)
    assert len(found) == rows
    for row in found:
        assert (row["valid"], row["line_status"], row["reassigned"]) == (None, "unknown", "no_data_available")


def test_the_last_try_of_a_night_stands_and_later_nights_are_not_seen(bed: Bed) -> None:
    calls = [
        call(1, "failed", cost_usd=0.0),
        call(2, "answered", line_status="inactive"),
        call(3, "answered", phone=OTHER, asked_at=NIGHTS[2]),
    ]
    bed.table("sync.phone_lookup_call", calls)
    assert [(row["phone"], row["line_status"]) for row in lookups(bed)] == [(PHONE, "inactive")]
