"""Eligibility checks: what a payer answers about the policy that the practice has on file."""

import datetime as dt
from dataclasses import dataclass
from random import Random

from hygiene_pipeline.demo.clock import Clock
from hygiene_pipeline.demo.payers import Coverage
from hygiene_pipeline.demo.people import Person


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One answer; `result` is active, inactive, not_found or payer_error, `code` the X12 code behind it."""

    check_id: str
    person: Person
    coverage: Coverage
    member_id: str
    checked_at: dt.datetime
    result: str
    code: str
    message: str


def check(person: Person, at: dt.datetime, *, clock: Clock, rng: Random, is_outage: bool = False) -> Answer:
    """Ask the payer about the policy on file in PM."""
    known = person.known_coverages[-1]
    result = "payer_error" if is_outage else _standing(person, known.coverage, clock.local(at).date())
    code, message = {
        "active": ("1", "Active coverage"),
        "inactive": ("6", "Inactive"),
        "not_found": ("75", "Subscriber/insured not found"),
        "payer_error": rng.choice((("42", "Unable to respond at current time"), ("80", "No response received"))),
    }[result]
    return Answer(
        check_id=f"{person.index:06d}T{int(at.timestamp())}",
        person=person,
        coverage=known.coverage,
        member_id=known.member_id,
        checked_at=at,
        result=result,
        code=code,
        message=message,
    )


def _standing(person: Person, coverage: Coverage, date: dt.date) -> str:
    """A payer that issued a new card no longer knows the old member id; otherwise the dates decide."""
    if coverage.in_force(date):
        return "active"
    current = person.coverage_on(date)
    if current is not None and current.payer is coverage.payer and current.effective > coverage.effective:
        return "not_found"
    return "inactive"
