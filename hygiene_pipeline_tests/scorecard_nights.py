"""A warehouse with three measured nights, for the scorecard and the report."""

from datetime import datetime, timedelta
from math import inf

from hygiene_pipeline.scorecard_records import Detector
from hygiene_pipeline_tests.bed import Bed

FIRST = datetime.fromisoformat("2026-01-05T07:00:00+00:00")
NIGHTS = [FIRST, FIRST + timedelta(days=30), FIRST + timedelta(days=60)]
DETECTORS = (
    Detector(detector="phone", true_positives=95, false_positives=5, false_negatives=20, unseen=15, harm=0),
    Detector(detector="care", true_positives=0, false_positives=0, false_negatives=0, unseen=0, harm=2),
)
BANDS = (
    ("contact_validity_rate", "share", True, 0.90, 0.75),
    ("insurance_status_accuracy", "share", True, 0.95, 0.80),
    ("care_status_sync_lag_hours", "hours", False, 24.0, 72.0),
    ("stale_record_rate", "share", False, 0.08, 0.25),
    ("phone_validation_cadence_days", "days", False, 31.0, 100.0),
)
VALUES = {
    "contact_validity_rate": [(0.61, "poor"), (0.8712, "acceptable"), (0.93, "target")],
    "insurance_status_accuracy": [(None, "no_data"), (0.9, "acceptable"), (0.96, "target")],
    "care_status_sync_lag_hours": [(200.0, "poor"), (30.0, "acceptable"), (3.5, "target")],
    "stale_record_rate": [(0.28, "poor"), (0.1, "acceptable"), (0.06, "target")],
    "phone_validation_cadence_days": [(inf, "poor"), (16.5, "target"), (15.0, "target")],
}
STALE = {
    "phone": [640, 200, 96],
    "insurance": [160, 90, 50],
    "care": [90, 30, 20],
    "referring_provider": [60, 50, 40],
    "any": [896, 320, 192],
}
ASKING = [
    {"share_asked": 0.5 + place / 10, "share_known": 0.4 + place / 10, "median_answer_age_days": 60.0 - place}
    for place in range(3)
]
MEASURED = {
    "metrics.benchmark": "as_of timestamptz, metric varchar, value double, numerator bigint, denominator bigint,"
    " unit varchar, grade varchar, target double",
    "metrics.stale_rate": "as_of timestamptz, staleness_type varchar, contacts bigint, stale bigint, rate double",
    "metrics.sync_lag": "as_of timestamptz, stage varchar, p95_hours double",
    "metrics.coverage_of_asking": "as_of timestamptz, share_asked double, share_known double,"
    " median_answer_age_days double",
    "metrics.roi": "as_of timestamptz, wasted_per_month double, annual_waste double, hygiene_cost double,"
    " net_annual_saving double",
    "metrics.phone_cost": "as_of timestamptz, lookups bigint, spent_usd double, spent_in_month_usd double,"
    " budget_usd double, corrected_numbers bigint, usd_per_corrected_number double",
    "metrics.queue": "as_of timestamptz, tier integer, assignee varchar, open_issues bigint, overdue bigint",
}


def measured_bed() -> Bed:
    """Three nights measured, with lookups, messages and corrections between them."""
    bed = Bed()
    bed.clock(NIGHTS[-1].isoformat())
    bands = ("metric", "unit", "higher_is_better", "target", "acceptable_from")
    bed.policies(benchmark_policy=[dict(zip(bands, row, strict=True)) for row in BANDS])
    for table, columns in MEASURED.items():
        bed.con.execute(f"create table {table} ({columns})")
    for place, as_of in enumerate(NIGHTS):
        bed.add("metrics.benchmark", [_benchmark(as_of, place, *band) for band in BANDS])
        rates = [
            {"as_of": as_of, "staleness_type": name, "contacts": 3200, "stale": counts[place]}
            for name, counts in STALE.items()
        ]
        bed.add("metrics.stale_rate", [{**row, "rate": row["stale"] / 3200} for row in rates])
        bed.add("metrics.sync_lag", [{"as_of": as_of, "stage": "total", "p95_hours": 12.0 * (3 - place)}])
        bed.add("metrics.coverage_of_asking", [{"as_of": as_of, **ASKING[place]}])
    bed.add("metrics.roi", [_roi(NIGHTS[0], 627.2, 7526.4, 3326.4), _roi(NIGHTS[2], 134.4, 1612.8, -2587.2)])
    queue = [(1, "coordinator-1", 4, 1), (3, "coordinator-1", 1200, 0), (2, "billing-1", 7, 7)]
    keys = ("tier", "assignee", "open_issues", "overdue")
    bed.add("metrics.queue", [{"as_of": NIGHTS[2], **dict(zip(keys, row, strict=True))} for row in queue])
    return bed


def lay_activity(bed: Bed) -> None:
    """Messages and corrections on each side of the second night, and what lookups cost up to it and after."""
    at = [FIRST + timedelta(days=day) for day in (1, 40)]
    spent = [(NIGHTS[1], 100, 1.5, 1.5, None, 0, None), (NIGHTS[2], 200, 3.0, 1.25, 25.0, 40, 0.075)]
    columns = ("as_of", "lookups", "spent_usd", "spent_in_month_usd", "budget_usd", "corrected_numbers")
    keys = (*columns, "usd_per_corrected_number")
    bed.add("metrics.phone_cost", [dict(zip(keys, row, strict=True)) for row in spent])
    sent = [{"state": "sent", "sent_at": each, "planned_at": each} for each in at]
    bed.table("sync.message", [*sent, {"state": "suppressed", "planned_at": at[0]}, {"state": "planned"}])
    applied = [{"state": "applied", "applied_at": each} for each in at]
    bed.table("sync.crm_change", [*applied, {"state": "conflict"}, {"state": "undone", "applied_at": at[0]}])


def _benchmark(
    as_of: datetime, place: int, metric: str, unit: str, _higher: bool, target: float, _acceptable: float
) -> dict[str, object]:
    value, grade = VALUES[metric][place]
    counted = {"numerator": 10, "denominator": 20, "unit": unit, "target": target}
    return {"as_of": as_of, "metric": metric, "value": value, "grade": grade, **counted}


def _roi(as_of: datetime, month: float, year: float, net: float) -> dict[str, object]:
    return {
        "as_of": as_of,
        "wasted_per_month": month,
        "annual_waste": year,
        "hygiene_cost": 4200.0,
        "net_annual_saving": net,
    }
