"""Email reaches a mail server once, and every way of failing says whether the message may have left."""

import logging
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hygiene_pipeline.message.protocol import ChannelDownError, ChannelRefusedError, Message, Receipt, Verdict
from hygiene_pipeline.message.smtp import SmtpChannel, SmtpServer
from hygiene_pipeline_tests.message.mail_server import BREAK_OFF, PASSWORD, USER, MailServer, certificate, mail_server
from hygiene_pipeline_tests.ports import closed_door

AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
ADDRESS = "xyzzyq.silva@example.org"
MESSAGE_ID = "<m1@riverside.example>"


def message(message_id: str = "m1", address: str = ADDRESS) -> Message:
    return Message(message_id=message_id, at=AT, address=address, subject="Please confirm", text="Hello,\n\n.call us\n")


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    return certificate(tmp_path_factory.mktemp("certificate"))


class Line:
    """A channel to a server, and how long it waited between tries."""

    def __init__(self, server: MailServer, port: int, **changes: Any) -> None:
        self.server = server
        self.waited: list[float] = []
        settings = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "office@riverside.example"}
        self.channel = SmtpChannel(
            SmtpServer(**{"timeout_seconds": 60.0, **settings, **changes}), pause=self.waited.append
        )


@pytest.fixture
def line() -> Iterator[Line]:
    with mail_server() as (server, port):
        found = Line(server, port, reply_to="answers@riverside.example")
        yield found
        found.channel.close()


def test_an_email_says_who_writes_and_how_to_answer(line: Line) -> None:
    assert line.channel.send(message()) == Receipt(verdict=Verdict.SENT, vendor_id=MESSAGE_ID)
    (mail,) = line.server.taken
    assert line.server.recipients == [ADDRESS]
    assert {name: str(value) for name, value in mail.items()} == {
        "From": "office@riverside.example",
        "To": ADDRESS,
        "Subject": "Please confirm",
        "Date": "Mon, 02 Mar 2026 15:00:00 +0000",
        "Message-ID": MESSAGE_ID,
        "Reply-To": "answers@riverside.example",
        "Auto-Submitted": "auto-generated",
        "List-Unsubscribe": "<mailto:answers@riverside.example?subject=STOP>",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "7bit",
        "MIME-Version": "1.0",
    }
    assert mail.get_content().splitlines() == ["Hello,", "", ".call us"]


def test_one_connection_carries_a_whole_pass(line: Line) -> None:
    assert [line.channel.send(message(f"m{n}")).verdict for n in range(5)] == [Verdict.SENT] * 5
    assert line.server.sessions == 1


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
def test_a_server_that_puts_us_off_is_asked_again(line: Line, command: str) -> None:
    line.server.answer(command, "451 4.7.1 greylisted", "450 4.2.1 busy")
    assert line.channel.send(message()).verdict is Verdict.SENT
    assert len(line.server.taken) == 1
    assert line.waited == [2.0, 4.0]


def test_a_server_that_puts_us_off_for_good_is_left_for_the_next_pass(line: Line) -> None:
    line.server.answer("RCPT", *["450 4.2.1 busy"] * 3)
    assert line.channel.send(message()) == Receipt(verdict=Verdict.BUSY, code="450")
    assert line.server.taken == []


REFUSALS = {
    "no such mailbox": ("RCPT", "550 5.1.1 no such user", Verdict.BAD_ADDRESS),
    "no such domain": ("RCPT", "550 5.1.2 no such host", Verdict.BAD_ADDRESS),
    "a mailbox that is closed": ("RCPT", "550 5.2.1 disabled", Verdict.BAD_ADDRESS),
    "without a reason of its own": ("RCPT", "550 xyzzyq.silva@example.org unknown", Verdict.BAD_ADDRESS),
    "a policy of theirs": ("RCPT", "550 5.7.1 relaying denied", Verdict.REFUSED),
    "a full mailbox": ("RCPT", "552 5.2.2 mailbox full", Verdict.REFUSED),
    "the text is spam to them": ("DATA", "554 5.7.1 looks like spam", Verdict.REFUSED),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_final_and_says_of_what(line: Line, case: str) -> None:
    command, answer, verdict = REFUSALS[case]
    line.server.answer(command, answer)
    assert line.channel.send(message()) == Receipt(verdict=verdict, code=answer[:3])
    assert line.channel.send(message("m2")).verdict is Verdict.SENT, "the next message is not concerned"
    assert line.waited == []


def test_a_server_that_goes_before_the_text_is_asked_again(line: Line) -> None:
    line.server.answer("RCPT", BREAK_OFF)
    assert line.channel.send(message()).verdict is Verdict.SENT
    assert len(line.server.taken) == 1


def test_a_server_that_goes_after_the_text_is_never_asked_again(line: Line) -> None:
    line.server.answer("DATA", BREAK_OFF)
    assert line.channel.send(message()) == Receipt(verdict=Verdict.UNCONFIRMED, vendor_id=MESSAGE_ID, code="broke_off")
    assert len(line.server.taken) == 1
    assert line.channel.send(message("m2")).verdict is Verdict.SENT


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("a b@example.org", id="a blank"),
        pytest.param("a@example.org\r\nBcc: x@example.org", id="a header"),
        pytest.param("<a@example.org>", id="brackets"),
        pytest.param("", id="nothing"),
    ],
)
def test_what_is_no_address_is_not_given_to_the_server(line: Line, address: str) -> None:
    assert line.channel.send(message(address=address)).verdict is Verdict.BAD_ADDRESS
    assert line.server.recipients == []


def test_an_address_beyond_ascii_is_spelt_as_it_is(line: Line) -> None:
    assert line.channel.send(message(address="zoë@example.org")).verdict is Verdict.SENT
    assert line.server.recipients == ["zoë@example.org"]


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        pytest.param({"MAIL": "550 5.7.1 not your address"}, "refuses the sender (550)", id="the sender"),
        pytest.param({"RCPT": "530 5.7.0 log in first"}, "refuses the login (530)", id="no login"),
    ],
)
def test_a_server_that_takes_nothing_of_ours_stops_the_channel(line: Line, answers: dict[str, str], told: str) -> None:
    for command, answer in answers.items():
        line.server.answer(command, answer)
    with pytest.raises(ChannelRefusedError) as refused:
        line.channel.send(message())
    assert told in str(refused.value)
    assert "check messages.email and the secret smtp" in str(refused.value)


def test_nobody_listens(unused_port: int) -> None:
    line = Line(MailServer(), unused_port)
    assert line.channel.send(message()) == Receipt(verdict=Verdict.BUSY, code="ConnectionRefusedError")
    assert line.waited == [2.0, 4.0]
    with pytest.raises(ChannelDownError, match="does not answer"):
        line.channel.examine()


def test_a_server_that_says_nothing_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        line = Line(MailServer(), silent.getsockname()[1], timeout_seconds=0.3, attempts=2)
        assert line.channel.send(message()) == Receipt(verdict=Verdict.BUSY, code="SMTPServerDisconnected")


@pytest.fixture
def unused_port() -> Iterator[int]:
    with closed_door() as door:
        yield int(door.getsockname()[1])


@pytest.mark.parametrize(
    ("security", "is_at_once"), [pytest.param("starttls", False, id="starttls"), pytest.param("tls", True, id="tls")]
)
def test_over_tls_with_a_login(trusted: tuple[Path, ssl.SSLContext], security: str, is_at_once: bool) -> None:
    ca_file, context = trusted
    with mail_server(tls=context, is_tls_at_once=is_at_once) as (server, port):
        login = {"security": security, "username": USER, "password": PASSWORD}
        line = Line(server, port, **login, ca_file=str(ca_file))
        assert line.channel.examine() == f"smtp server 127.0.0.1:{port} answers, {security}, logged in"
        assert line.channel.send(message()).verdict is Verdict.SENT
        line.channel.close()
        assert "Xyzzyq" not in repr(SmtpServer(host="h", port=1, sender="s", **login))  # type: ignore[arg-type]


SHUT_OUT: dict[str, tuple[dict[str, Any], str]] = {
    "a wrong password": ({"username": USER, "password": "wrong"}, "refuses the login (535)"),
    "a certificate that nobody vouches for": ({"ca_file": None}, "certificate is not trusted"),
}


@pytest.mark.parametrize("case", SHUT_OUT)
def test_who_is_not_let_in_is_told_once(trusted: tuple[Path, ssl.SSLContext], case: str) -> None:
    ca_file, context = trusted
    changes, told = SHUT_OUT[case]
    with mail_server(tls=context) as (server, port):
        line = Line(server, port, **{"security": "starttls", "ca_file": str(ca_file), **changes})
        for act in (line.channel.examine, lambda: line.channel.send(message())):
            with pytest.raises(ChannelRefusedError) as refused:
                act()
            assert told in str(refused.value)
            assert "\n" not in str(refused.value)
        assert line.waited == []
        assert server.taken == []


def test_no_mail_leaves_in_clear_when_the_server_offers_no_starttls(line: Line) -> None:
    strict = Line(line.server, int(line.channel._server.port), security="starttls")
    with pytest.raises(ChannelRefusedError, match="offers no STARTTLS"):
        strict.channel.send(message())
    assert line.server.taken == []


def test_no_log_and_no_error_tells_an_address(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("mail.log").disabled = True
        line.server.answer("RCPT", "550 5.1.1 xyzzyq.silva@example.org: no such user")
        line.server.answer("MAIL", "250 OK", "550 5.7.1 xyzzyq")
        receipt = line.channel.send(message())
        with pytest.raises(ChannelRefusedError) as refused:
            line.channel.send(message())
    error: BaseException | None = refused.value
    while error is not None:
        assert "xyzzyq" not in f"{error!r} {error}".lower()
        error = error.__cause__
    said = "\n".join([caplog.text, repr(receipt), repr(message())])
    assert "xyzzyq" not in said.lower()
