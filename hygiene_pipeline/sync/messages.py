"""Winning a number back: ask the patient, at an address that is not the bad number, to confirm the phone.

The gate of who may be asked is SQL (send_gate.py), the words are policy (templates.py). What leaves by files is
written here, as lines for whoever delivers them; what leaves by a vendor is handed over in delivery.py.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from hygiene_pipeline.practice import Practice
from hygiene_pipeline.private_files import write_whole
from hygiene_pipeline.sync import message_ledger, send_gate
from hygiene_pipeline.sync.calling_hours import day_of, next_opening
from hygiene_pipeline.sync.counting import count_of
from hygiene_pipeline.sync.templates import SMS_LIMIT, Template, render

CHANNELS = ("email", "sms")


@dataclass(frozen=True, kw_only=True)
class _Line:
    """A message as a line of a file: no address, so that it is looked up when it is delivered."""

    message_id: str
    contact_id: str
    channel: str
    address_kind: str
    template: Template
    sent_at: datetime

    def fields(self) -> dict[str, str]:
        """What the line says, in the order of its keys."""
        return {**vars(self), "sent_at": self.sent_at.astimezone(UTC).isoformat()}


def plan_messages(con: duckdb.DuckDBPyConnection, practice: Practice, *, as_of: datetime) -> int:
    """Plan one message to each contact whose phone is stale, who may be asked, and whose turn it is.

    Whoever would be asked but must not be is noted with the reason. Returns how many are to be asked; a replay
    (the ledger knows later messages) forgets nothing.
    """
    now = {"as_of": as_of}
    text_fits = len(render("confirm_phone_sms", practice).text) <= SMS_LIMIT
    if not is_replay(con, as_of=as_of):
        con.execute(send_gate.FORGET_UNSENT, now)
    carried = [channel for channel in CHANNELS if _kind_of(practice, channel) != "off"]
    con.execute(send_gate.PLAN, {**now, "text_fits": text_fits, "carried": carried})
    return count_of(con, send_gate.PLANNED, now)


def is_replay(con: duckdb.DuckDBPyConnection, *, as_of: datetime) -> bool:
    """Whether a later pass has planned messages already: then this one hands over none."""
    return bool(count_of(con, send_gate.LATER_MESSAGES, {"as_of": as_of}))


def write_messages(con: duckdb.DuckDBPyConnection, practice: Practice, outbox: Path, *, as_of: datetime) -> int:
    """Hand over what this pass planned for files: `messages/<date>.ndjson`, all messages of the local day.

    `sent_at` is when a message may be delivered: now, or outside the practice's hours when they next begin. The
    file is written before the ledger says so; killed in between, the same lines are written again. Returns how many
    were handed over; a replay hands over none.
    """
    if is_replay(con, as_of=as_of):
        return 0
    channels = [channel for channel in CHANNELS if _kind_of(practice, channel) == "files"]
    sent_at = _opening(practice, as_of)
    day, lines = _lines(con, practice, channels, as_of=as_of)
    if lines:
        write_whole(outbox / "messages" / f"{day}.ndjson", "".join(_json(line.fields()) for line in lines))
    return count_of(con, message_ledger.SENT_IN_FILES, {"as_of": as_of, "sent_at": sent_at, "channels": channels})


def show_messages(con: duckdb.DuckDBPyConnection, practice: Practice, outbox: Path, *, as_of: datetime) -> int:
    """The dry run: `messages_dry_run/<date>.ndjson` shows what would be sent, in which words; nothing is sent.

    Returns how many messages would be sent now.
    """
    if is_replay(con, as_of=as_of):
        return 0
    day, lines = _lines(con, practice, CHANNELS, as_of=as_of)
    words = {template: vars(render(template, practice)) for template in {line.template for line in lines}}
    text = "".join(_json({**line.fields(), **words[line.template]}) for line in lines)
    write_whole(outbox / "messages_dry_run" / f"{day}.ndjson", text)
    return len(lines)


def _lines(
    con: duckdb.DuckDBPyConnection, practice: Practice, channels: Collection[str], *, as_of: datetime
) -> tuple[str, list[_Line]]:
    """The local date, and all messages of that day."""
    day, begins, ends = day_of(as_of, zone=practice.zone)
    rows = con.execute(
        message_ledger.OF_THE_DAY,
        {
            "as_of": as_of,
            "sent_at": _opening(practice, as_of),
            "begins": begins,
            "ends": ends,
            "channels": list(channels),
        },
    ).fetchall()
    names = _Line.__dataclass_fields__
    return day.isoformat(), [_Line(**dict(zip(names, row, strict=True))) for row in rows]


def _opening(practice: Practice, at: datetime) -> datetime:
    policy = practice.policies.reengagement
    return next_opening(at, zone=practice.zone, from_hour=policy.quiet_to_hour, to_hour=policy.quiet_from_hour)


def _kind_of(practice: Practice, channel: str) -> str:
    return practice.messages.email.kind if channel == "email" else practice.messages.sms.kind


def _json(fields: Mapping[str, str | None]) -> str:
    return json.dumps(fields) + "\n"
