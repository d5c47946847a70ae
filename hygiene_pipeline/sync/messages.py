"""Winning a number back: ask the patient, at an address that is not the bad number, to confirm the phone.

The gate of who may be asked is SQL (send_gate.py), the words are in templates.py. A message leaves as a line of a
file that whoever delivers it picks up; its `message_id` keeps it from being delivered twice.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from hygiene_pipeline.crm.files import write_whole
from hygiene_pipeline.sync import send_gate
from hygiene_pipeline.sync.calling_hours import day_of, next_opening
from hygiene_pipeline.sync.counting import count_of
from hygiene_pipeline.sync.templates import SMS_LIMIT, render


def plan_messages(con: duckdb.DuckDBPyConnection, *, as_of: datetime) -> int:
    """Plan one message to each contact whose phone is stale, who may be asked, and whose turn it is.

    Whoever would be asked but must not be is noted with the reason. Returns how many are to be asked; a replay
    (the ledger knows later messages) forgets nothing.
    """
    now = {"as_of": as_of}
    name, phone = con.execute("select name, phone from policy.practice").fetchone() or ("", "")
    text_fits = len(render("confirm_phone_sms", practice=name, phone=phone).text) <= SMS_LIMIT
    if not count_of(con, send_gate.LATER_MESSAGES, now):
        con.execute(send_gate.FORGET_UNSENT, now)
    con.execute(send_gate.PLAN, {**now, "text_fits": text_fits})
    return count_of(con, send_gate.PLANNED, now)


def write_messages(con: duckdb.DuckDBPyConnection, outbox: Path, *, as_of: datetime) -> int:
    """Hand over what this pass planned: `messages/<date>.ndjson` in the outbox, all messages of the local day.

    `sent_at` is when a message may be delivered: now, or outside the practice's hours when they next begin. The
    file is written before the ledger says so; killed in between, the same lines are written again. Returns how many
    were handed over; a replay hands over none.
    """
    if count_of(con, send_gate.LATER_MESSAGES, {"as_of": as_of}):
        return 0
    zone_name, from_hour, to_hour = con.execute(
        "select clock.timezone, reengagement.quiet_from_hour, reengagement.quiet_to_hour"
        " from policy.clock as clock cross join policy.reengagement as reengagement"
    ).fetchone() or ("UTC", 9, 20)
    zone = ZoneInfo(zone_name)
    sent_at = next_opening(as_of, zone=zone, from_hour=from_hour, to_hour=to_hour)
    day, begins, ends = day_of(as_of, zone=zone)
    rows = con.execute(
        send_gate.OF_THE_DAY, {"as_of": as_of, "sent_at": sent_at, "begins": begins, "ends": ends}
    ).fetchall()
    if rows:
        write_whole(outbox / "messages" / f"{day}.ndjson", "".join(_line(*row) for row in rows))
    return count_of(con, send_gate.SENT, {"as_of": as_of, "sent_at": sent_at})


def _line(message_id: str, contact_id: str, channel: str, address_kind: str, template: str, sent_at: datetime) -> str:
    fields = {
        "message_id": message_id,
        "contact_id": contact_id,
        "channel": channel,
        "address_kind": address_kind,
        "template": template,
        "sent_at": sent_at.astimezone(UTC).isoformat(),
    }
    return json.dumps(fields) + "\n"
