"""Writing the truth: true values as the world has them, and evidence as the files show it."""

import datetime as dt
from collections.abc import Iterable

from hygiene_pipeline.demo import contacts
from hygiene_pipeline.demo.eligibility import Answer
from hygiene_pipeline.demo.payers import policy_key
from hygiene_pipeline.demo.people import Demographics, Person
from hygiene_pipeline.demo.phones import Lookup, e164
from hygiene_pipeline.demo.truth import Evidence, NumberEvidence
from hygiene_pipeline.demo.world import World


def note_everything(world: World, person: Person, at: dt.datetime) -> None:
    """All true values of a person, as of an instant."""
    world.true_phone(person, person.number.changed_at)
    note_person(world, person, at)
    note_insurance(world, person, at)
    note_care(world, person, at)
    note_referrer(world, person, at)


def note_person(world: World, person: Person, at: dt.datetime) -> None:
    """Name, birth date, sex, email and home."""
    home = person.address.now
    values = {
        "first_name": person.first, "last_name": person.last.now, "birth_date": person.birth_date.isoformat(),
        "sex": person.sex, "email": person.email.now, "address_line": home.line, "city": home.city,
        "state": home.state, "postal_code": home.postal_code,
    }  # fmt: skip
    for name, value in values.items():
        world.truth.set(person.contact_id, name, value, at)


def note_insurance(world: World, person: Person, at: dt.datetime) -> None:
    """The policy in force; while the practice cannot know of a new one, no insurance status is the true one."""
    current = person.coverage_on(world.clock.local(at).date())
    known = person.known_coverages[-1]
    is_known = current is not None and known.coverage is current
    truth, contact_id = world.truth, person.contact_id
    truth.set(contact_id, "policy", current.key if current else "", at)
    truth.set(contact_id, "insurance_payer_id", current.payer.payer_id if current else None, at)
    truth.set(contact_id, "insurance_payer", current.payer.name if current else None, at)
    truth.set(contact_id, "insurance_member_id", current.member_id if current else None, at)
    truth.set(contact_id, "insurance_status", "active" if is_known else None if current else "lapsed", at)


def note_care(world: World, person: Person, at: dt.datetime) -> None:
    """Care status and condition segments."""
    world.truth.set(person.contact_id, "care_status", contacts.expected_status(person), at)
    world.truth.set(person.contact_id, "segments", ";".join(contacts.expected_segments(person)), at)


def note_referrer(world: World, person: Person, at: dt.datetime) -> None:
    """The referring provider, as long as the relationship stands."""
    stands = world.land.network.stands(person.referrer, world.clock.local(at).date())
    world.truth.set(person.contact_id, "referring_provider_npi", person.referrer if stands else None, at)


def show_note(world: World, person: Person, note: Demographics | None, source: str, known_at: dt.datetime) -> None:
    """EHR or PM shows a phone number."""
    if note is not None:
        _show(world, person, "phone", "is", e164(note.number), note.phone_confirmed_at, known_at, source)


def show_referrer(world: World, person: Person, known_at: dt.datetime) -> None:
    """PM shows the referring provider of a patient, and whether the network still has them."""
    if person.pm is None:
        return
    npi = person.pm.referrer
    provider = world.land.network.by_npi[npi]
    _show(world, person, "referring_provider", "is", npi, person.pm.updated_at, known_at, "pm")
    if provider.ends_on is not None:
        over_at = world.clock.at(provider.ends_on + dt.timedelta(days=1))
        _show(world, person, "referring_provider", "not", npi, over_at, max(known_at, over_at), "pm")


def show_coverage(world: World, person: Person, known_at: dt.datetime) -> None:
    """PM shows a policy, or its last day."""
    known = person.known_coverages[-1]
    key = policy_key(known.coverage.payer.payer_id, known.member_id)
    is_over = known.terminated is not None and known.terminated < world.clock.local(known_at).date()
    _show(world, person, "insurance", "not" if is_over else "is", key, known.updated_at, known_at, "pm")


def show_answers(world: World, answers: Iterable[Answer], known_at: dt.datetime) -> None:
    """Payers say whether a policy is in force; an outage says nothing."""
    for answer in answers:
        if answer.result != "payer_error":
            key = policy_key(answer.coverage.payer.payer_id, answer.member_id)
            verdict = "is" if answer.result == "active" else "not"
            _show(world, answer.person, "insurance", verdict, key, answer.checked_at, known_at, "eligibility")


def show_care(world: World, person: Person, known_at: dt.datetime) -> None:
    """The EHR shows care status and conditions as they are."""
    value = f"{contacts.expected_status(person)}|{';'.join(contacts.expected_segments(person))}"
    _show(world, person, "care", "is", value, known_at, known_at, "ehr")


def show_lookups(world: World, lookups: Iterable[Lookup], known_at: dt.datetime) -> None:
    """Carriers answered."""
    for lookup in lookups:
        world.truth.answer(
            NumberEvidence(
                number=e164(lookup.number), verdict=lookup.verdict, checked_at=lookup.checked_at, known_at=known_at
            )
        )


def show_reply(world: World, contact_id: str, number: str, at: dt.datetime, known_at: dt.datetime) -> None:
    """The patient confirmed a number."""
    world.truth.show(
        Evidence(
            contact_id=contact_id, detector="phone", verdict="is", value=e164(number),
            confirmed_at=at, known_at=known_at, source="patient",
        )
    )  # fmt: skip


def _show(
    world: World, person: Person, detector: str, verdict: str, value: str, confirmed_at: dt.datetime,
    known_at: dt.datetime, source: str,
) -> None:  # fmt: skip
    world.truth.show(
        Evidence(
            contact_id=person.contact_id, detector=detector, verdict=verdict, value=value,
            confirmed_at=confirmed_at, known_at=known_at, source=source,
        )
    )  # fmt: skip
