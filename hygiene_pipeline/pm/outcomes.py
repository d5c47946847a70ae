"""What a payer's codes say about coverage, by the policy `x12_outcomes`. Knows no file format."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from hygiene_pipeline.pm.protocol import Result


class Outcome(BaseModel):
    """What one code says, and how to say it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    result: Result
    text: str


class Outcomes(BaseModel):
    """The table of codes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    service_type: str
    benefits: dict[str, Outcome]
    rejections: dict[str, Outcome]
    follow_ups: dict[str, str]
    plan_dates: dict[str, Literal["begin", "end"]]
    benefit_dates: dict[str, Literal["begin", "end"]]


class Benefit(NamedTuple):
    """One EB: its code, the service types it is about, the period it holds for, and what the payer wrote beside it."""

    code: str
    service_types: tuple[str, ...]
    begin: date | None = None
    end: date | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """One AAA: its reason code, what to do next, and at which level it was given."""

    code: str
    follow_up: str
    level: str


def decide(
    outcomes: Outcomes, benefits: Sequence[Benefit], rejections: Sequence[Rejection], *, on: date
) -> tuple[Result, str] | None:
    """The result and its explanation for one person on the day of asking; None if nothing was said at all.

    Any coverage in force makes the person covered: an old plan beside it may well be inactive.
    """
    spoken = [_spoken(outcomes, each, on) for each in benefits if outcomes.service_type in each.service_types]
    said = [each for each in spoken if each is not None]
    for result in ("active", "inactive"):
        for outcome, text in said:
            if outcome == result:
                return outcome, text
    if rejections:
        return _rejected(outcomes, rejections)
    if said:
        return said[0]
    if benefits:
        return "payer_error", f"no benefit of service type {outcomes.service_type} in the answer"
    return None


def _spoken(outcomes: Outcomes, benefit: Benefit, on: date) -> tuple[Result, str] | None:
    outcome = outcomes.benefits.get(benefit.code)
    if outcome is None:
        return None
    result, text = outcome.result, f"EB {benefit.code}: {outcome.text}"
    if result == "active" and benefit.end is not None and benefit.end < on:
        result, text = "inactive", f"{text}, but the plan has ended"
    elif result == "active" and benefit.begin is not None and benefit.begin > on:
        result, text = "payer_error", f"{text}, but the plan has not begun"
    return result, " | ".join([text, *benefit.notes])


def _rejected(outcomes: Outcomes, rejections: Sequence[Rejection]) -> tuple[Result, str]:
    """Only if every rejection says that the person is not known is the person not known."""
    known = [outcomes.rejections.get(each.code) for each in rejections]
    is_not_found = all(outcome is not None and outcome.result == "not_found" for outcome in known)
    texts = [
        f"AAA {' '.join(filter(None, (each.code, each.follow_up)))} ({each.level}):"
        f" {outcome.text if outcome else 'code not known'}"
        + (f"; {outcomes.follow_ups[each.follow_up]}" if each.follow_up in outcomes.follow_ups else "")
        for each, outcome in zip(rejections, known, strict=True)
    ]
    return "not_found" if is_not_found else "payer_error", " | ".join(texts)
