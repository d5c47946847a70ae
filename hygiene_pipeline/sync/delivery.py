"""Handing planned messages over to vendors, each at most once, whatever is killed in between.

The ledger says `sending` before a vendor is called and what became of it after. A stop that a vendor knows of becomes
a reply like any other, so that every channel heeds it. Call it outside a transaction: each step is kept at once.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from hygiene_pipeline.failures import HygieneError
from hygiene_pipeline.message.protocol import Channel, ChannelDownError, ChannelRefusedError, Message, Receipt, Verdict
from hygiene_pipeline.practice import Practice
from hygiene_pipeline.private_files import write_whole
from hygiene_pipeline.sync import message_ledger
from hygiene_pipeline.sync.calling_hours import next_opening
from hygiene_pipeline.sync.messages import is_replay
from hygiene_pipeline.sync.templates import Template, render
from hygiene_pipeline.sync.unread_replies import UnreadReplies

# A vendor that takes none of so many in a row is asked no more in this pass.
_MOST_FAILURES_IN_A_ROW = 5
# Patients are not asked about what was wrong at another time.
_OLDEST_PASS = timedelta(days=1)

_STATES = {
    Verdict.SENT: ("sent", None),
    Verdict.OPTED_OUT: ("failed", "opted_out"),
    Verdict.BAD_ADDRESS: ("failed", "bad_address"),
    Verdict.REFUSED: ("failed", "refused"),
    Verdict.BUSY: ("planned", None),
    Verdict.UNCONFIRMED: ("unconfirmed", "no_answer"),
}
_REACHED_SOMEBODY = {Verdict.SENT, Verdict.OPTED_OUT, Verdict.BAD_ADDRESS}


@dataclass(frozen=True, kw_only=True)
class _Planned:
    """A message of the ledger with the address as it is now."""

    message_id: str
    contact_id: str
    template: Template
    address: str
    sent_at: datetime | None
    address_key: str | None


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One pass over the vendors: whose, as of when, what time it is, and where a reply is dropped."""

    practice: Practice
    as_of: datetime
    now: Callable[[], datetime]
    landing: Path

    def may_write_to_people(self) -> bool:
        """Whether it is within the practice's hours, and this pass is of today."""
        at = self.now()
        policy = self.practice.policies.reengagement
        opening = next_opening(
            at, zone=self.practice.zone, from_hour=policy.quiet_to_hour, to_hour=policy.quiet_from_hour
        )
        return opening <= at and abs(at - self.as_of) <= _OLDEST_PASS


def send_messages(con: duckdb.DuckDBPyConnection, channels: Mapping[str, Channel], this: Pass) -> Counter[str]:
    """Hand over what this pass planned for each vendor; how many ended in which state.

    What is not handed over (out of hours, a reply not read yet, a vendor that is busy or away) stays planned, and the
    next pass plans it anew. Raises, after every channel had its turn, ChannelRefusedError or ChannelDownError of the
    first that failed.
    """
    ended: Counter[str] = Counter()
    failures: list[HygieneError] = []
    _settle_interrupted(con, channels, this)
    _follow(con, channels, this)
    if is_replay(con, as_of=this.as_of):
        return ended
    for name, channel in channels.items():
        try:
            for verdict in _hand_over(con, name, channel, this):
                ended[_STATES[verdict][0]] += 1
        except (ChannelRefusedError, ChannelDownError) as error:
            failures.append(error)
    if failures:
        raise failures[0]
    return ended


def _hand_over(con: duckdb.DuckDBPyConnection, name: str, channel: Channel, this: Pass) -> Iterator[Verdict]:
    """One message after another, while it is the hour for it, no reply waits to be read and the vendor takes them."""
    in_a_row = 0
    waiting = _messages(con, message_ledger.TO_SEND, as_of=this.as_of, channel=name)
    unread = UnreadReplies(con, this.landing)
    for planned in waiting:
        if not this.may_write_to_people() or unread.are_there():
            return
        verdict = _send(con, channel, planned, this)
        yield verdict
        in_a_row = 0 if verdict in _REACHED_SOMEBODY else in_a_row + 1
        if in_a_row == _MOST_FAILURES_IN_A_ROW:
            told = f"{channel.name}: took none of {in_a_row} messages in a row; the others wait for the next run"
            raise ChannelDownError(told)


def _send(con: duckdb.DuckDBPyConnection, channel: Channel, planned: _Planned, this: Pass) -> Verdict:
    message = _message(planned, at=this.now(), practice=this.practice)
    con.execute(
        message_ledger.BEGIN,
        {
            "message_id": planned.message_id,
            "at": message.at,
            "provider": channel.name,
            "address_key": _key_of(planned.address),
        },
    )
    try:
        receipt = channel.send(message)
    except ChannelRefusedError:
        _settle(con, planned, Receipt(verdict=Verdict.BUSY))
        raise
    if receipt.verdict is Verdict.OPTED_OUT:
        _drop_stop(this.landing, planned.message_id, planned.contact_id, at=message.at)
    _settle(con, planned, receipt)
    return receipt.verdict


def _settle_interrupted(con: duckdb.DuckDBPyConnection, channels: Mapping[str, Channel], this: Pass) -> None:
    """What a crash left in `sending` is never sent again: the vendor may know what became of it, else nobody does."""
    for name, channel in channels.items():
        for planned in _messages(con, message_ledger.INTERRUPTED, channel=name, provider=channel.name):
            if planned.sent_at is None or _key_of(planned.address) != planned.address_key:
                continue
            receipt = channel.look_up(_message(planned, at=planned.sent_at, practice=this.practice))
            if receipt and receipt.verdict is not Verdict.BUSY:
                _settle(con, planned, receipt)
    con.execute(message_ledger.GIVE_UP)


def _follow(con: duckdb.DuckDBPyConnection, channels: Mapping[str, Channel], this: Pass) -> None:
    """What became of the messages of the last days: their costs, and numbers that carriers could not reach."""
    for name, channel in channels.items():
        sent = {"provider": channel.name, "channel": name, "at": this.now()}
        for message_id, contact_id, vendor_id in con.execute(message_ledger.TO_FOLLOW, sent).fetchall():
            receipt = channel.follow(vendor_id)
            if receipt is None:
                break
            if receipt.verdict is Verdict.OPTED_OUT:
                _drop_stop(this.landing, message_id, contact_id, at=this.now())
            state, reason = _STATES[receipt.verdict]
            found = {"state": state, "reason": reason, "code": receipt.code, "cost_usd": receipt.cost_usd}
            con.execute(message_ledger.FOLLOWED, {"message_id": message_id, **found})


def _message(planned: _Planned, *, at: datetime, practice: Practice) -> Message:
    body = render(planned.template, practice)
    return Message(message_id=planned.message_id, at=at, address=planned.address, subject=body.subject, text=body.text)


def _messages(con: duckdb.DuckDBPyConnection, query: str, **parameters: object) -> list[_Planned]:
    names = _Planned.__dataclass_fields__
    rows = con.execute(query, parameters).fetchall()
    return [_Planned(**dict(zip(names, row, strict=True))) for row in rows]


def _settle(con: duckdb.DuckDBPyConnection, planned: _Planned, receipt: Receipt) -> None:
    state, reason = _STATES[receipt.verdict]
    con.execute(
        message_ledger.SETTLE,
        {
            "message_id": planned.message_id,
            "state": state,
            "reason": reason,
            "vendor_id": receipt.vendor_id,
            "code": receipt.code,
            "cost_usd": receipt.cost_usd,
        },
    )


def _drop_stop(landing: Path, message_id: str, contact_id: str, *, at: datetime) -> None:
    """The reply that the patient gave to the vendor, put where replies arrive; the same one is the same file."""
    reply = {
        "contact_id": contact_id,
        "received_at": at.astimezone(UTC).isoformat(),
        "channel": "sms",
        "kind": "stop",
        "value": "STOP",
    }
    write_whole(landing / "replies" / f"stop_{message_id}.ndjson", json.dumps(reply) + "\n")


def _key_of(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()
