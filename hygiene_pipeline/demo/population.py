"""The people of day 0: households that share homes and phones, their pasts, and what EHR and PM noted of them."""

import datetime as dt
from dataclasses import dataclass
from random import Random

from hygiene_pipeline.demo import names, pathways, payers, people, visits
from hygiene_pipeline.demo.clock import DAY, Clock
from hygiene_pipeline.demo.people import Address, Person
from hygiene_pipeline.demo.phones import LINE_TYPES, LINE_WEIGHTS, Carriers, NumberPool
from hygiene_pipeline.demo.providers import Network
from hygiene_pipeline.demo.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Land:
    """What everybody lives in: the calendar, the numbers, the carriers and the providers."""

    clock: Clock
    pool: NumberPool
    carriers: Carriers
    network: Network

    def new_number(self, rng: Random, *, line_type: str | None = None) -> str:
        """A number with a fresh subscription."""
        number = self.pool.draw(rng)
        self.carriers.subscribe(number, line_type or rng.choices(LINE_TYPES, LINE_WEIGHTS)[0], rng)
        return number


def build_people(land: Land, count: int, rng: Random) -> list[Person]:
    """Households until there are `count` patients."""
    population: list[Person] = []
    while len(population) < count:
        room = min(rng.choices((1, 2, 3, 4, 5), (42, 30, 13, 11, 4))[0], count - len(population))
        population.extend(_household(land, len(population) + 1, room, rng))
    return population


def newcomer(land: Land, index: int, today: dt.date, rng: Random) -> Person:
    """Somebody who registers as a new patient today: nothing is known of the past."""
    (person,) = _members(land, index, 1, rng)
    at = land.clock.at(today, hour=9)
    person.coverages = [payers.new_coverage(rng, today - dt.timedelta(days=90), age=person.age(today))]
    _join(land, person, rng)
    _note(person, at, at, rng)
    return person


def settle(land: Land, person: Person, rng: Random, *, told_at: tuple[dt.datetime, dt.datetime]) -> None:
    """Let EHR and PM hold what was true at the two instants, and PM the coverage as it is."""
    _note(person, *told_at, rng)


def _household(land: Land, index: int, size: int, rng: Random) -> list[Person]:
    members = _members(land, index, size, rng)
    _twins(members, rng)
    for person in members:
        _live(land, person, rng)
    return members


def _members(land: Land, index: int, size: int, rng: Random) -> list[Person]:
    start = land.clock.midnight(0)
    long_ago = start - dt.timedelta(days=2200)
    family = names.last_name(rng)
    home: Timeline[Address] = Timeline(long_ago, people.draw_address(rng))
    shared: Timeline[str] = Timeline(long_ago, land.new_number(rng))
    couple_shares = size >= 2 and rng.random() < 0.18
    members = []
    for place in range(size):
        child = place >= 2
        shares = (child and rng.random() < 0.8) or (place == 1 and couple_shares)
        number = shared if shares or place == 0 else Timeline(long_ago, land.new_number(rng))
        last = family if place == 0 or rng.random() < 0.85 else names.last_name(rng)
        members.append(_person(land, index + place, last, home, number, child=child, rng=rng))
    for person in members:
        person.shares_number = sum(other.number is person.number for other in members) > 1
    return members


def _person(
    land: Land, index: int, last: str, home: Timeline[Address], number: Timeline[str], *, child: bool, rng: Random
) -> Person:
    long_ago = home.since[0]
    sex = rng.choice("FM")
    first = names.first_name(sex, rng)
    email = people.draw_email(first, last, index, rng)
    return Person(
        index=index,
        sex=sex,
        birth_date=people.draw_birth_date(rng, land.clock.start, child=child),
        first=first,
        last=Timeline(long_ago, last),
        number=number,
        address=home,
        email=Timeline(long_ago, email),
        race=rng.choices(range(len(people.RACES)), [share for *_, share in people.RACES])[0],
        is_hispanic=rng.random() < 0.17,
        answers=rng.random() > 0.12,
        alternate=land.new_number(rng) if rng.random() < 0.4 else None,
        written_name=rng.choice(names.OTHER_SCRIPTS) if rng.random() < 0.006 else None,
        pcp=land.network.practice[rng.randrange(5)].npi,
    )


def _twins(members: list[Person], rng: Random) -> None:
    """Twins share birth date and family name, sometimes even the beginning of the given name."""
    if len(members) < 4 or rng.random() > 0.12:
        return
    first, second = members[2], members[3]
    second.birth_date, second.last = first.birth_date, first.last
    if second.first == first.first:
        second.first = "Marie" if second.sex == "F" else "Marc"


def _live(land: Land, person: Person, rng: Random) -> None:
    """Give a person a past: visits, conditions, pathways, coverages, moves of number, and who noted what when."""
    clock, start = land.clock, land.clock.midnight(0)
    person.visits = visits.past_visits(person, clock, rng)
    seen = person.visits[-1].at
    other = seen - dt.timedelta(days=rng.choice((0, 0, rng.randrange(1, 400))))
    told_at = (seen, other) if rng.random() < 0.5 else (other, seen)
    is_adult = person.age(clock.start) >= 18
    person.conditions = pathways.draw_conditions(person.index, is_adult=is_adult, at=seen, rng=rng)
    if is_adult:
        person.care = pathways.past_care(person.index, person.pcp, start, rng)
    effective = clock.start - dt.timedelta(days=rng.randrange(200, 1500))
    person.coverages = [payers.new_coverage(rng, effective, age=person.age(clock.start))]
    if not person.shares_number and rng.random() < 0.35:
        change_number(land, person, seen - dt.timedelta(days=rng.uniform(1, 500)), rng)
    if rng.random() < 0.08:
        replaced = seen - dt.timedelta(days=rng.uniform(5, 500))
        person.email.change(replaced, people.draw_email(person.last.now, person.first, person.index + 500_000, rng))
    _join(land, person, rng)
    _note(person, *told_at, rng)


def _join(land: Land, person: Person, rng: Random) -> None:
    """A referring provider who still stands; the few big ones refer most patients."""
    standing = land.network.referring[:55]
    person.referrer = standing[min(int(abs(rng.gauss(0, 20))), 54)].npi


def change_number(land: Land, person: Person, at: dt.datetime, rng: Random, *, line_type: str | None = None) -> None:
    """The person (and whoever shares the phone) gets another number; the old one goes dead a day later."""
    land.carriers.end(person.number.now, at + DAY, rng)
    person.number.change(at, land.new_number(rng, line_type=line_type))


def _note(person: Person, ehr_at: dt.datetime, pm_at: dt.datetime, rng: Random) -> None:
    person.ehr = person.noted(ehr_at, rng, None, in_ehr=True)
    person.pm = person.noted(pm_at, rng, None, in_ehr=False)
    known = person.coverages[-1]
    person.known_coverages = [
        people.KnownCoverage(known, known.member_id, known.effective, known.terminated, person.pm.updated_at)
    ]
