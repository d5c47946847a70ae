"""How the insurance of CRM contacts went wrong before day 0, and the eligibility answers that tell."""

import datetime as dt
from collections.abc import Callable
from random import Random

from hygiene_pipeline.demo import payers
from hygiene_pipeline.demo.clock import Clock
from hygiene_pipeline.demo.contacts import Row
from hygiene_pipeline.demo.eligibility import Answer, check
from hygiene_pipeline.demo.payers import Coverage
from hygiene_pipeline.demo.people import KnownCoverage, Person

# A flaw returns the answers that payers gave about the person, oldest first.
CoverageFlaw = Callable[[Clock, Person, Row, Random], list[Answer]]


def agreed(clock: Clock, person: Person, row: Row, rng: Random) -> list[Answer]:
    """Nothing is wrong: most were asked about within the last weeks, some long ago or never."""
    roll = rng.random()
    ago = rng.uniform(2, 80) if roll < 0.9 else rng.uniform(95, 200)
    answers = [_asked(clock, person, ago, rng)] if roll < 0.96 else []
    if rng.random() < 0.02:
        answers.append(_asked(clock, person, min(ago, 80) * 0.5, rng, is_outage=True))
    return answers


def lapsed_and_known(clock: Clock, person: Person, row: Row, rng: Random) -> list[Answer]:
    """The policy ended and the CRM already says so."""
    ended = _end(clock, person, rng.uniform(20, 70))
    if rng.random() < 0.5:
        _tell(clock, person, ended)
    row["insurance_status"] = rng.choice(("lapsed", "verify_required"))
    return [_asked(clock, person, rng.uniform(2, 15), rng)]


def coverage_inactive(clock: Clock, person: Person, row: Row, rng: Random) -> list[Answer]:
    """The payer says inactive; PM and CRM have not noticed. Two in five have a new policy elsewhere."""
    ended = _end(clock, person, rng.uniform(20, 70))
    if rng.random() < 0.4:
        _switch(clock, person, ended + dt.timedelta(days=1), rng)
    return [_asked(clock, person, rng.uniform(2, 15), rng)]


def subscriber_not_found(clock: Clock, person: Person, row: Row, rng: Random) -> list[Answer]:
    """A new card with another member id; the payer no longer knows the one that everybody has."""
    _new_card(clock, person, rng)
    return [_asked(clock, person, rng.uniform(2, 15), rng)]


def coverage_terminated(clock: Clock, person: Person, row: Row, rng: Random) -> list[Answer]:
    """PM knows the last day; the CRM still shows active."""
    ended = _end(clock, person, rng.uniform(3, 60))
    _tell(clock, person, ended)
    return []


def payer_mismatch(clock: Clock, person: Person, row: Row, rng: Random) -> list[Answer]:
    """Another payer, half of them since the new year; PM knows."""
    first = dt.date(clock.start.year, 1, 1)
    if rng.random() < 0.5 or first > clock.start - dt.timedelta(days=2):
        first = clock.start - dt.timedelta(days=rng.randrange(5, 120))
    person.coverages[-1].terminated = first - dt.timedelta(days=1)
    _switch(clock, person, first, rng)
    _learn(clock, person, first)
    return [_asked(clock, person, rng.uniform(0.5, 2), rng)]


def member_id_mismatch(clock: Clock, person: Person, row: Row, rng: Random) -> list[Answer]:
    """A new card of the same payer; PM has copied it."""
    first = _new_card(clock, person, rng)
    _learn(clock, person, first)
    return [_asked(clock, person, rng.uniform(2, 15), rng)]


def status_mismatch(clock: Clock, person: Person, row: Row, rng: Random) -> list[Answer]:
    """The CRM shows lapsed; the payer has said active since."""
    row["insurance_status"] = rng.choice(("lapsed", "verify_required"))
    row["last_modified"] = clock.text(clock.midnight(0) - dt.timedelta(days=rng.uniform(60, 200)))
    return [_asked(clock, person, rng.uniform(2, 40), rng)]


def switched_unseen(clock: Clock, person: Person, row: Row, rng: Random) -> list[Answer]:
    """Another payer since the new year, and nobody has been told yet."""
    first = dt.date(clock.start.year, 1, 1)
    person.coverages[-1].terminated = first - dt.timedelta(days=1)
    answers = [_asked(clock, person, rng.uniform(10, 60), rng)]
    _switch(clock, person, first, rng)
    return answers


EVIDENT: tuple[tuple[str, CoverageFlaw, float], ...] = (
    ("coverage_inactive", coverage_inactive, 0.014),
    ("subscriber_not_found", subscriber_not_found, 0.004),
    ("coverage_terminated", coverage_terminated, 0.010),
    ("payer_mismatch", payer_mismatch, 0.014),
    ("member_id_mismatch", member_id_mismatch, 0.009),
    ("status_mismatch", status_mismatch, 0.005),
)
UNSEEN: tuple[tuple[str, CoverageFlaw, float], ...] = (("switched_unseen", switched_unseen, 0.025),)


def _asked(clock: Clock, person: Person, days_ago: float, rng: Random, *, is_outage: bool = False) -> Answer:
    at = clock.midnight(0) - dt.timedelta(days=days_ago)
    return check(person, at, clock=clock, rng=rng, is_outage=is_outage)


def _end(clock: Clock, person: Person, days_ago: float) -> dt.date:
    ended = clock.start - dt.timedelta(days=int(days_ago))
    person.coverages[-1].terminated = ended
    return ended


def _tell(clock: Clock, person: Person, ended: dt.date) -> None:
    """PM writes the last day into its row."""
    known = person.known_coverages[-1]
    known.terminated = ended
    known.updated_at = max(known.updated_at, clock.at(ended + dt.timedelta(days=1), hour=11))


def _switch(clock: Clock, person: Person, first: dt.date, rng: Random) -> None:
    old = person.coverages[-1].payer
    person.coverages.append(payers.new_coverage(rng, first, age=person.age(clock.start), but_not=old))


def _new_card(clock: Clock, person: Person, rng: Random) -> dt.date:
    old = person.coverages[-1]
    first = clock.start - dt.timedelta(days=rng.randrange(20, 70))
    old.terminated = first - dt.timedelta(days=1)
    person.coverages.append(Coverage(old.payer, payers.member_id(old.payer, rng), old.plan, first))
    return first


def _learn(clock: Clock, person: Person, first: dt.date) -> None:
    """PM ends its old row and adds the new policy, a day after it began."""
    at = clock.at(first + dt.timedelta(days=1), hour=10)
    old, new = person.known_coverages[-1], person.coverages[-1]
    old.terminated, old.updated_at = first - dt.timedelta(days=1), max(old.updated_at, at)
    person.known_coverages.append(KnownCoverage(new, new.member_id, new.effective, new.terminated, at))
