"""What lookups cost a month and for each corrected number."""

from datetime import date, datetime
from typing import Any

import pytest

from hygiene_pipeline_tests.bed import Bed

AS_OF = "2026-03-20T07:00:00Z"


def lookup(at: str, cost: float = 0.015, provider: str = "files", **answer: Any) -> dict[str, Any]:
    nothing = {"line_status": "unknown", "reassigned": "no_data_available"}
    return {"phone": "+16172530001", "checked_at": at, "provider": provider, "cost_usd": cost, **nothing, **answer}


def issue(state: str, resolved_by: str | None = None, kind: str = "phone") -> dict[str, Any]:
    return {"staleness_type": kind, "state": state, "resolved_by": resolved_by}


def cost_bed(lookups: list[dict[str, Any]], budget: float | None = None) -> Bed:
    bed = Bed()
    bed.clock(AS_OF)
    bed.policies(phone=[{"monthly_budget_usd": budget, "lookup_price_usd": 0.015}])
    bed.table("staging.phone_lookup", lookups)
    return bed


def test_an_account_has_a_row_for_each_month_of_the_practice_and_provider() -> None:
    bed = cost_bed(
        [
            lookup("2026-02-10T12:00:00Z", valid=True),
            # Still February in New York.
            lookup("2026-03-01T04:59:00Z"),
            lookup("2026-03-01T05:00:00Z", line_type="mobile"),
            lookup("2026-03-19T07:00:00Z", 0.028, "twilio", line_status="active"),
            lookup("2026-03-20T07:00:00Z", 0.0, "twilio"),
            lookup("2026-03-21T07:00:00Z", 5.0),
        ],
        budget=1.0,
    )
    calls = [("lost", "2026-03-19T07:00:00Z"), ("failed", "2026-03-19T07:00:00Z"), ("lost", "2026-03-21T07:00:00Z")]
    bed.table(
        "sync.phone_lookup_call",
        [{"provider": "twilio", "asked_at": at, "state": state, "cost_usd": 0.035} for state, at in calls],
    )
    bed.build("metrics.phone_spend")
    rows = bed.rows("from metrics.phone_spend order by month, provider")
    assert [tuple(row.values()) for row in rows] == [
        (date(2026, 2, 1), "files", 2, 1, 0.03, 1.0, 0.97),
        (date(2026, 3, 1), "files", 1, 1, 0.015, 1.0, 0.922),
        (date(2026, 3, 1), "twilio", 3, 1, 0.063, 1.0, 0.922),
    ]
    assert bed.failures("metrics.phone_spend") == {}


def test_a_corrected_number_costs_what_all_lookups_cost() -> None:
    bed = cost_bed([lookup("2026-02-10T12:00:00Z", 0.5), lookup("2026-03-10T12:00:00Z", 0.25)], budget=12.5)
    bed.table(
        "hygiene.issue",
        [
            issue("resolved", "phone verified by lookup"),
            issue("resolved", "phone never_verified"),
            issue("resolved", "contact made inactive"),
            issue("resolved", "contact no longer in the CRM"),
            issue("resolved", "insurance verified", "insurance"),
            issue("open"),
            issue("reopened"),
        ],
        {"resolved_by": "VARCHAR"},
    )
    bed.build("metrics.phone_spend", "metrics.phone_cost")
    (row,) = bed.rows("from metrics.phone_cost")
    assert row == {
        "as_of": datetime.fromisoformat(AS_OF),
        "month": date(2026, 3, 1),
        "lookups_in_month": 1,
        "spent_in_month_usd": 0.25,
        "budget_usd": 12.5,
        "lookups": 2,
        "spent_usd": 0.75,
        "corrected_numbers": 2,
        "usd_per_corrected_number": pytest.approx(0.375),
    }


def test_nothing_asked_costs_nothing_and_has_no_price() -> None:
    bed = cost_bed([])
    bed.table("hygiene.issue", [], {"resolved_by": "VARCHAR"})
    bed.build("metrics.phone_spend", "metrics.phone_cost")
    assert bed.rows("from metrics.phone_spend") == []
    (row,) = bed.rows("from metrics.phone_cost")
    assert (row["lookups"], row["spent_usd"], row["usd_per_corrected_number"], row["budget_usd"]) == (0, 0, None, None)
