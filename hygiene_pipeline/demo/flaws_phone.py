"""How phone numbers of CRM contacts went wrong before day 0, by the reason that finds them."""

import datetime as dt
from collections.abc import Callable
from random import Random

from hygiene_pipeline.demo import phones
from hygiene_pipeline.demo.clock import DAY
from hygiene_pipeline.demo.contacts import Row
from hygiene_pipeline.demo.people import Person
from hygiene_pipeline.demo.phones import as_typed
from hygiene_pipeline.demo.population import Land, change_number, settle

Flaw = Callable[[Land, Person, Row, Random], None]


def disconnected(land: Land, person: Person, row: Row, rng: Random) -> None:
    """The patient got another number since; neither EHR nor PM heard of it."""
    _leave(land, person, rng, days_ago=rng.uniform(4, 300))
    row["last_phone_verified"] = ""


def reassigned(land: Land, person: Person, row: Row, rng: Random) -> None:
    """As `disconnected`, and a stranger has the number by now."""
    old = person.number.now
    left_at = _leave(land, person, rng, days_ago=rng.uniform(130, 400))
    back_by = land.clock.midnight(0) - 8 * DAY
    land.carriers.subscriptions[old].reassigned_at = left_at + (back_by - left_at) * rng.uniform(0.4, 0.95)
    row["last_phone_verified"] = ""


def superseded(land: Land, person: Person, row: Row, rng: Random) -> None:
    """EHR or PM was told of the new number; the CRM still has the old one."""
    told_at = _told_at(person)
    first, last = person.number.changed_at, max(told_at)
    left_at = first + (last - first) * rng.uniform(0.4, 0.95)
    change_number(land, person, left_at, rng)
    settle(land, person, rng, told_at=told_at)
    verified = first + (left_at - first) * rng.uniform(0.3, 0.9)
    row["last_phone_verified"] = land.clock.text(verified) if rng.random() < 0.4 else ""


def landline(land: Land, person: Person, row: Row, rng: Random) -> None:
    """The CRM texts to a landline."""
    land.carriers.subscriptions[person.number.now].line_type = "landline"
    row.update(preferred_channel="sms", sms_opt_out="false", last_phone_verified="")


def placeholder(land: Land, person: Person, row: Row, rng: Random) -> None:
    """Somebody had to type something."""
    row.update(phone=rng.choice(phones.PLACEHOLDERS), last_phone_verified="")


def missing(land: Land, person: Person, row: Row, rng: Random) -> None:
    """No number at all."""
    row.update(phone="", last_phone_verified="")


def invalid(land: Land, person: Person, row: Row, rng: Random) -> None:
    """A digit too few, a digit too many, or words."""
    row.update(phone=phones.not_a_number(person.number.now, rng), last_phone_verified="")


def mistyped(land: Land, person: Person, row: Row, rng: Random) -> None:
    """Swapped or wrong digits; EHR and PM have the right ones."""
    row.update(phone=as_typed(phones.mistyped(person.number.now, rng), rng), last_phone_verified="")


def mistyped_unseen(land: Land, person: Person, row: Row, rng: Random) -> None:
    """Swapped digits that reach a stranger and were ticked off as verified after EHR and PM last asked."""
    while True:
        wrong = phones.mistyped(person.number.now, rng)
        if not phones.is_unassigned(wrong):
            break
    verified = land.clock.midnight(0) - dt.timedelta(days=rng.uniform(3, 25))
    settle(land, person, rng, told_at=_before(person, verified - 3 * DAY))
    row.update(phone=as_typed(wrong, rng), last_phone_verified=land.clock.text(verified))


def moved_on_unseen(land: Land, person: Person, row: Row, rng: Random) -> None:
    """Verified some weeks ago, given up since: nobody has asked the carrier again."""
    start = land.clock.midnight(0)
    verified = max(start - dt.timedelta(days=rng.uniform(35, 85)), person.number.changed_at + DAY)
    left_at = start - dt.timedelta(days=rng.uniform(4, 20))
    settle(land, person, rng, told_at=_before(person, verified))
    change_number(land, person, left_at, rng)
    row["last_phone_verified"] = land.clock.text(verified)


# Flaw, share of active contacts, whether it needs a number that nobody shares.
EVIDENT: tuple[tuple[str, Flaw, float, bool], ...] = (
    ("disconnected", disconnected, 0.057, True),
    ("reassigned", reassigned, 0.022, True),
    ("superseded", superseded, 0.044, True),
    ("landline_converted", landline, 0.016, True),
    ("placeholder", placeholder, 0.013, False),
    ("missing", missing, 0.014, False),
    ("invalid_format", invalid, 0.010, False),
    ("mistyped", mistyped, 0.006, False),
)
UNSEEN: tuple[tuple[str, Flaw, float, bool], ...] = (
    ("mistyped_unseen", mistyped_unseen, 0.005, True),
    ("moved_on_unseen", moved_on_unseen, 0.006, True),
)


def can_move_on(land: Land, person: Person) -> bool:
    """Whether a change of number can be told of this person alone, and has room before day 0."""
    return not person.shares_number and person.number.changed_at < land.clock.midnight(0) - 90 * DAY


def _leave(land: Land, person: Person, rng: Random, *, days_ago: float) -> dt.datetime:
    left_at = max(land.clock.midnight(0) - dt.timedelta(days=days_ago), person.number.changed_at + 20 * DAY)
    settle(land, person, rng, told_at=_before(person, left_at - 3 * DAY))
    change_number(land, person, left_at, rng)
    return left_at


def _told_at(person: Person) -> tuple[dt.datetime, dt.datetime]:
    if person.ehr is None or person.pm is None:
        raise ValueError("a flaw needs a patient whom EHR and PM know")
    return person.ehr.confirmed_at, person.pm.confirmed_at


def _before(person: Person, latest: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    ehr_at, pm_at = _told_at(person)
    return min(ehr_at, latest), min(pm_at, latest)
