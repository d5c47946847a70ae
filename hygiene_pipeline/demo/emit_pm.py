"""The practice management system's extracts, whole each day: patients, coverage, appointments, referral network."""

import datetime as dt
from pathlib import Path

from hygiene_pipeline.demo import emit_x12
from hygiene_pipeline.demo.emit_files import write_csv
from hygiene_pipeline.demo.people import Person
from hygiene_pipeline.demo.world import World

PATIENTS = (
    "pm_patient_id", "mrn", "first_name", "last_name", "birth_date", "sex", "phone", "email", "address_line", "city",
    "state", "postal_code", "referring_provider_npi", "last_updated",
)  # fmt: skip
COVERAGE = (
    "pm_patient_id", "payer_id", "payer_name", "member_id", "plan_name", "effective_date", "termination_date",
    "last_updated",
)  # fmt: skip
APPOINTMENTS = (
    "appointment_id", "pm_patient_id", "provider_npi", "booked_at", "scheduled_at", "status", "visit_type", "location",
)  # fmt: skip
NETWORK = ("npi", "name", "specialty", "organization", "status", "effective_date", "end_date")
KEPT = dt.timedelta(days=800)
# Lines as no parser should let pass: no key, a day that is not, a row cut off. They are nobody's.
BAD_PATIENTS = (
    ',MR0999001,Nobody,Nowhere,1970-01-01,F,617-204-8831,,"1 Main Street",Boston,MA,02118,,2025-11-03T09:00:00-05:00\n'
    "PM999002,MR0999002,Never,Born,1984-02-31,M,617-204-8832,,,,,,,2025-11-03T09:00:00-05:00\n"
)
BAD_COVERAGE = "PM999003,BSBMA,Bay State Blue,XXP123456789,PPO Preferred,2025-13-01,,2025-11-03T09:00:00-05:00\n"
BAD_APPOINTMENTS = ",PM000001,,2025-11-03T09:00:00-05:00,soon,booked,follow_up,Riverside Main\n"


def emit_pm(world: World, landing: Path, day: int, *, with_lists: bool) -> None:
    """The PM's files of a day; the same few bad lines are in its lists every day, as bad lines are.

    A day's lists replace those of the day before: without `with_lists` only what adds to earlier files is written.
    """
    folder = landing / "pm"
    emit_x12.emit_answers(world, folder / "eligibility", day)
    if with_lists:
        _emit_lists(world, folder, day)


def _emit_lists(world: World, folder: Path, day: int) -> None:
    everybody = [person for person in world.everybody() if person.pm is not None]
    write_csv(folder / "patients.csv", PATIENTS, [_patient(world, person) for person in everybody], tail=BAD_PATIENTS)
    write_csv(
        folder / "coverage.csv", COVERAGE, [row for person in everybody for row in _coverage(world, person)],
        tail=BAD_COVERAGE,
    )  # fmt: skip
    oldest = world.clock.midnight(day) - KEPT
    booked = [row for person in everybody for row in _appointments(world, person, oldest)]
    write_csv(folder / "appointments.csv", APPOINTMENTS, booked, tail=BAD_APPOINTMENTS)
    write_csv(folder / "referral_network.csv", NETWORK, _network(world, day))


def _patient(world: World, person: Person) -> list[object]:
    note = person.pm
    if note is None:
        raise ValueError("not a patient of the practice management system")
    home = note.address
    return [
        person.pm_id, person.mrn, note.first, note.last, person.birth_date, person.sex, note.phone_text,
        note.email or "", home.line, home.city, home.state, home.postal_code, note.referrer,
        world.clock.text(note.updated_at),
    ]  # fmt: skip


def _coverage(world: World, person: Person) -> list[list[object]]:
    return [
        [
            person.pm_id, known.coverage.payer.payer_id, known.coverage.payer.name, known.member_id,
            known.coverage.plan, known.effective, known.terminated or "", world.clock.text(known.updated_at),
        ]
        for known in person.known_coverages
    ]  # fmt: skip


def _appointments(world: World, person: Person, oldest: dt.datetime) -> list[list[object]]:
    text = world.clock.text
    return [
        [
            visit.visit_id, person.pm_id, visit.provider, text(visit.booked_at), text(visit.at), visit.status,
            visit.visit_type, visit.location,
        ]
        for visit in person.visits
        if visit.at >= oldest
    ]  # fmt: skip


def _network(world: World, day: int) -> list[list[object]]:
    """A provider whose last day has passed is inactive; an announced last day is already shown."""
    yesterday = world.clock.date(day) - dt.timedelta(days=1)
    return [
        [
            provider.npi, provider.name, provider.specialty, provider.organization,
            "active" if provider.stands_on(yesterday) else "inactive", provider.effective, provider.ends_on or "",
        ]
        for provider in world.land.network.referring
    ]  # fmt: skip
