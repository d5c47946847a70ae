"""What the practice does on a day: visits, pathways, hospital stays, eligibility checks and merged charts."""

import datetime as dt
from random import Random

from hygiene_pipeline.demo import knowledge, pathways, telling
from hygiene_pipeline.demo.changes import during
from hygiene_pipeline.demo.eligibility import check
from hygiene_pipeline.demo.pathways import CareRecord, Condition
from hygiene_pipeline.demo.people import Person
from hygiene_pipeline.demo.visits import Visit
from hygiene_pipeline.demo.world import AdtEvent, World, book

BEGINS = 1 / 700
NEW_CONDITION = 1 / 4000
# Chance a day that an open record ends, by kind.
ENDS = {"CarePlan": 1 / 240, "EpisodeOfCare": 1 / 90, "ServiceRequest": 1 / 35, "Encounter": 1 / 4}
UNPLANNED_VISIT = 1 / 500
OUTAGE = 0.012
SWEEP_DAYS = 28
ANSWERS_BILLING = 0.6
CHECK_AHEAD = dt.timedelta(days=2)


def visits(world: World, day: int) -> None:
    """Patients come, or do not; most are asked for their details and their card."""
    rng = world.stream("visits", day)
    date = world.clock.date(day)
    for person, visit in world.agenda.pop(date, ()):
        if visit.status != "booked" or not person.is_alive:
            continue
        roll = rng.random()
        visit.status = "fulfilled" if roll < 0.88 else "noshow" if roll < 0.95 else "cancelled"
        world.news.appointments[visit.visit_id] = (person, visit)
        if visit.status == "fulfilled":
            _come(world, person, visit, rng)
        if rng.random() < 0.7:
            book(world, person, date + dt.timedelta(days=rng.randrange(25, 150)), rng, booked_days=0)
    for person in world.living():
        if rng.random() < UNPLANNED_VISIT:
            book(world, person, date + dt.timedelta(days=rng.randrange(2, 20)), rng, booked_days=0)


def _come(world: World, person: Person, visit: Visit, rng: Random) -> None:
    world.news.visits[visit.encounter_id] = (person, visit)
    if rng.random() < 0.8:
        telling.tell_desk(world, person, visit.at - 4 * telling.MINUTE, rng, crm_share=0.25)
        telling.tell_coverage(world, person, visit.at - 2 * telling.MINUTE, rng)
    if rng.random() < 0.6:
        telling.tell_ehr(world, person, visit.at + 10 * telling.MINUTE, rng, trigger=rng.choice(("A04", "A08")))


def pathways_move(world: World, day: int) -> None:
    """Plans, episodes, referrals and stays begin and end; conditions are found."""
    rng = world.stream("pathways", day)
    date = world.clock.date(day)
    for person in world.living():
        for record in person.care:
            if record.ended_at is None and rng.random() < ENDS[record.kind]:
                record.finish(_after(record.started_at, during(world, day, rng)), rng)
                _changed(world, person, record, rng)
        if rng.random() < BEGINS and person.age(date) >= 18:
            kind = rng.choices(("CarePlan", "EpisodeOfCare", "ServiceRequest", "Encounter"), (30, 22, 30, 18))[0]
            record_id = f"{kind[:4].lower()}-n{world.next_number():06d}"
            record = pathways.open_record(kind, record_id, during(world, day, rng), person.pcp, rng)
            person.care.append(record)
            _changed(world, person, record, rng)
        if rng.random() < NEW_CONDITION and person.age(date) >= 18:
            _find(world, person, day, rng)


def _after(started_at: dt.datetime, at: dt.datetime) -> dt.datetime:
    return max(at, started_at + dt.timedelta(hours=3))


def _changed(world: World, person: Person, record: CareRecord, rng: Random) -> None:
    world.news.care[record.record_id] = (person, record)
    knowledge.note_care(world, person, record.changed_at)
    if record.kind == "Encounter":
        trigger = "A03" if record.ended_at else "A01"
        world.news.adt.append(AdtEvent(trigger, person, record.changed_at, record.record_id, record))
    elif rng.random() < 0.6:
        world.news.notified.append((person, record))


def _find(world: World, person: Person, day: int, rng: Random) -> None:
    kind = rng.randrange(len(pathways.CONDITIONS))
    if any(condition.kind == kind for condition in person.conditions):
        return
    at = during(world, day, rng)
    condition = Condition(f"cond-n{world.next_number():06d}", kind, at)
    person.conditions.append(condition)
    world.news.conditions[condition.condition_id] = (person, condition)
    knowledge.note_care(world, person, at)


def checks(world: World, day: int) -> None:
    """Billing asks the payers about visits in two days and every patient once a month, and calls the uncovered."""
    rng = world.stream("checks", day)
    date = world.clock.date(day)
    coming = {person.index for person, _ in world.agenda.get(date + CHECK_AHEAD, ())}
    for person in world.living():
        if person.index in coming or person.index % SWEEP_DAYS == date.day - 1:
            at = during(world, day, rng, hours=(18, 23))
            is_outage = rng.random() < OUTAGE
            answer = check(person, at, clock=world.clock, rng=rng, is_outage=is_outage)
            world.news.answers.append(answer)
            if answer.result in ("inactive", "not_found") and rng.random() < ANSWERS_BILLING:
                world.to_be_called[day + rng.randrange(2, 12)].append(person)
    for person in world.to_be_called.pop(day, ()):
        if person.is_alive:
            telling.tell_coverage(world, person, during(world, day, rng), rng)


def merges(world: World, day: int) -> None:
    """Somebody finds two charts of one patient and merges them."""
    rng = world.stream("merges", day)
    for duplicate in world.duplicates:
        if not duplicate.is_merged and rng.random() < 0.02:
            duplicate.is_merged = True
            at = during(world, day, rng)
            world.news.adt.append(AdtEvent("A40", duplicate.person, at, retired_mrn=duplicate.mrn))
            world.news.ehr_people[duplicate.person.index] = duplicate.person
