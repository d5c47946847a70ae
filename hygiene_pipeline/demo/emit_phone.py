"""Carrier answers in `phone/lookups.csv`: the numbers never validated on day 0, afterwards what was asked for."""

import csv
import datetime as dt
from collections.abc import Iterable
from pathlib import Path

from hygiene_pipeline.demo.clock import DAY
from hygiene_pipeline.demo.emit_files import write_csv
from hygiene_pipeline.demo.phones import PLACEHOLDERS, Lookup, digits_of, e164, is_dialable
from hygiene_pipeline.demo.world import World

LOOKUPS = ("phone", "checked_at", "valid", "line_type", "line_status", "reassigned", "provider")
PLACEHOLDER_DIGITS = frozenset(digits_of(text) for text in PLACEHOLDERS)
BAD_LOOKUPS = "not a phone,2026-01-04T03:00:00-05:00,perhaps,mobile,active,no,carrierlink\n,,,,,,\n"


def never_validated(world: World) -> list[Lookup]:
    """Answers for every contact's number that was never validated, bought the day before the first run."""
    at = world.clock.midnight(0) - DAY + dt.timedelta(hours=6)
    asked = dict.fromkeys(
        digits_of(row["phone"])
        for row in world.contacts.values()
        if not row["last_phone_verified"] and row["is_active"] == "true"
    )
    dialable = [number for number in asked if is_asked_for(number)]
    return [answer_at(world, number, at, place) for place, number in enumerate(dialable)]


def requested(world: World, request: Path, at: dt.datetime) -> list[Lookup]:
    """Answers to the request file that the last run left, if it left one."""
    if not request.exists():
        return []
    with request.open(encoding="utf-8", newline="") as file:
        numbers = dict.fromkeys(digits_of(row.get("phone")) for row in csv.DictReader(file))
    return [
        answer_at(world, number, at, place)
        for place, number in enumerate(each for each in numbers if is_asked_for(each))
    ]


def is_asked_for(number: str) -> bool:
    """Whether anybody would pay for a lookup of it."""
    return bool(number) and is_dialable(number) and number not in PLACEHOLDER_DIGITS


def answer_at(world: World, number: str, at: dt.datetime, place: int) -> Lookup:
    """An answer; the carrier takes a tenth of a second for each."""
    return world.land.carriers.answer(number, at + dt.timedelta(seconds=place // 10))


def emit_lookups(world: World, landing: Path, lookups: Iterable[Lookup], *, bad: bool) -> None:
    """Write the answers; nothing if there are none."""
    text = world.clock.text
    rows = [
        [
            e164(lookup.number), text(lookup.checked_at), str(lookup.valid).lower(), lookup.line_type,
            lookup.line_status, lookup.reassigned, "carrierlink",
        ]
        for lookup in lookups
    ]  # fmt: skip
    if rows:
        write_csv(landing / "phone" / "lookups.csv", LOOKUPS, rows, tail=BAD_LOOKUPS if bad else "")
