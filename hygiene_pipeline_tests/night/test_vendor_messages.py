"""Whole runs whose messages a mail server and Twilio carry: what leaves, what comes back, and who hears nothing of it.

A vendor is called now, so these runs are of now: the practice lives where it is noon.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml

from hygiene_pipeline_tests.message.mail_server import MailServer, mail_server
from hygiene_pipeline_tests.message.twilio_server import ACCOUNT, OFFICE, SECRET, Failure, TwilioServer, twilio_server
from hygiene_pipeline_tests.night.bed import PRACTICE, TinyPractice
from hygiene_pipeline_tests.night.systems import lookup, phone_of

EMAIL, TEXT = "xyzzyq1@example.org", "+16172538461"
CANARIES = ("xyzzyq", "6172538461", "253-8461")


def noon() -> str:
    """A zone in which it is about noon now; the signs of these zones are the other way round."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"


class Office:
    """A tiny practice of four whose first two have dead numbers; the second has no email but an alternate phone."""

    def __init__(self, folder: Path, mail: MailServer, port: int, twilio: TwilioServer, address: str) -> None:
        self.mail = mail
        self.twilio = twilio
        self.bed = TinyPractice(folder)
        path = folder / "practices" / f"{PRACTICE}.yaml"
        email = {"kind": "smtp", "host": "127.0.0.1", "port": port, "security": "none", "sender": "office@example.org"}
        texts = {"kind": "twilio", "account_sid": ACCOUNT, "sender": OFFICE, "base_url": address}
        content = yaml.safe_load(path.read_text())
        content |= {
            "timezone": noon(),
            "messages": {"send": "send", "email": {**email, "attempts": 1}, "sms": {**texts, "attempts": 1}},
            "baa": [{"vendor": vendor, "signed_on": "2026-01-15"} for vendor in ("127.0.0.1", "twilio")],
        }
        path.write_text(yaml.safe_dump(content))
        self.bed.systems.add_person(1, crm={"email": EMAIL, "first_name": "Xyzzyqa"})
        self.bed.systems.add_person(2, crm={"email": "", "alternate_phone": TEXT}, pm={"email": ""}, ehr={"email": ""})
        for number in (3, 4):
            self.bed.systems.add_person(number)
        dead = [
            lookup(phone_of(number), line_status="inactive", checked_at="2026-02-21T15:00:00Z") for number in (1, 2)
        ]
        self.bed.systems.lookups += dead
        self.bed.deliver()

    def run(self, job: str, *, secret: str = SECRET) -> tuple[bool, str]:
        """Whether a run of now went well, and all that Dagster and the logs were told."""
        with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
            patch.setenv("HYGIENE_KEY_RIVERSIDE_TWILIO", secret)
            outcome = self.bed.run(datetime.now(UTC).isoformat(timespec="seconds"), job=job, instance=instance)
            events = instance.all_logs(outcome.run_id)
        return outcome.success, "\n".join([*outcome.problems, *map(repr, events)])

    def ledger(self) -> dict[str, tuple[str, str, str | None]]:
        rows = self.bed.rows("select contact_id, provider, state, reason from sync.message")
        return {row["contact_id"]: (row["provider"], row["state"], row["reason"]) for row in rows}


@contextmanager
def office_at(folder: Path) -> Iterator[Office]:
    with mail_server() as (mail, port), twilio_server(datetime.now(UTC) + timedelta(seconds=5)) as (twilio, address):
        yield Office(folder, mail, port, twilio, address)


def test_a_night_and_a_morning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong secret fails the step of messages and no other; put right, the next run hands over what was left."""
    with office_at(tmp_path) as office, caplog.at_level(logging.DEBUG):
        for name in ("mail.log", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        went_well, told = office.run("bare_night", secret="Xyzzyq-wrong")
        assert not went_well
        assert "Twilio refuses us (401, code 20003); check messages.sms, the secret twilio" in told
        assert office.ledger() == {"C01": ("smtp", "sent", None), "C02": ("twilio", "planned", None)}
        assert office.bed.rows("select count(*) as issues from hygiene.issue") == [{"issues": 2}]

        office.twilio.failures = [Failure(status=400, code=21610)]
        went_well, told_again = office.run("reply_event")
        assert went_well, told_again
        assert office.ledger() == {"C01": ("smtp", "sent", None), "C02": ("twilio", "failed", "opted_out")}
        assert (office.mail.recipients, office.twilio.made) == ([EMAIL], [])
        assert [path.name[:5] for path in (office.bed.folders.landing / "replies").iterdir()] == ["stop_"]
    said = "\n".join([told, told_again, caplog.text]).lower()
    assert not [canary for canary in CANARIES if canary in said]
