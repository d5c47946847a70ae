"""Messages are handed to vendors once each, whatever fails, and a stop that a vendor knows of stops every channel."""

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from hygiene_pipeline.failures import HygieneError, KeyProblemError
from hygiene_pipeline.landing.file import LandingFile
from hygiene_pipeline.landing.ledger import content_id, mark_taken
from hygiene_pipeline.message.protocol import ChannelDownError, ChannelRefusedError
from hygiene_pipeline.message.smtp import SmtpChannel, SmtpServer
from hygiene_pipeline.message.twilio_sms import TwilioAccount, TwilioSmsChannel
from hygiene_pipeline.privacy.agreements import AgreementMissingError
from hygiene_pipeline.sync.channels import open_channels
from hygiene_pipeline.sync.delivery import Pass, send_messages
from hygiene_pipeline.sync.messages import plan_messages
from hygiene_pipeline_tests.message.mail_server import MailServer, mail_server
from hygiene_pipeline_tests.message.twilio_server import ACCOUNT, OFFICE, SECRET, Failure, TwilioServer, twilio_server
from hygiene_pipeline_tests.sync.bed import AS_OF, Bed
from hygiene_pipeline_tests.sync.practices import RIVERSIDE, practice_with


class Office:
    """A practice with a mail server and Twilio, whose passes can be run one after another."""

    def __init__(self, bed: Bed, folder: Path, mail: MailServer, port: int, twilio: TwilioServer, address: str) -> None:
        self.bed = bed
        self.landing = folder / "landing"
        self.mail = mail
        self.twilio = twilio
        smtp = SmtpServer(host="127.0.0.1", port=port, security="none", sender="office@example.org")
        account = TwilioAccount(account_sid=ACCOUNT, secret=SECRET, sender=OFFICE, base_url=address)
        self.channels = {
            "email": SmtpChannel(smtp, pause=lambda _: None),
            "sms": TwilioSmsChannel(account, pause=lambda _: None),
        }

    def person(self, number: int, *, by: str = "email", **changes: Any) -> str:
        """Somebody whose phone is disconnected and who may be asked by email or by text."""
        contact_id = f"C{number:02}"
        addresses = {"email": f"person{number}@example.org", "alternate_phone": None}
        if by != "email":
            addresses = {"email": None, "alternate_phone": f"+161725312{number:02}"}
        if by == "both":
            addresses["email"] = f"person{number}@example.org"
        self.bed.contact(contact_id=contact_id, **{**addresses, **changes})
        self.bed.status(contact_id, phone_state="stale", phone_reason="disconnected")
        return contact_id

    def run(self, as_of: datetime = AS_OF, *, now: datetime | None = None) -> Counter[str]:
        """Plan and hand over."""
        self.bed.clock(as_of)
        self.twilio.at = now or as_of
        plan_messages(self.bed.con, RIVERSIDE, as_of=as_of)
        this = Pass(practice=RIVERSIDE, as_of=as_of, now=lambda: now or as_of, landing=self.landing)
        return send_messages(self.bed.con, self.channels, this)

    def ledger(self, *columns: str) -> list[tuple[Any, ...]]:
        return self.bed.rows(f"select {', '.join(columns)} from sync.message order by planned_at, contact_id, state")


@pytest.fixture(scope="module")
def shared_bed() -> Bed:
    return Bed()


@pytest.fixture
def office(shared_bed: Bed, tmp_path: Path) -> Iterator[Office]:
    shared_bed.empty()
    with mail_server() as (mail, port), twilio_server(AS_OF) as (twilio, address):
        found = Office(shared_bed, tmp_path, mail, port, twilio, address)
        yield found
        for channel in found.channels.values():
            channel.close()


NEXT_DAY = AS_OF + timedelta(days=1)


def test_each_vendor_carries_its_own(office: Office) -> None:
    office.person(1)
    office.person(2, by="sms")
    office.twilio.price = "-0.0079"
    assert office.run() == {"sent": 2}
    assert office.mail.recipients == ["person1@example.org"]
    assert [made["to"] for made in office.twilio.made] == ["+16172531202"]
    ((message_id, *_), _) = rows = office.ledger(
        "message_id", "contact_id", "state", "provider", "vendor_id", "cost_usd"
    )
    assert [row[1:] for row in rows] == [
        ("C01", "sent", "smtp", f"<{message_id}@example.org>", None),
        ("C02", "sent", "twilio", office.twilio.made[0]["sid"], pytest.approx(0.0079)),
    ]


def test_what_leaves_says_nothing_of_the_patient(office: Office) -> None:
    office.person(1, by="both", first_name="Xyzzyq", care_status="active", segments=["diabetes"])
    office.person(2, by="sms", first_name="Xyzzyq")
    office.run()
    said = f"{office.mail.taken[0]} {office.twilio.made}".lower()
    assert "riverside primary care" in said
    assert not [word for word in ("xyzzyq", "silva", "diabetes", "c01", "6172530000") if word in said]


def test_a_rerun_of_a_pass_hands_over_nothing(office: Office) -> None:
    office.person(1, by="both")
    assert office.run() == {"sent": 1}
    assert office.run() == {}
    assert office.run(AS_OF + timedelta(hours=1)) == {}
    assert len(office.mail.taken) == 1


def test_a_stop_that_twilio_knows_of_is_a_reply_and_stops_every_channel(office: Office) -> None:
    office.person(1, by="sms")
    office.twilio.failures = [Failure(status=400, code=21610)]
    assert office.run() == {"failed": 1}
    ((message_id, state, reason, code),) = office.ledger("message_id", "state", "reason", "code")
    assert (state, reason, code) == ("failed", "opted_out", "21610")
    (path,) = (office.landing / "replies").iterdir()
    assert path.name == f"stop_{message_id}.ndjson"
    assert json.loads(path.read_text()) == {
        "contact_id": "C01",
        "received_at": "2026-03-02T15:00:00+00:00",
        "channel": "sms",
        "kind": "stop",
        "value": "STOP",
    }
    office.bed.con.execute("update staging.crm_contact set email = 'person1@example.org'")
    assert office.run(NEXT_DAY) == {}
    assert office.ledger("state", "reason")[-1] == ("suppressed", "opted_out")
    assert (office.mail.taken, office.twilio.made) == ([], [])


def stop_arrives(office: Office, name: str = "evening.ndjson") -> LandingFile:
    """A file of replies, not taken yet."""
    path = office.landing / "replies" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"contact_id": "C01", "kind": "stop"}\n')
    return LandingFile(file_id=content_id(path), place="replies", name=f"replies/{name}", path=path, take_seq=1)


def test_nobody_is_written_to_before_a_reply_is_read(office: Office) -> None:
    office.person(1)
    reply = stop_arrives(office)
    assert office.run() == {}
    assert office.ledger("state") == [("planned",)]
    mark_taken(office.bed.con, reply, 1, taken_at=AS_OF)
    assert office.run(AS_OF + timedelta(hours=1)) == {"sent": 1}


def test_a_reply_that_arrives_during_a_pass_ends_it(office: Office) -> None:
    for number in (1, 2, 3):
        office.person(number)

    def reply_to_the_first() -> None:
        if len(office.mail.taken) == 2:
            stop_arrives(office)

    office.mail.when_taken = reply_to_the_first
    assert office.run() == {"sent": 2}
    assert office.ledger("contact_id", "state") == [("C01", "sent"), ("C02", "sent"), ("C03", "planned")]


def test_a_stop_that_a_vendor_told_us_holds_up_nobody_else(office: Office) -> None:
    office.person(1, by="sms")
    office.person(2, by="sms")
    office.twilio.failures = [Failure(status=400, code=21610)]
    assert office.run() == {"failed": 1, "sent": 1}
    assert len(list((office.landing / "replies").iterdir())) == 1


def test_a_dead_mailbox_gives_way_to_the_other_address_and_costs_no_try(office: Office) -> None:
    office.person(1, by="both")
    office.mail.answer("RCPT", "550 5.1.1 no such user")
    assert office.run() == {"failed": 1}
    assert office.run(NEXT_DAY) == {"sent": 1}
    assert office.ledger("channel", "try_number", "state", "reason") == [
        ("email", 1, "failed", "bad_address"),
        ("sms", 1, "sent", None),
    ]


def test_a_new_address_in_place_of_a_dead_one_is_asked(office: Office) -> None:
    office.person(1)
    office.mail.answer("RCPT", "550 5.1.1 no such user")
    office.run()
    assert office.run(NEXT_DAY) == {}
    office.bed.con.execute("update staging.crm_contact set email = 'new@example.org'")
    assert office.run(NEXT_DAY + timedelta(days=1)) == {"sent": 1}


def test_a_vendor_that_is_busy_is_asked_in_the_next_pass(office: Office) -> None:
    office.person(1)
    office.mail.answer("RCPT", *["450 4.2.1 busy"] * 3)
    assert office.run() == {"planned": 1}
    assert office.ledger("state", "sent_at", "address_key") == [("planned", None, None)]
    assert office.run(AS_OF + timedelta(hours=1)) == {"sent": 1}
    assert office.ledger("try_number", "state") == [(1, "sent")]


def test_what_nobody_can_confirm_is_a_try_and_the_next_comes_after_the_wait(office: Office) -> None:
    office.person(1)
    office.mail.answer("DATA", "break off")
    assert office.run() == {"unconfirmed": 1}
    assert [office.run(AS_OF + timedelta(days=day)) for day in (0, 1, 6)] == [{}, {}, {}]
    assert office.run(AS_OF + timedelta(days=7)) == {"sent": 1}
    assert office.ledger("try_number", "state", "reason") == [(1, "unconfirmed", "no_answer"), (2, "sent", None)]


def test_a_refused_text_is_a_try(office: Office) -> None:
    office.person(1, by="sms")
    office.twilio.failures = [Failure(status=400, code=21408)]
    assert office.run() == {"failed": 1}
    assert office.run(NEXT_DAY) == {}
    assert office.run(AS_OF + timedelta(days=7)) == {"sent": 1}


@pytest.mark.parametrize(
    ("as_of", "now"),
    [
        pytest.param("2026-03-02T07:00:00+00:00", "2026-03-02T07:05:00+00:00", id="in the night"),
        pytest.param("2026-03-03T00:59:00+00:00", "2026-03-03T01:00:00+00:00", id="a run that waited until evening"),
        pytest.param("2026-02-20T15:00:00+00:00", "2026-03-02T15:00:00+00:00", id="a night of last week run again"),
        pytest.param("2026-04-02T15:00:00+00:00", "2026-03-02T15:00:00+00:00", id="a night of next month"),
    ],
)
def test_nothing_leaves_at_another_time(office: Office, as_of: str, now: str) -> None:
    office.person(1, phone_since=AS_OF - timedelta(days=400))
    assert office.run(datetime.fromisoformat(as_of), now=datetime.fromisoformat(now)) == {}
    assert office.mail.taken == []
    assert office.ledger("state") == [("planned",)]


def test_the_morning_sends_what_the_night_planned(office: Office) -> None:
    office.person(1)
    assert office.run(datetime(2026, 3, 2, 7, tzinfo=UTC)) == {}
    assert office.run(datetime(2026, 3, 2, 14, tzinfo=UTC)) == {"sent": 1}
    assert office.ledger("try_number", "state") == [(1, "sent")]


def test_what_a_text_cost_is_told_by_a_later_pass(office: Office) -> None:
    office.person(1, by="sms")
    office.run()
    office.twilio.made[0] |= {"status": "delivered", "price": "-0.0079"}
    office.run(NEXT_DAY)
    assert office.ledger("state", "cost_usd") == [("sent", pytest.approx(0.0079))]
    asked = len(office.twilio.requests)
    office.run(NEXT_DAY + timedelta(hours=1))
    assert len(office.twilio.requests) == asked, "what is known is not asked again"


@pytest.mark.parametrize(
    ("code", "ended", "files"),
    [
        pytest.param(30006, ("failed", "bad_address"), 0, id="a landline after all"),
        pytest.param(30003, ("failed", "refused"), 0, id="a handset that is off"),
        pytest.param(21610, ("failed", "opted_out"), 1, id="a stop on the way"),
    ],
)
def test_what_a_carrier_tells_later_counts(office: Office, code: int, ended: tuple[str, str], files: int) -> None:
    office.person(1, by="sms")
    office.run()
    office.twilio.made[0] |= {"status": "undelivered", "error_code": code}
    assert office.run(NEXT_DAY) == {}
    assert office.ledger("state", "reason")[0] == ended
    assert len(office.twilio.made) == 1
    assert len(list(office.landing.glob("replies/*"))) == files


def test_a_channel_that_is_refused_does_not_hold_up_the_other(office: Office) -> None:
    office.person(1)
    office.person(2)
    office.person(3, by="sms")
    office.mail.answer("MAIL", "550 5.7.1 not your address")
    with pytest.raises(ChannelRefusedError, match="refuses the sender"):
        office.run()
    assert office.ledger("contact_id", "state") == [("C01", "planned"), ("C02", "planned"), ("C03", "sent")]


def test_a_vendor_that_takes_none_in_a_row_is_left_alone(office: Office) -> None:
    for number in range(8):
        office.person(number)
    office.mail.answer("RCPT", *["550 5.7.1 relaying denied"] * 8)
    with pytest.raises(ChannelDownError, match="took none of 5 messages in a row"):
        office.run()
    assert Counter(office.ledger("state")) == {("failed",): 5, ("planned",): 3}


TWILIO = {"kind": "twilio", "account_sid": ACCOUNT, "sender": OFFICE}
SMTP = {"kind": "smtp", "host": "mail.example", "sender": "office@example.org", "username": "office"}
SIGNED = [{"vendor": "twilio", "signed_on": "2026-01-15"}, {"vendor": "mail.example", "signed_on": "2026-01-15"}]


@pytest.mark.parametrize(
    ("messages", "baa", "error", "told"),
    [
        pytest.param({"sms": TWILIO}, [], AgreementMissingError, "no BAA with twilio", id="no agreement for texts"),
        pytest.param({"email": SMTP}, [], AgreementMissingError, "no BAA with mail.example", id="nor for email"),
        pytest.param({"sms": TWILIO}, SIGNED, KeyProblemError, "twilio.key: the secret twilio", id="no secret"),
        pytest.param({"email": SMTP}, SIGNED, KeyProblemError, "HYGIENE_KEY_RIVERSIDE_SMTP", id="no password"),
    ],
)
def test_no_vendor_is_opened_without_agreement_and_secret(
    tmp_path: Path, messages: dict[str, Any], baa: list[dict[str, str]], error: type[HygieneError], told: str
) -> None:
    practice = practice_with(messages=messages, baa=baa)
    with pytest.raises(error) as refused, open_channels(practice, tmp_path, at=AS_OF):
        pass
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_vendors_with_agreement_and_secret_are_opened(tmp_path: Path) -> None:
    (tmp_path / "riverside").mkdir()
    for name in ("smtp", "twilio"):
        (tmp_path / "riverside" / f"{name}.key").write_text("secret\n")
    practice = practice_with(messages={"email": SMTP, "sms": TWILIO}, baa=SIGNED)
    with open_channels(practice, tmp_path, at=AS_OF) as channels:
        assert {name: channel.name for name, channel in channels.items()} == {"email": "smtp", "sms": "twilio"}
    with open_channels(RIVERSIDE, tmp_path, at=AS_OF) as channels:
        assert channels == {}


PEOPLE = 12


def killed(folder: Path, point: str, name: str, place: object) -> int:
    command = [
        sys.executable,
        "-m",
        "hygiene_pipeline_tests.sync.killed_delivery",
        str(folder),
        point,
        name,
        str(place),
    ]
    return subprocess.run(command, check=False).returncode


def practice_in(folder: Path, by: str) -> None:
    bed = Bed(str(folder / "warehouse.duckdb"))
    bed.con.execute("begin")
    office = Office.__new__(Office)
    office.bed = bed
    for number in range(PEOPLE):
        office.person(number, by=by)
    bed.con.execute("commit")
    bed.con.close()


def states_in(folder: Path) -> Counter[tuple[str, str | None]]:
    with duckdb.connect(str(folder / "warehouse.duckdb")) as con:
        return Counter(con.execute("select state, reason from sync.message").fetchall())


def test_killed_anywhere_an_email_leaves_at_most_once(tmp_path: Path) -> None:
    practice_in(tmp_path, "email")
    with mail_server() as (mail, port):
        for point in ("intended:2", "sent:2"):
            assert killed(tmp_path, point, "email", port) == -signal.SIGKILL, point
        assert killed(tmp_path, "never", "email", port) == 0
    sent = Counter(str(each["Message-ID"]) for each in mail.taken)
    assert set(sent.values()) == {1}, "nobody was written to twice"
    states = states_in(tmp_path)
    assert sum(states.values()) == PEOPLE, "nobody was forgotten"
    assert states["unconfirmed", "interrupted"] == 2, "a kill leaves one message in doubt"
    assert len(mail.taken) == PEOPLE - 1


def test_killed_anywhere_a_text_leaves_at_most_once_and_twilio_tells_which_did(tmp_path: Path) -> None:
    practice_in(tmp_path, "sms")
    with twilio_server(AS_OF) as (twilio, address):
        assert killed(tmp_path, "sent:2", "sms", address) == -signal.SIGKILL
        assert killed(tmp_path, "never", "sms", address) == 0
    assert set(Counter(made["to"] for made in twilio.made).values()) == {1}
    states = states_in(tmp_path)
    assert states == {("sent", None): PEOPLE}, "what left before the kill is known to have left"
    assert len(twilio.made) == PEOPLE
