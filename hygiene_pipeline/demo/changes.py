"""What happens to people on a day: numbers, homes, names, coverages, deaths, newcomers, and providers who leave."""

import datetime as dt
from collections import Counter
from random import Random

from hygiene_pipeline.demo import contacts, knowledge, names, payers, people, telling
from hygiene_pipeline.demo.clock import DAY
from hygiene_pipeline.demo.phones import as_typed, mistyped
from hygiene_pipeline.demo.population import change_number, newcomer
from hygiene_pipeline.demo.world import AdtEvent, DeskEdit, World

NUMBER_CHANGE = 1 / 630  # every 18 to 24 months
MOVE = 1 / 3000
EMAIL_CHANGE = 1 / 2500
NAME_CHANGE = 1 / 9000
COVERAGE_CHANGE = 1 / 3650
COVERAGE_LAPSE = 1 / 3500
OPEN_ENROLMENT = 4  # times as many changes in January
TELLS_AT_ONCE = 0.45
NEWCOMERS = 0.0004
ROT = 0.00012  # contacts a day on which a clerk spoils a number
PROVIDER_LEAVES = 1 / 1500


def during(world: World, day: int, rng: Random, *, hours: tuple[int, int] = (8, 18)) -> dt.datetime:
    """A random instant of a day."""
    start = world.clock.midnight(day)
    return start + dt.timedelta(seconds=rng.randrange(hours[0] * 3600, hours[1] * 3600))


def numbers(world: World, day: int) -> None:
    """People change their number; whoever shares the phone changes with them."""
    rng = world.stream("numbers", day)
    for person in world.patients:
        if rng.random() >= NUMBER_CHANGE / len(world.sharers[id(person.number)]) or not person.is_alive:
            continue
        at = during(world, day, rng, hours=(7, 12))
        change_number(world.land, person, at, rng)
        world.true_phone(person, at)
        if rng.random() < TELLS_AT_ONCE:
            later = during(world, day, rng, hours=(13, 18))
            if rng.random() < 0.6 and world.clock.is_workday(day):
                telling.tell_desk(world, person, later, rng, crm_share=0.4)
            else:
                telling.tell_ehr(world, person, later, rng, trigger="A31")


def homes_and_names(world: World, day: int) -> None:
    """Moves, marriages and new email addresses; the last two are told at once."""
    rng = world.stream("homes", day)
    for person in world.living():
        roll = rng.random()
        if roll >= MOVE + EMAIL_CHANGE + NAME_CHANGE:
            continue
        at = during(world, day, rng, hours=(7, 12))
        if roll < MOVE:
            person.address.change(at, people.draw_address(rng))
        elif roll < MOVE + EMAIL_CHANGE:
            person.email.change(at, people.draw_email(person.first, person.last.now, rng.randrange(10**6, 10**7), rng))
        else:
            person.last.change(at, names.last_name(rng))
        for member in world.living() if roll < MOVE else (person,):
            if member.address is person.address:
                knowledge.note_person(world, member, at)
        if roll >= MOVE or rng.random() < 0.4:
            telling.tell_pm(world, person, at + dt.timedelta(hours=2), rng)


def coverages(world: World, day: int) -> None:
    """Policies change and lapse; three patients in ten say so at once."""
    rng = world.stream("coverages", day)
    date = world.clock.date(day)
    change = COVERAGE_CHANGE * (OPEN_ENROLMENT if date.month == 1 else 1)
    for person in world.living():
        roll = rng.random()
        if roll >= change + COVERAGE_LAPSE:
            continue
        current = person.coverage_on(date)
        if current is not None:
            current.terminated = date - dt.timedelta(days=1)
        if roll < change:
            old = current.payer if current else None
            person.coverages.append(payers.new_coverage(rng, date, age=person.age(date), but_not=old))
        knowledge.note_insurance(world, person, world.clock.midnight(day))
        if roll < change and rng.random() < 0.3:
            telling.tell_coverage(world, person, during(world, day, rng), rng)


def deaths(world: World, day: int) -> None:
    """People die; the EHR hears of it after one to twelve days, and tells the others that night."""
    rng = world.stream("deaths", day)
    date = world.clock.date(day)
    for person in world.living():
        if rng.random() < _hazard(person.age(date)):
            person.died_at = during(world, day, rng, hours=(0, 23))
            knowledge.note_care(world, person, person.died_at)
            world.to_be_told[day + rng.randrange(1, 13)].append(person)
            for visit in person.visits:
                if visit.status == "booked":
                    visit.status = "cancelled"
                    world.news.appointments[visit.visit_id] = (person, visit)
    for person in world.to_be_told.pop(day, ()):
        at = during(world, day, rng)
        if person.ehr is not None:
            person.ehr.has_period = True
        telling.tell_ehr(world, person, at, rng, trigger="A08")
        knowledge.show_care(world, person, world.clock.midnight(day + 1))


def newcomers(world: World, day: int) -> None:
    """New patients register; the desk types a contact, one number in twelve wrong."""
    rng = world.stream("newcomers", day)
    expected = NEWCOMERS * len(world.patients)
    count = int(expected) + (rng.random() < expected % 1)
    index = len(world.patients) + len(world.former)
    for _ in range(count if world.clock.is_workday(day) else 0):
        index += 1
        person = newcomer(world.land, index, world.clock.date(day), rng)
        at = person.pm.confirmed_at if person.pm else world.clock.midnight(day)
        world.patients.append(person)
        world.sharers[id(person.number)].append(person)
        land = world.land
        row = contacts.contact_row(person, carriers=land.carriers, network=land.network, clock=land.clock, rng=rng)
        typed = world.clock.text(at - 3 * telling.MINUTE)
        row.update(last_modified=typed, last_phone_verified=typed)
        if rng.random() < 0.08:
            row["phone"] = as_typed(mistyped(person.number.now, rng), rng)
        world.desk.append(DeskEdit(person.contact_id, dict(row), at - 3 * telling.MINUTE, is_new=True))
        world.news.ehr_people[person.index] = person
        world.news.ehr_coverages[person.index] = person
        world.news.adt.append(AdtEvent("A04", person, at))
        knowledge.note_everything(world, person, at)


def slips(world: World, day: int) -> None:
    """A clerk edits a contact for another reason and spoils the number."""
    rng = world.stream("slips", day)
    if not world.clock.is_workday(day):
        return
    for person in world.living():
        if rng.random() < ROT:
            at = during(world, day, rng)
            changes = {"phone": as_typed(mistyped(person.number.now, rng), rng)}
            world.desk.append(DeskEdit(person.contact_id, changes, at))


def providers_leave(world: World, day: int) -> None:
    """A referral relationship ends in some days; never one of the few big ones."""
    rng = world.stream("providers", day)
    counts = Counter(person.referrer for person in world.patients)
    for provider in world.land.network.referring:
        small = counts[provider.npi] <= max(len(world.patients) * 0.015, 1)
        if rng.random() < PROVIDER_LEAVES and small and provider.ends_on is None:
            provider.ends_on = world.clock.date(day) + dt.timedelta(days=rng.randrange(0, 8))
            _part(world, provider.npi, world.clock.at(provider.ends_on) + DAY, world.clock.midnight(day + 1))


def _part(world: World, npi: str, over_at: dt.datetime, known_at: dt.datetime) -> None:
    for person in world.patients:
        if person.referrer == npi:
            world.truth.set(person.contact_id, "referring_provider_npi", None, over_at)
            knowledge.show_referrer(world, person, known_at)


def _hazard(age: int) -> float:
    years = 140 if age < 65 else 30 if age < 80 else 10
    return 1 / (365 * years)
