"""How care status, segments and referring providers of CRM contacts went wrong before day 0."""

import datetime as dt
from collections.abc import Callable
from random import Random

from hygiene_pipeline.demo import contacts, pathways
from hygiene_pipeline.demo.contacts import Row
from hygiene_pipeline.demo.people import Person
from hygiene_pipeline.demo.population import Land, settle

Flaw = Callable[[Land, Person, Row, Random], None]


def outdated_status(land: Land, person: Person, row: Row, rng: Random) -> None:
    """A pathway ended or began in the EHR; the CRM still shows what was before."""
    start = land.clock.midnight(0)
    if contacts.expected_status(person) == "none":
        ended = start - dt.timedelta(days=rng.uniform(3, 60))
        kind = "Encounter" if rng.random() < 0.4 else "EpisodeOfCare"
        began = ended - dt.timedelta(days=4 if kind == "Encounter" else rng.uniform(40, 150))
        record = pathways.open_record(kind, f"{kind[:4].lower()}-{person.index:06d}-9", began, person.pcp, rng)
        record.finish(ended, rng)
        person.care.append(record)
    status = contacts.expected_status(person)
    row["care_status"] = "active" if status != "active" else rng.choice(("referred", "none", "completed"))
    before = pathways.condition_segments(person.conditions, row["care_status"])
    row["segments"] = ";".join(before)


def deceased_not_marked(land: Land, person: Person, row: Row, rng: Random) -> None:
    """The EHR knows of the death."""
    start = land.clock.midnight(0)
    seen = person.visits[-1].at
    person.died_at = seen + (start - seen) * rng.uniform(0.3, 0.7)
    if person.pm is None:
        raise ValueError("a flaw needs a patient whom PM knows")
    told_at = person.died_at + (start - person.died_at) * 0.5
    settle(land, person, rng, told_at=(told_at, person.pm.confirmed_at))
    if person.ehr is not None:
        person.ehr.has_period = True


def wrong_segment(land: Land, person: Person, row: Row, rng: Random) -> None:
    """The CRM keeps a patient in a programme of a disease that the EHR does not know of, or misses one."""
    right = contacts.expected_segments(person)
    if right and rng.random() < 0.5:
        row["segments"] = ";".join(right[1:])
    else:
        row["segments"] = ";".join(sorted([*right, rng.choice(sorted(pathways.SEGMENTS - set(right)))]))


def relationship_ended(land: Land, person: Person, row: Row, rng: Random) -> None:
    """The referring provider left the network; PM and CRM still name them."""
    gone = [provider for provider in land.network.referring if provider.ends_on is not None]
    person.referrer = rng.choice(gone).npi
    _write(person, row, person.referrer)


def provider_mismatch(land: Land, person: Person, row: Row, rng: Random) -> None:
    """PM names another provider than the CRM."""
    standing = [provider for provider in land.network.referring[:55] if provider.npi != person.referrer]
    row["referring_provider_npi"] = rng.choice(standing).npi


def not_in_network(land: Land, person: Person, row: Row, rng: Random) -> None:
    """The CRM names somebody with whom there never was a relationship."""
    row["referring_provider_npi"] = rng.choice(land.network.outsiders).npi


def no_provider(land: Land, person: Person, row: Row, rng: Random) -> None:
    """The CRM names nobody."""
    row["referring_provider_npi"] = ""


CARE: tuple[tuple[str, Flaw, float], ...] = (
    ("deceased_not_marked", deceased_not_marked, 0.004),
    ("outdated_status", outdated_status, 0.030),
    ("wrong_segment", wrong_segment, 0.013),
)
REFERRING: tuple[tuple[str, Flaw, float], ...] = (
    ("relationship_ended", relationship_ended, 0.011),
    ("provider_mismatch", provider_mismatch, 0.009),
    ("not_in_network", not_in_network, 0.005),
    ("missing", no_provider, 0.005),
)


def _write(person: Person, row: Row, npi: str) -> None:
    row["referring_provider_npi"] = npi
    for note in (person.ehr, person.pm):
        if note is not None:
            note.referrer = npi
