"""The providers of the practice and the network that refers to it, with check-digit-valid NPIs that nobody holds."""

import datetime as dt
from dataclasses import dataclass, field
from random import Random

from hygiene_pipeline.demo import names

SPECIALTIES = {
    "Family Medicine": "207Q00000X",
    "Internal Medicine": "207R00000X",
    "Cardiovascular Disease": "207RC0000X",
    "Pulmonary Disease": "207RP1001X",
    "Orthopaedic Surgery": "207X00000X",
    "Endocrinology": "207RE0101X",
    "Obstetrics & Gynecology": "207V00000X",
    "Physical Therapy": "225100000X",
}
GROUPS = (
    "Charles Valley Physicians",
    "Beacon Hill Medical Group",
    "Harborview Clinic",
    "Mystic Specialists",
    "Elm Street Care",
)


@dataclass(slots=True)
class Provider:
    """A clinician; `ends_on` is the last day on which the referral relationship stands."""

    npi: str
    first: str
    last: str
    specialty: str
    organization: str
    effective: dt.date
    ends_on: dt.date | None = None

    @property
    def name(self) -> str:
        """As a directory prints it."""
        return f"{self.first} {self.last}, MD"

    def stands_on(self, date: dt.date) -> bool:
        """Whether the relationship stands on a date, the last day included."""
        return self.ends_on is None or date <= self.ends_on


@dataclass(slots=True)
class Network:
    """Practice providers, the providers that refer to it, and NPIs that are in no network at all."""

    practice: list[Provider]
    referring: list[Provider]
    outsiders: list[Provider]
    by_npi: dict[str, Provider] = field(init=False)

    def __post_init__(self) -> None:
        self.by_npi = {provider.npi: provider for provider in self.referring}

    def stands(self, npi: str, date: dt.date) -> bool:
        """Whether a referring provider is in the network on a date."""
        provider = self.by_npi.get(npi)
        return provider is not None and provider.stands_on(date)


def npi(number: int) -> str:
    """A ten-digit NPI with its Luhn check digit, computed over the 80840 prefix; 19… is not yet handed out."""
    body = f"19{number:07d}"
    total = 0
    for place, char in enumerate(reversed("80840" + body)):
        doubled = int(char) * (2 if place % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return body + str(-total % 10)


def build_network(rng: Random, start: dt.date) -> Network:
    """Five practice providers, sixty referring ones (five of whom left last year) and six outsiders."""
    people = [_provider(rng, index, start) for index in range(71)]
    for provider in people[:5]:
        provider.specialty, provider.organization = "Family Medicine", "Riverside Primary Care"
    for provider in people[60:65]:
        provider.ends_on = start - dt.timedelta(days=rng.randrange(8, 200))
    return Network(practice=people[:5], referring=people[5:65], outsiders=people[65:])


def _provider(rng: Random, index: int, start: dt.date) -> Provider:
    return Provider(
        npi=npi(4_100_000 + index * 137 + rng.randrange(130)),
        first=names.first_name(rng.choice("FM"), rng),
        last=names.last_name(rng),
        specialty=rng.choice(tuple(SPECIALTIES)),
        organization=rng.choice(GROUPS),
        effective=start - dt.timedelta(days=rng.randrange(900, 3000)),
    )
