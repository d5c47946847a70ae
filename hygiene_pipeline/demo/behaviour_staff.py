"""Staff who work their queue: so many contacts a day each, with the luck that each kind of work has."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from hygiene_pipeline.demo import contacts, knowledge, telling
from hygiene_pipeline.demo.people import Person
from hygiene_pipeline.demo.phones import as_typed, digits_of
from hygiene_pipeline.demo.world import World

# Days before the same issue is tried again, and how often one try settles it.
WAIT_DAYS = 3
SUCCESS = {
    "phone": 0.42, "insurance": 0.6, "care": 0.9, "referring_provider": 0.75, "email": 0.5, "address": 0.5,
    "identity": 0.9,
}  # fmt: skip
UNREACHABLE = 0.3  # times as likely to succeed with patients who never answer


class CrmStore(Protocol):
    """The CRM as staff use it."""

    def edit(self, contact_id: str, changes: Mapping[str, str | None], *, editor: str, at: dt.datetime) -> None:
        """Change fields of a contact."""

    def add(self, row: Mapping[str, str | None], *, editor: str, at: dt.datetime) -> None:
        """Make a contact."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkItem:
    """An open issue as it stands in somebody's queue."""

    issue_id: str
    contact_id: str
    staleness_type: str
    reason: str
    assignee: str
    priority_tier: int


@dataclass(slots=True)
class Office:
    """Who tried what when."""

    tried: dict[str, int] = field(default_factory=dict)

    def work(
        self,
        world: World,
        crm: CrmStore,
        rows: Mapping[str, Mapping[str, str | None]],
        items: Sequence[WorkItem],
        *,
        day: int,
        capacities: Mapping[str, int],
    ) -> int:
        """Work the queues of a day in the order given; returns how many issues were settled."""
        rng = world.stream("staff", day)
        people = {person.contact_id: person for person in world.patients}
        worked: dict[str, int] = defaultdict(int)
        settled = 0
        for item in sorted(items, key=lambda each: each.priority_tier):
            person, row = people.get(item.contact_id), rows.get(item.contact_id)
            is_free = worked[item.assignee] < capacities.get(item.assignee, 0)
            if person is None or row is None or not is_free or not self._may_try(item, day):
                continue
            worked[item.assignee] += 1
            self.tried[item.issue_id] = day
            at = world.clock.midnight(day) + dt.timedelta(hours=9, seconds=worked[item.assignee] * 600)
            changes = _attempt(world, person, row, item, at, rng)
            if changes:
                crm.edit(item.contact_id, changes, editor=item.assignee, at=at)
                settled += 1
        return settled

    def _may_try(self, item: WorkItem, day: int) -> bool:
        return day - self.tried.get(item.issue_id, -WAIT_DAYS) >= WAIT_DAYS


Work = Callable[[World, Person, Mapping[str, str | None], dt.datetime, Random], dict[str, str]]


def _attempt(
    world: World, person: Person, row: Mapping[str, str | None], item: WorkItem, at: dt.datetime, rng: Random
) -> dict[str, str]:
    chance = SUCCESS[item.staleness_type]
    if item.staleness_type in ("phone", "email", "address") and not person.answers:
        chance *= UNREACHABLE
    if item.reason == "landline_converted":
        chance = 0.85
    if rng.random() >= chance or (not person.is_alive and item.staleness_type != "care"):
        return {}
    return WORK[item.staleness_type](world, person, row, at, rng)


def _phone(world: World, person: Person, row: Mapping[str, str | None], at: dt.datetime, rng: Random) -> dict[str, str]:
    number = person.number.at(at)
    changes = {"last_phone_verified": world.clock.text(at)}
    if digits_of(row.get("phone")) != number:
        changes["phone"] = as_typed(number, rng)
    if world.land.carriers.line_type(number) == "landline":
        changes |= {"preferred_channel": "call", "sms_opt_out": "true"}
    if rng.random() < 0.6:
        telling.tell_pm(world, person, at + telling.MINUTE, rng)
    return changes


def _insurance(
    world: World, person: Person, row: Mapping[str, str | None], at: dt.datetime, rng: Random
) -> dict[str, str]:
    telling.tell_coverage(world, person, at, rng)
    known = person.known_coverages[-1]
    is_covered = known.coverage.in_force(world.clock.local(at).date())
    return {
        "insurance_payer_id": known.coverage.payer.payer_id,
        "insurance_payer": known.coverage.payer.name,
        "insurance_member_id": known.member_id,
        "insurance_status": "active" if is_covered else "lapsed",
    }


def _care(world: World, person: Person, row: Mapping[str, str | None], at: dt.datetime, rng: Random) -> dict[str, str]:
    kept = [segment for segment in (row.get("segments") or "").split(";") if segment in contacts.EXTRA_SEGMENTS]
    segments = sorted({*kept, *contacts.expected_segments(person)})
    return {"care_status": contacts.expected_status(person), "segments": ";".join(segments)}


def _referrer(
    world: World, person: Person, row: Mapping[str, str | None], at: dt.datetime, rng: Random
) -> dict[str, str]:
    network, date = world.land.network, world.clock.local(at).date()
    if not network.stands(person.referrer, date) or network.by_npi[person.referrer].ends_on is not None:
        person.referrer = rng.choice([each for each in network.referring if each.ends_on is None]).npi
    if person.pm is not None:
        person.pm.referrer, person.pm.updated_at = person.referrer, at
    knowledge.note_referrer(world, person, at)
    return {"referring_provider_npi": person.referrer}


def _email(world: World, person: Person, row: Mapping[str, str | None], at: dt.datetime, rng: Random) -> dict[str, str]:
    telling.tell_pm(world, person, at, rng)
    return {"email": person.email.now or ""}


def _address(
    world: World, person: Person, row: Mapping[str, str | None], at: dt.datetime, rng: Random
) -> dict[str, str]:
    telling.tell_pm(world, person, at, rng)
    home = person.address.now
    return {"address_line": home.line, "city": home.city, "state": home.state, "postal_code": home.postal_code}


def _identity(
    world: World, person: Person, row: Mapping[str, str | None], at: dt.datetime, rng: Random
) -> dict[str, str]:
    return {"first_name": person.first, "last_name": person.last.now, "birth_date": person.birth_date.isoformat()}


WORK: dict[str, Work] = {
    "phone": _phone, "insurance": _insurance, "care": _care, "referring_provider": _referrer, "email": _email,
    "address": _address, "identity": _identity,
}  # fmt: skip
