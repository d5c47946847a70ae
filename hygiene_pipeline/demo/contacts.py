"""CRM contacts of day 0 as they would be if somebody had kept them: the rows that the flaws are then put into."""

import datetime as dt
from random import Random

from hygiene_pipeline.demo import names, payers
from hygiene_pipeline.demo.clock import Clock
from hygiene_pipeline.demo.pathways import care_status, condition_segments
from hygiene_pipeline.demo.people import Demographics, Person
from hygiene_pipeline.demo.phones import Carriers, as_typed
from hygiene_pipeline.demo.providers import Network

COLUMNS = (
    "contact_id", "mrn", "first_name", "last_name", "birth_date", "sex", "phone", "alternate_phone", "email",
    "address_line", "city", "state", "postal_code", "insurance_payer_id", "insurance_payer", "insurance_member_id",
    "insurance_status", "care_status", "segments", "referring_provider_npi", "last_phone_verified",
    "preferred_channel", "sms_opt_out", "email_opt_out", "call_opt_out", "owner", "is_active", "last_modified",
)  # fmt: skip
EXTRA_SEGMENTS = ("newsletter", "patient_portal", "wellness_class")
Row = dict[str, str]


def latest_note(person: Person) -> Demographics:
    """The record of EHR or PM that was confirmed last."""
    return max((note for note in (person.ehr, person.pm) if note), key=lambda note: note.confirmed_at)


def contact_row(person: Person, *, carriers: Carriers, network: Network, clock: Clock, rng: Random) -> Row:
    """A contact that says what EHR and PM say; nicknames, retyped member ids and a missing MRN do no harm."""
    note = latest_note(person)
    first = names.nickname(person.first) if rng.random() < 0.25 else None
    row = dict.fromkeys(COLUMNS, "")
    row.update(
        contact_id=person.contact_id,
        mrn=person.mrn if rng.random() > 0.03 else "",
        first_name=first or person.first,
        last_name=names.misspelled(note.last, rng) if rng.random() < 0.006 else note.last,
        birth_date=person.birth_date.isoformat(),
        sex=person.sex,
        phone=as_typed(note.number, rng) + (f" x{rng.randrange(10, 99)}" if rng.random() < 0.004 else ""),
        alternate_phone=as_typed(person.alternate, rng) if person.alternate else "",
        email=_email(person, note, rng),
        referring_provider_npi=person.referrer,
        owner=rng.choice(("coordinator-1", "coordinator-2")),
        is_active="true",
        last_modified=clock.text(clock.midnight(0) - dt.timedelta(days=rng.uniform(1, 700))),
    )
    _home(row, person, note, rng)
    _insurance(row, person, rng)
    _care(row, person, rng)
    _channels(row, is_landline=carriers.line_type(note.number) == "landline", rng=rng)
    _verified(row, person, clock, rng)
    return row


def unlearn(row: Row, person: Person) -> None:
    """Take back an email address that neither EHR nor PM has heard of: the CRM never knows one first."""
    known = latest_note(person).email
    if row["email"] == person.email.now and row["email"] != known:
        row["email"] = known or ""


def expected_segments(person: Person) -> list[str]:
    """The outreach segments of a person now."""
    return condition_segments(person.conditions, care_status(person.care, is_dead=not person.is_alive))


def expected_status(person: Person) -> str:
    """The care status of a person now."""
    return care_status(person.care, is_dead=not person.is_alive)


def _email(person: Person, note: Demographics, rng: Random) -> str:
    if note.email is None or rng.random() < 0.07:
        return ""
    if rng.random() < 0.05:
        return person.email.values[0] or ""
    return note.email.replace("@", "@@") if rng.random() < 0.01 else note.email


def _home(row: Row, person: Person, note: Demographics, rng: Random) -> None:
    home = person.address.values[0] if rng.random() < 0.05 else note.address
    if rng.random() > 0.02:
        row.update(address_line=home.line, city=home.city, state=home.state, postal_code=home.postal_code)


def _insurance(row: Row, person: Person, rng: Random) -> None:
    known = person.known_coverages[-1]
    row.update(
        insurance_payer_id=known.coverage.payer.payer_id,
        insurance_payer=known.coverage.payer.name,
        insurance_member_id=payers.retyped_member_id(known.member_id, rng),
        insurance_status="active" if known.terminated is None else rng.choice(("lapsed", "verify_required")),
    )


def _care(row: Row, person: Person, rng: Random) -> None:
    extra = [rng.choice(EXTRA_SEGMENTS)] if rng.random() < 0.15 else []
    row["care_status"] = expected_status(person)
    row["segments"] = ";".join(sorted(expected_segments(person) + extra))


def _channels(row: Row, *, is_landline: bool, rng: Random) -> None:
    """Nobody texts a landline on purpose."""
    no_texts = is_landline or rng.random() < 0.04
    channels = ("call", "email") if no_texts else ("sms", "sms", "sms", "sms", "email", "call")
    row.update(
        preferred_channel=rng.choice(channels),
        sms_opt_out=str(no_texts).lower(),
        email_opt_out=str(rng.random() < 0.03).lower(),
        call_opt_out=str(rng.random() < 0.02).lower(),
    )


def _verified(row: Row, person: Person, clock: Clock, rng: Random) -> None:
    """Half were validated in the last weeks, a few longer ago, the others never."""
    roll = rng.random()
    if roll > 0.55:
        return
    ago = rng.uniform(1, 75) if roll < 0.5 else rng.uniform(95, 240)
    at = clock.midnight(0) - dt.timedelta(days=ago)
    if at > person.number.changed_at:
        row["last_phone_verified"] = clock.text(at)
