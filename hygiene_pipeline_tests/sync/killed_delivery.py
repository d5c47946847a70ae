"""One pass over a vendor in a process of its own, which kills itself as `kill -9` would at a chosen point.

Run as `python -m hygiene_pipeline_tests.sync.killed_delivery FOLDER POINT email PORT` or `… sms URL`: POINT is `never`,
or `<place>:<n>` with a place of `intended` (the ledger says that the n-th message is being sent, the vendor has not got
it) or `sent` (the vendor has it, the ledger does not know yet).
"""

import sys
from pathlib import Path
from typing import Any

import duckdb

from hygiene_pipeline.message.protocol import Channel, Message, Receipt
from hygiene_pipeline.message.smtp import SmtpChannel, SmtpServer
from hygiene_pipeline.message.twilio_sms import TwilioAccount, TwilioSmsChannel
from hygiene_pipeline.sync import message_ledger
from hygiene_pipeline.sync.delivery import Pass, send_messages
from hygiene_pipeline.sync.messages import plan_messages
from hygiene_pipeline_tests.message.twilio_server import ACCOUNT, OFFICE, SECRET
from hygiene_pipeline_tests.sync.bed import AS_OF
from hygiene_pipeline_tests.sync.killed_sync import Countdown
from hygiene_pipeline_tests.sync.practices import RIVERSIDE


class MortalConnection:
    """A DuckDB connection with a countdown after each message that is about to be sent."""

    def __init__(self, con: duckdb.DuckDBPyConnection, countdown: Countdown) -> None:
        self._con = con
        self._countdown = countdown

    def execute(self, *args: Any) -> duckdb.DuckDBPyConnection:
        answer = self._con.execute(*args)
        if args[0] == message_ledger.BEGIN:
            self._countdown.passed("intended")
        return answer


class MortalChannel(Channel):
    """A vendor with a countdown after it took a message."""

    def __init__(self, channel: Channel, countdown: Countdown) -> None:
        self.name = channel.name
        self._channel = channel
        self._countdown = countdown

    def send(self, message: Message) -> Receipt:
        receipt = self._channel.send(message)
        self._countdown.passed("sent")
        return receipt

    def look_up(self, message: Message) -> Receipt | None:
        return self._channel.look_up(message)

    def examine(self) -> str:
        return self._channel.examine()

    def close(self) -> None:
        self._channel.close()


def channel_at(name: str, place: str) -> Channel:
    if name == "sms":
        return TwilioSmsChannel(TwilioAccount(account_sid=ACCOUNT, secret=SECRET, sender=OFFICE, base_url=place))
    return SmtpChannel(SmtpServer(host="127.0.0.1", port=int(place), security="none", sender="office@example.org"))


def main(folder: Path, point: str, name: str, place: str) -> None:
    con = duckdb.connect(str(folder / "warehouse.duckdb"))
    con.execute("set timezone = 'UTC'")
    con.execute("set threads = 1")
    countdown = Countdown(point)
    channel = MortalChannel(channel_at(name, place), countdown)
    plan_messages(con, RIVERSIDE, as_of=AS_OF)
    this = Pass(practice=RIVERSIDE, as_of=AS_OF, now=lambda: AS_OF, landing=folder / "landing")
    send_messages(MortalConnection(con, countdown), {name: channel}, this)  # type: ignore[arg-type]
    channel.close()
    con.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
