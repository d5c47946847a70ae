"""The doctor says of each channel whether tonight's messages would be taken, and sends none to find out."""

from pathlib import Path
from typing import Any

import pytest

from hygiene_pipeline.finding import Finding
from hygiene_pipeline.sync.message_findings import message_findings
from hygiene_pipeline_tests.message.mail_server import mail_server
from hygiene_pipeline_tests.message.twilio_server import ACCOUNT, OFFICE, SECRET, twilio_server
from hygiene_pipeline_tests.sync.bed import AS_OF
from hygiene_pipeline_tests.sync.practices import practice_with

TWILIO = {"kind": "twilio", "account_sid": ACCOUNT, "sender": OFFICE}
SIGNED = [{"vendor": "twilio", "signed_on": "2026-01-15"}]


def found(keys: Path, *, baa: Any = (), **messages: Any) -> list[tuple[str, bool, bool]]:
    """What is told, whether it is fine, and whether it is fatal."""
    practice = practice_with(messages=messages, baa=list(baa))
    return [(each.told, each.is_fine, each.is_fatal) for each in message_findings(practice, keys, at=AS_OF)]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    (tmp_path / "riverside").mkdir()
    (tmp_path / "riverside" / "twilio.key").write_text(f"{SECRET}\n")
    return tmp_path


def test_files_need_nothing(tmp_path: Path) -> None:
    assert found(tmp_path, send="send", sms={"kind": "off"}) == [("files", True, True), ("off", True, True)]
    assert found(tmp_path)[0] == ("files; dry run: nothing is sent", True, True)


def test_twilio_is_asked_for_its_account_and_no_more(keys: Path) -> None:
    with twilio_server(AS_OF) as (twilio, address):
        _, texts = found(keys, baa=SIGNED, send="send", sms={**TWILIO, "base_url": address})
        assert texts == ("Twilio answers, the account is active", True, True)
        assert (twilio.made, len(twilio.requests)) == ([], 1)
        twilio.account_status = "suspended"
        assert found(keys, baa=SIGNED, send="send", sms={**TWILIO, "base_url": address})[1][1:] == (False, True)


def test_a_mail_server_is_greeted_and_no_more() -> None:
    with mail_server() as (mail, port):
        smtp = {"kind": "smtp", "host": "127.0.0.1", "port": port, "security": "none", "sender": "office@example.org"}
        baa = [{"vendor": "127.0.0.1", "signed_on": "2026-01-15"}]
        email, _ = found(Path("nowhere"), baa=baa, send="send", email=smtp)
        assert email == (f"smtp server 127.0.0.1:{port} answers, none, no login", True, True)
        assert (mail.sessions, mail.taken) == (1, [])
    email, _ = found(Path("nowhere"), baa=baa, send="send", email={**smtp, "timeout_seconds": 1})
    assert "does not answer" in email[0]
    assert email[1:] == (False, False), "it may answer tonight"


@pytest.mark.parametrize(
    ("send", "is_fatal"), [pytest.param("send", True, id="send"), pytest.param("dry_run", False, id="dry run")]
)
def test_what_is_missing_is_fatal_only_if_messages_are_sent(keys: Path, send: str, is_fatal: bool) -> None:
    _, texts = found(keys, send=send, sms=TWILIO)
    assert "no BAA with twilio on file" in texts[0]
    assert texts[1:] == (False, is_fatal)
    (keys / "riverside" / "twilio.key").unlink()
    _, texts = found(keys, baa=SIGNED, send=send, sms=TWILIO)
    assert "twilio.key: the secret twilio is missing" in texts[0]
    assert texts[1:] == (False, is_fatal)
    assert all(isinstance(each, Finding) for each in message_findings(practice_with(), keys, at=AS_OF))
