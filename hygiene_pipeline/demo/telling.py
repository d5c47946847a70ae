"""What patients tell the practice, and what clerks then type into PM, EHR and CRM."""

import datetime as dt
from random import Random

from hygiene_pipeline.demo import knowledge
from hygiene_pipeline.demo.eligibility import check
from hygiene_pipeline.demo.people import KnownCoverage, Person
from hygiene_pipeline.demo.phones import as_typed, mistyped
from hygiene_pipeline.demo.world import AdtEvent, DeskEdit, World

MINUTE = dt.timedelta(minutes=1)


def tell_pm(world: World, person: Person, at: dt.datetime, rng: Random) -> None:
    """The front desk asks everything again and types it into PM, unless somebody did so later that day."""
    if person.pm is not None and person.pm.updated_at > at:
        return
    person.pm = person.noted(at, rng, person.pm, in_ehr=False)


def tell_ehr(world: World, person: Person, at: dt.datetime, rng: Random, *, trigger: str) -> None:
    """A nurse or the portal asks everything again; the EHR sends a message and exports the patient tonight."""
    if person.ehr is not None and person.ehr.updated_at > at:
        return
    person.ehr = person.noted(at, rng, person.ehr, in_ehr=True)
    world.news.ehr_people[person.index] = person
    world.news.adt.append(AdtEvent(trigger, person, at))


def tell_desk(world: World, person: Person, at: dt.datetime, rng: Random, *, crm_share: float) -> None:
    """The patient tells the front desk: always PM, sometimes the CRM too, typed in a hurry a little before."""
    if rng.random() < crm_share:
        number = person.number.at(at)
        typed = mistyped(number, rng) if rng.random() < 0.08 else number
        changes = {"phone": as_typed(typed, rng), "last_phone_verified": world.clock.text(at - 3 * MINUTE)}
        world.desk.append(DeskEdit(person.contact_id, changes, at - 3 * MINUTE))
    tell_pm(world, person, at, rng)


def tell_coverage(world: World, person: Person, at: dt.datetime, rng: Random) -> None:
    """The patient shows the insurance card; a new one is typed into PM and checked with the payer at once."""
    date = world.clock.local(at).date()
    current, known = person.coverage_on(date), person.known_coverages[-1]
    if current is None or current is known.coverage:
        if current is None and known.terminated is None and known.coverage.terminated is not None:
            known.terminated, known.updated_at = known.coverage.terminated, at
            world.news.ehr_coverages[person.index] = person
            knowledge.note_insurance(world, person, at)
        return
    if known.terminated is None or known.terminated >= current.effective:
        known.terminated = current.effective - dt.timedelta(days=1)
    known.updated_at = at
    member = current.member_id
    person.known_coverages.append(KnownCoverage(current, member, current.effective, current.terminated, at))
    world.news.ehr_coverages[person.index] = person
    world.news.answers.append(check(person, at + 5 * MINUTE, clock=world.clock, rng=rng))
    knowledge.note_insurance(world, person, at)
