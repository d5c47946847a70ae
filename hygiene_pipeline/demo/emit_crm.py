"""The CRM's own files: the contacts that seed it on day 0, and the log of calls and messages."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from random import Random

from hygiene_pipeline.demo.contacts import COLUMNS
from hygiene_pipeline.demo.emit_files import write_csv
from hygiene_pipeline.demo.world import World

INTERACTIONS = (
    "interaction_id", "contact_id", "occurred_at", "channel", "direction", "kind", "outcome", "staff", "topic",
    "resolved_at", "score",
)  # fmt: skip
OUTCOMES = {
    "sms": ("delivered", "delivered", "delivered", "replied", "undelivered"),
    "email": ("delivered", "delivered", "opened", "opened", "bounced"),
    "call": ("answered", "answered", "voicemail", "no_answer", "wrong_number"),
}
TOPICS = ("appointment_reminder", "care_gap", "billing", "newsletter", "referral")
DAILY_SHARE = 0.02
BAD_INTERACTION = "I-bad-1,C000001,the other day,sms,outbound,outreach,delivered,,newsletter,,\n,,,,,,,,,,\n"


def emit_contacts(world: World, landing: Path) -> None:
    """The seed of the CRM."""
    rows = [[row[column] for column in COLUMNS] for row in world.contacts.values()]
    write_csv(landing / "crm" / "contacts.csv", COLUMNS, rows)


def emit_interactions(world: World, landing: Path, day: int) -> None:
    """A year and a half of history on day 0, then each day's own."""
    rng = world.stream("interactions", day)
    rows = list(_history(world, rng) if day == 0 else _today(world, day, rng))
    bad = BAD_INTERACTION if day == 0 else ""
    write_csv(landing / "crm" / "interactions.csv", INTERACTIONS, rows, tail=bad)


def _history(world: World, rng: Random) -> Iterator[list[object]]:
    start = world.clock.midnight(0)
    for person in world.patients:
        for number in range(rng.choice((0, 1, 1, 2, 3))):
            at = start - dt.timedelta(days=rng.uniform(1, 540))
            yield _interaction(world, f"I-{person.index:06d}-{number}", person.contact_id, at, rng)


def _today(world: World, day: int, rng: Random) -> Iterator[list[object]]:
    yesterday = world.clock.midnight(day - 1)
    for person in world.living():
        if rng.random() < DAILY_SHARE:
            at = yesterday + dt.timedelta(hours=rng.uniform(9, 18))
            yield _interaction(world, f"I-{person.index:06d}-d{day:04d}", person.contact_id, at, rng)


def _interaction(world: World, key: str, contact_id: str, at: dt.datetime, rng: Random) -> list[object]:
    channel = rng.choice(("sms", "sms", "email", "call"))
    text = world.clock.text
    is_inbound = rng.random() < 0.25
    roll = rng.random()
    kind = ("complaint" if roll < 0.1 else "inquiry") if is_inbound else ("survey" if roll < 0.15 else "outreach")
    resolved = text(at + dt.timedelta(hours=rng.uniform(0.5, 90))) if kind == "complaint" and roll < 0.08 else ""
    return [
        key, contact_id, text(at), channel, "inbound" if is_inbound else "outbound", kind,
        "resolved" if resolved else "open" if kind == "complaint" else rng.choice(OUTCOMES[channel]),
        rng.choice(("coordinator-1", "coordinator-2", "")), rng.choice(TOPICS), resolved,
        rng.randrange(0, 11) if kind == "survey" else "",
    ]  # fmt: skip
