"""Patients as they really are, the homes and phones they share, and what a record system noted of them and when."""

import datetime as dt
from dataclasses import dataclass, field
from random import Random

from hygiene_pipeline.demo import names
from hygiene_pipeline.demo.pathways import CareRecord, Condition
from hygiene_pipeline.demo.payers import Coverage
from hygiene_pipeline.demo.phones import as_typed
from hygiene_pipeline.demo.timeline import Timeline
from hygiene_pipeline.demo.visits import Visit

STREETS = (
    "Maple Street", "Washington Avenue", "Elm Street", "Highland Road", "Main Street", "Cedar Lane", "River Road",
    "Oak Hill Drive", "Beacon Street", "Park Terrace", "Chestnut Street", "Mill Pond Way", "Summer Street",
)  # fmt: skip
TOWNS = (
    ("Boston", "MA", "02118"), ("Cambridge", "MA", "02139"), ("Somerville", "MA", "02143"), ("Quincy", "MA", "02169"),
    ("Newton", "MA", "02458"), ("Medford", "MA", "02155"), ("Malden", "MA", "02148"), ("Brookline", "MA", "02445"),
    ("Waltham", "MA", "02451"), ("Watertown", "MA", "02472"), ("Nashua", "NH", "03060"), ("Providence", "RI", "02903"),
)  # fmt: skip
# OMB category code, name, share.
RACES = (
    ("2106-3", "White", 66), ("2054-5", "Black or African American", 14), ("2028-9", "Asian", 12),
    ("1002-5", "American Indian or Alaska Native", 1), ("2131-1", "Other Race", 7),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Address:
    """A home."""

    line: str
    city: str
    state: str
    postal_code: str


@dataclass(slots=True)
class Demographics:
    """What a system holds of a person: true at `confirmed_at`, whatever happened since.

    `phone_confirmed_at` is the earliest instant that a reader of the extracts can date this number to.
    """

    first: str
    last: str
    number: str
    phone_text: str
    email: str | None
    address: Address
    confirmed_at: dt.datetime
    phone_confirmed_at: dt.datetime
    updated_at: dt.datetime
    referrer: str
    has_period: bool = True


@dataclass(slots=True)
class KnownCoverage:
    """A coverage row of the practice management system."""

    coverage: Coverage
    member_id: str
    effective: dt.date
    terminated: dt.date | None
    updated_at: dt.datetime


@dataclass(slots=True)
class Person:
    """A patient; timelines are shared between people of one household where they share the thing itself."""

    index: int
    sex: str
    birth_date: dt.date
    first: str
    last: Timeline[str]
    number: Timeline[str]
    address: Timeline[Address]
    email: Timeline[str | None]
    race: int
    is_hispanic: bool
    answers: bool
    shares_number: bool = False
    alternate: str | None = None
    written_name: tuple[str, str] | None = None
    pcp: str = ""
    referrer: str = ""
    died_at: dt.datetime | None = None
    coverages: list[Coverage] = field(default_factory=list)
    known_coverages: list[KnownCoverage] = field(default_factory=list)
    care: list[CareRecord] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    ehr: Demographics | None = None
    pm: Demographics | None = None

    @property
    def mrn(self) -> str:
        """Medical record number."""
        return f"MR{self.index + 400_000:07d}"

    @property
    def ehr_id(self) -> str:
        """Logical id of the FHIR Patient."""
        return f"pt-{self.index:06d}"

    @property
    def pm_id(self) -> str:
        """Account number in the practice management system."""
        return f"PM{self.index:06d}"

    @property
    def contact_id(self) -> str:
        """Id of the CRM contact."""
        return f"C{self.index:06d}"

    @property
    def is_alive(self) -> bool:
        """Whether the person lives."""
        return self.died_at is None

    def age(self, on: dt.date) -> int:
        """Completed years."""
        before = (on.month, on.day) < (self.birth_date.month, self.birth_date.day)
        return on.year - self.birth_date.year - before

    def coverage_on(self, date: dt.date) -> Coverage | None:
        """The policy that covers a date."""
        return next((coverage for coverage in reversed(self.coverages) if coverage.in_force(date)), None)

    def noted(self, at: dt.datetime, rng: Random, before: Demographics | None, *, in_ehr: bool) -> Demographics:
        """What a clerk who asks everything again would note then; an unchanged number keeps how it was typed.

        The EHR dates most numbers anew (`has_period`); PM does not, so an unchanged number keeps its first date.
        """
        number = self.number.at(at)
        same = before is not None and before.number == number
        has_period = before.has_period if before else in_ehr and rng.random() > 0.08
        return Demographics(
            first=self.first,
            last=self.last.at(at),
            number=number,
            phone_text=before.phone_text if before and same else as_typed(number, rng),
            email=self.email.at(at),
            address=self.address.at(at),
            confirmed_at=at,
            phone_confirmed_at=before.phone_confirmed_at if before and same and not has_period else at,
            updated_at=at,
            referrer=self.referrer,
            has_period=has_period,
        )


def draw_address(rng: Random) -> Address:
    """A made-up home near Boston."""
    city, state, postal_code = rng.choice(TOWNS)
    flat = f" Apt {rng.randrange(1, 40)}" if rng.random() < 0.3 else ""
    return Address(f"{rng.randrange(1, 990)} {rng.choice(STREETS)}{flat}", city, state, postal_code)


def draw_birth_date(rng: Random, today: dt.date, *, child: bool) -> dt.date:
    """A birth date of a child, or of an adult of a practice whose patients are rather old."""
    age = rng.randrange(0, 17) if child else min(int(rng.triangular(19, 95, 56)), 95)
    return today - dt.timedelta(days=age * 365 + rng.randrange(20, 360))


def draw_email(first: str, last: str, index: int, rng: Random) -> str | None:
    """An email address; one person in ten has none."""
    return names.email(first, last, index, rng) if rng.random() > 0.1 else None
