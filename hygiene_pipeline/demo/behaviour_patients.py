"""Patients who get a message and confirm their number, give a new one, opt out, or never answer."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hygiene_pipeline.demo import knowledge
from hygiene_pipeline.demo.emit_files import write_ndjson
from hygiene_pipeline.demo.people import Person
from hygiene_pipeline.demo.phones import as_typed, digits_of
from hygiene_pipeline.demo.world import World

ANSWERS_A_MESSAGE = 0.2  # two in five over three tries, of those who ever answer
STOPS = 0.012
BAD_REPLY = '{"contact_id":"","received_at":"","channel":"sms","kind":"yes please"}\n{"contact_id":"C00\n'


@dataclass(frozen=True, slots=True)
class Reply:
    """What a patient will send back, and when; what their number is by then shows when the reply arrives."""

    person: Person
    at: dt.datetime
    channel: str
    asked_about: str
    stops: bool

    @property
    def number(self) -> str:
        """The number that the patient gives, or an empty string."""
        return "" if self.stops else self.person.number.at(self.at)

    @property
    def kind(self) -> str:
        """As `replies/*.ndjson` names it."""
        if self.stops:
            return "stop"
        return "confirm_phone" if self.asked_about == self.number else "change_phone"


@dataclass(slots=True)
class Inbox:
    """Messages already seen and replies on their way."""

    seen: set[str] = field(default_factory=set)
    waiting: list[Reply] = field(default_factory=list)

    def receive(self, world: World, outbox: Path, contacts: Mapping[str, Mapping[str, str | None]], day: int) -> None:
        """Read the messages that were sent since the last time and decide who will answer what."""
        people = {person.contact_id: person for person in world.living()}
        rng = world.stream("replies", day)
        for message in _messages(outbox):
            if message["message_id"] in self.seen:
                continue
            self.seen.add(message["message_id"])
            person = people.get(message["contact_id"])
            row = contacts.get(message["contact_id"])
            roll, hours = rng.random(), rng.uniform(0.1, 60)
            if person is None or row is None or not _reaches(person, row, message) or not person.answers:
                continue
            if roll < ANSWERS_A_MESSAGE:
                self.waiting.append(_reply(person, row, message, hours, stops=roll < STOPS))

    def deliver(self, world: World, landing: Path, day: int) -> None:
        """Drop the replies that arrived before this day."""
        until = world.clock.midnight(day)
        rng = world.stream("typing", day)
        due = sorted(
            (reply for reply in self.waiting if reply.at < until), key=lambda each: (each.at, each.person.index)
        )
        self.waiting = [reply for reply in self.waiting if reply.at >= until]
        records = []
        for reply in due:
            record: dict[str, object] = {
                "contact_id": reply.person.contact_id,
                "received_at": world.clock.text(reply.at),
                "channel": reply.channel,
                "kind": reply.kind,
                "value": as_typed(reply.number, rng) if reply.number else None,
            }
            records.append(record)
            if reply.number:
                knowledge.show_reply(world, reply.person.contact_id, reply.number, reply.at, until)
        if records:
            bad = BAD_REPLY if len(records) > 20 else ""
            write_ndjson(landing / "replies" / f"{world.clock.date(day - 1).isoformat()}.ndjson", records, tail=bad)


def _messages(outbox: Path) -> Iterator[dict[str, str]]:
    for path in sorted((outbox / "messages").glob("*.ndjson")):
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)


def _reaches(person: Person, row: Mapping[str, str | None], message: Mapping[str, str]) -> bool:
    """Whether the address that the message went to is really the patient's."""
    if message["address_kind"] == "email":
        return person.email.now is not None and row.get("email") == person.email.now
    return person.alternate is not None and digits_of(row.get("alternate_phone")) == person.alternate


def _reply(
    person: Person, row: Mapping[str, str | None], message: Mapping[str, str], hours: float, *, stops: bool
) -> Reply:
    at = dt.datetime.fromisoformat(message["sent_at"]).astimezone(dt.UTC) + dt.timedelta(hours=hours)
    return Reply(person, at, message["channel"], digits_of(row.get("phone")), stops)
