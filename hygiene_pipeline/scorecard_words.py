"""How the figures of a scorecard are put into words, alike on the terminal and on the page."""

from math import isinf
from typing import Final

from hygiene_pipeline.scorecard_records import Measure, PhoneCost

METRIC: Final = {
    "contact_validity_rate": "contact validity",
    "insurance_status_accuracy": "insurance status accuracy",
    "care_status_sync_lag_hours": "care status sync lag",
    "stale_record_rate": "stale records",
    "phone_validation_cadence_days": "phone validation cadence",
}
STALE: Final = {
    "phone": "phone",
    "insurance": "insurance",
    "care": "care status",
    "referring_provider": "referring provider",
    "any": "any of them",
}
NOTHING: Final = "-"


def share(value: float | None) -> str:
    """A rate as per cent with one decimal."""
    return NOTHING if value is None else f"{100 * value:.1f} %"


def hours(value: float | None) -> str:
    """A lag in hours."""
    return NOTHING if value is None else f"{value:,.1f} h"


def days(value: float | None) -> str:
    """An age in days; infinite is never."""
    if value is None:
        return NOTHING
    return "never" if isinf(value) else f"{value:,.1f} d".replace(".0 d", " d")


def money(value: float | None) -> str:
    """US dollars, cents only where there are some."""
    if value is None:
        return NOTHING
    sign = "-" if value < 0 else ""
    return f"{sign}${abs(value):,.2f}".removesuffix(".00")


def month_cost(cost: PhoneCost) -> str:
    """What a month's lookups cost, and of what budget if there is one."""
    limit = f" of {money(cost.budget_usd)}" if cost.budget_usd is not None else ""
    return f"{money(cost.spent_in_month_usd)}{limit}"


def grade_word(grade: str) -> str:
    """A grade as a person says it."""
    return grade.replace("_", " ")


def measure_value(measure: Measure) -> str:
    """The value of a benchmark in its unit."""
    return _in_unit(measure.value, measure.unit)


def target(measure: Measure) -> str:
    """Where the best band of a benchmark lies."""
    return bands(measure)[2]


def bands(measure: Measure) -> tuple[str, str, str]:
    """Poor, acceptable and target as they are graded: without gaps, the worse name between two published bands."""
    limit = _round_in_unit(measure.acceptable_from, measure.unit)
    best = _round_in_unit(measure.target, measure.unit)
    if measure.higher_is_better:
        return f"< {limit}", f"{limit} to {best}", f"≥ {best}"
    return f"> {limit}", f"{best} to {limit}", f"{'≤' if measure.unit == 'days' else '<'} {best}"


def _in_unit(value: float | None, unit: str) -> str:
    return {"hours": hours, "days": days}.get(unit, share)(value)


def _round_in_unit(value: float, unit: str) -> str:
    return _in_unit(value, unit).replace(".0 ", " ")
