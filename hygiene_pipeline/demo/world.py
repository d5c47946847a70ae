"""The world of one practice: everybody and everything in it, what happened today, and the truth it keeps."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from hygiene_pipeline.demo import contacts, providers
from hygiene_pipeline.demo.clock import Clock
from hygiene_pipeline.demo.contacts import Row
from hygiene_pipeline.demo.eligibility import Answer
from hygiene_pipeline.demo.pathways import CareRecord, Condition
from hygiene_pipeline.demo.people import Demographics, Person
from hygiene_pipeline.demo.phones import Carriers, Lookup, NumberPool, e164
from hygiene_pipeline.demo.planting import plant
from hygiene_pipeline.demo.population import Land, build_people
from hygiene_pipeline.demo.truth import Truth
from hygiene_pipeline.demo.visits import Visit, draw_visit

FORMER_SHARE = 0.03


@dataclass(slots=True)
class Duplicate:
    """A second EHR record of a person, made by mistake at an earlier visit."""

    person: Person
    note: Demographics
    is_merged: bool

    @property
    def ehr_id(self) -> str:
        """Logical id of the second FHIR Patient."""
        return f"{self.person.ehr_id}-b"

    @property
    def mrn(self) -> str:
        """The second medical record number."""
        return f"MR{self.person.index + 9_000_000:07d}"


@dataclass(frozen=True, slots=True)
class DeskEdit:
    """What somebody at the front desk types into the CRM; `is_new` for a new contact."""

    contact_id: str
    changes: dict[str, str]
    at: dt.datetime
    editor: str = "front-desk"
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class AdtEvent:
    """An HL7 v2 message to be sent; `retired_mrn` only for a merge."""

    trigger: str
    person: Person
    at: dt.datetime
    visit_id: str = ""
    stay: CareRecord | None = None
    retired_mrn: str = ""


@dataclass(slots=True)
class News:
    """What the systems learned since their last export; people and records by id, so that each is exported once."""

    ehr_people: dict[int, Person] = field(default_factory=dict)
    ehr_coverages: dict[int, Person] = field(default_factory=dict)
    care: dict[str, tuple[Person, CareRecord]] = field(default_factory=dict)
    conditions: dict[str, tuple[Person, Condition]] = field(default_factory=dict)
    visits: dict[str, tuple[Person, Visit]] = field(default_factory=dict)
    appointments: dict[str, tuple[Person, Visit]] = field(default_factory=dict)
    adt: list[AdtEvent] = field(default_factory=list)
    notified: list[tuple[Person, CareRecord]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    lookups: list[Lookup] = field(default_factory=list)
    replies: list[dict[str, str]] = field(default_factory=list)
    interactions: list[dict[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class World:
    """All state of the simulation; a random stream per subject and day, so that subjects do not disturb each other."""

    seed: int
    land: Land
    patients: list[Person]
    former: list[Person]
    contacts: dict[str, Row]
    truth: Truth
    news: News
    agenda: dict[dt.date, list[tuple[Person, Visit]]] = field(default_factory=lambda: defaultdict(list))
    sharers: dict[int, list[Person]] = field(default_factory=lambda: defaultdict(list))
    duplicates: list[Duplicate] = field(default_factory=list)
    desk: list[DeskEdit] = field(default_factory=list)
    to_be_told: dict[int, list[Person]] = field(default_factory=lambda: defaultdict(list))
    to_be_called: dict[int, list[Person]] = field(default_factory=lambda: defaultdict(list))
    counter: int = 0

    @property
    def clock(self) -> Clock:
        """The practice's calendar."""
        return self.land.clock

    def stream(self, subject: str, day: int) -> Random:
        """The random numbers of one subject on one day."""
        return Random(f"{self.seed}/{subject}/{day}")

    def everybody(self) -> Iterator[Person]:
        """Patients and former patients."""
        yield from self.patients
        yield from self.former

    def living(self) -> Iterator[Person]:
        """Patients who live."""
        return (person for person in self.patients if person.died_at is None)

    def next_number(self) -> int:
        """A running number for ids of new records."""
        self.counter += 1
        return self.counter

    def true_phone(self, person: Person, since: dt.datetime) -> None:
        """Note in the truth that everybody on this phone has its present number."""
        for sharer in self.sharers[id(person.number)]:
            self.truth.set(sharer.contact_id, "phone", e164(sharer.number.now), since)
            self.truth.set(sharer.contact_id, "line_type", self.land.carriers.line_type(sharer.number.now), since)


def build_world(*, patients: int, seed: int, clock: Clock) -> World:
    """A practice with `patients` active patients and contacts on day 0, and a few whom it no longer sees."""
    rng = Random(f"{seed}/population")
    network = providers.build_network(rng, clock.start)
    land = Land(clock, NumberPool(), Carriers(), network)
    people = build_people(land, patients + round(patients * FORMER_SHARE), rng)
    active, former = people[:patients], people[patients:]
    planting = plant(land, active, Random(f"{seed}/planting"))
    world = World(
        seed=seed, land=land, patients=active, former=former, contacts=planting.rows, truth=Truth(), news=News()
    )
    world.news.answers = sorted(planting.answers, key=lambda answer: answer.checked_at)
    for person in active:
        world.sharers[id(person.number)].append(person)
    for planted in planting.planted:
        world.truth.plant(planted)
    _former_contacts(world, Random(f"{seed}/former"))
    _book_ahead(world, Random(f"{seed}/agenda"))
    _duplicate(world, Random(f"{seed}/duplicates"))
    return world


def _duplicate(world: World, rng: Random) -> None:
    for place, person in enumerate(rng.sample(world.patients, round(len(world.patients) * 0.003))):
        note = person.noted(person.visits[0].at, rng, None, in_ehr=True)
        world.duplicates.append(Duplicate(person, note, is_merged=place % 2 == 0))


def _former_contacts(world: World, rng: Random) -> None:
    """People who moved away or died and whose contacts somebody once switched off."""
    land = world.land
    for person in world.former:
        if rng.random() < 0.4:
            person.died_at = person.visits[-1].at + dt.timedelta(hours=rng.uniform(2, 6))
            if person.ehr is not None:
                person.ehr.has_period = True
        row = contacts.contact_row(person, carriers=land.carriers, network=land.network, clock=land.clock, rng=rng)
        row["is_active"] = "false"
        world.contacts[person.contact_id] = row


def _book_ahead(world: World, rng: Random) -> None:
    """Appointments of the coming three weeks."""
    for person in world.living():
        if rng.random() < 0.12:
            book(world, person, world.clock.start + dt.timedelta(days=rng.randrange(0, 22)), rng, booked_days=30)


def book(world: World, person: Person, date: dt.date, rng: Random, *, booked_days: int) -> Visit:
    """Make an appointment; weekends move to the Monday after."""
    date += dt.timedelta(days=(7 - date.weekday()) if date.weekday() >= 5 else 0)
    number = len(person.visits)
    visit = draw_visit(person, number, date, status="booked", booked_days=booked_days, clock=world.clock, rng=rng)
    person.visits.append(visit)
    world.agenda[date].append((person, visit))
    world.news.appointments[visit.visit_id] = (person, visit)
    return visit
