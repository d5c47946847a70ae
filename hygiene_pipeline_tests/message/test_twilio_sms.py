"""Texts by Twilio's real SDK: each made once, and every failure means for the message what it should."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hygiene_pipeline.message.protocol import ChannelDownError, ChannelRefusedError, Message, Receipt, Verdict
from hygiene_pipeline.message.twilio_sms import TwilioAccount, TwilioSmsChannel
from hygiene_pipeline_tests.message.twilio_server import (
    ACCOUNT,
    KEY,
    OFFICE,
    SECRET,
    Failure,
    TwilioServer,
    twilio_server,
)

AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
NUMBER = "+16172538461"
FIRST = "SM" + "0" * 32


def message(**changes: Any) -> Message:
    return Message(
        **{"message_id": "m1", "at": AT, "address": NUMBER, "subject": None, "text": "Xyzzyq: please call", **changes}
    )


class Line:
    """A channel to a server, and how long it waited between tries."""

    def __init__(self, twilio: TwilioServer, address: str, **changes: Any) -> None:
        self.twilio = twilio
        self.waited: list[float] = []
        settings = {"account_sid": ACCOUNT, "api_key_sid": KEY, "secret": SECRET, "sender": OFFICE}
        account = TwilioAccount(**{**settings, "base_url": address, "timeout_seconds": 60.0, **changes})
        self.channel = TwilioSmsChannel(account, pause=self.waited.append)
        self.address = address

    def posts(self) -> int:
        return sum(method == "POST" for method, _ in self.twilio.requests)


@pytest.fixture
def line() -> Iterator[Line]:
    with twilio_server(AT) as (twilio, address):
        found = Line(twilio, address)
        yield found
        found.channel.close()


def test_a_text_is_made_with_its_sid(line: Line) -> None:
    assert line.channel.send(message()) == Receipt(verdict=Verdict.SENT, vendor_id=FIRST)
    (made,) = line.twilio.made
    assert (made["to"], made["from"], made["body"]) == (NUMBER, OFFICE, "Xyzzyq: please call")
    assert line.posts() == 1


def test_what_it_costs_is_kept_if_it_is_told(line: Line) -> None:
    line.twilio.price = "-0.00790"
    assert line.channel.send(message()).cost_usd == pytest.approx(0.0079)


def test_a_messaging_service_chooses_the_number(line: Line) -> None:
    service = "MG" + "2" * 32
    assert Line(line.twilio, line.address, sender=service).channel.send(message()).verdict is Verdict.SENT
    assert (line.twilio.made[0]["messaging_service_sid"], line.twilio.made[0]["from"]) == (service, None)


def test_the_auth_token_serves_as_well_as_a_key(line: Line) -> None:
    assert Line(line.twilio, line.address, api_key_sid=None).channel.send(message()).verdict is Verdict.SENT


FINAL = {
    "the patient told Twilio to stop": (Failure(status=400, code=21610), Verdict.OPTED_OUT),
    "no number": (Failure(status=400, code=21211), Verdict.BAD_ADDRESS),
    "a landline": (Failure(status=400, code=21614), Verdict.BAD_ADDRESS),
    "a country that is not switched on": (Failure(status=400, code=21408), Verdict.REFUSED),
    "in the form of RFC 9457": (Failure(status=400, code=21211, is_new_form=True), Verdict.BAD_ADDRESS),
}


@pytest.mark.parametrize("case", FINAL)
def test_a_refusal_is_final(line: Line, case: str) -> None:
    failure, verdict = FINAL[case]
    line.twilio.failures = [failure]
    assert line.channel.send(message()) == Receipt(verdict=verdict, code=str(failure.code))
    assert (line.posts(), line.waited) == (1, [])


PUT_OFF = {
    "too many requests": (Failure(status=429, code=20429), [1.0]),
    "too many, with a time to wait": (Failure(status=429, code=20429, headers={"Retry-After": "7"}), [7.0]),
    "a time longer than we wait": (Failure(status=429, code=20429, headers={"Retry-After": "9999"}), [60.0]),
    "a full queue": (Failure(status=400, code=21611), [1.0]),
    "no service now": (Failure(status=503, code=20503), [1.0]),
    "an error of theirs, the text not made": (Failure(status=500), [1.0]),
    "an error that is no JSON": (Failure(status=502, body=b"<html>"), [1.0]),
    "an error in the form of RFC 9457": (Failure(status=500, is_new_form=True), [1.0]),
    "gone before the text was made": (Failure(goes_away=True), [1.0]),
}


@pytest.mark.parametrize("case", PUT_OFF)
def test_put_off_it_is_asked_again(line: Line, case: str) -> None:
    failure, waited = PUT_OFF[case]
    line.twilio.failures = [failure]
    assert line.channel.send(message()).verdict is Verdict.SENT
    assert len(line.twilio.made) == 1
    assert line.waited == waited


MADE_ALL_THE_SAME = {
    "an error of theirs": Failure(status=500, is_taken=True),
    "a gateway's error": Failure(status=504, is_taken=True, body=b"<html>"),
    "gone after the text was made": Failure(goes_away=True, is_taken=True),
    "an answer that is cut short": Failure(status=201, is_taken=True, body=b'{"sid": "SM'),
}


@pytest.mark.parametrize("case", MADE_ALL_THE_SAME)
def test_a_text_that_was_made_all_the_same_is_found_and_not_made_again(line: Line, case: str) -> None:
    line.twilio.failures = [MADE_ALL_THE_SAME[case]]
    assert line.channel.send(message()) == Receipt(verdict=Verdict.SENT, vendor_id=FIRST)
    assert (len(line.twilio.made), line.posts()) == (1, 1)


def test_no_answer_in_time_is_looked_into_as_well(line: Line) -> None:
    line.twilio.failures = [Failure(is_silent=True, is_taken=True)]
    # As long as the text may take to be made, and then to be found.
    quick = Line(line.twilio, line.address, timeout_seconds=3)
    assert quick.channel.send(message()).verdict is Verdict.SENT
    assert len(line.twilio.made) == 1


def test_what_twilio_cannot_tell_is_not_made_again(line: Line) -> None:
    line.twilio.failures = [Failure(status=500, is_taken=True)]
    line.twilio.is_list_broken = True
    assert line.channel.send(message()) == Receipt(verdict=Verdict.UNCONFIRMED, code="20500")
    assert (len(line.twilio.made), line.posts()) == (1, 1)


def test_tries_come_to_an_end(line: Line) -> None:
    line.twilio.failures = [Failure(status=503, code=20503)] * 9
    assert line.channel.send(message()) == Receipt(verdict=Verdict.BUSY, code="20503")
    assert (line.posts(), line.waited) == (3, [1.0, 2.0])


def test_nobody_listens() -> None:
    with twilio_server(AT) as (twilio, address):
        line = Line(twilio, address)
    assert line.channel.send(message()) == Receipt(verdict=Verdict.BUSY, code="ConnectionError")
    with pytest.raises(ChannelDownError, match="does not answer"):
        line.channel.examine()


NOT_LET_IN = {
    "a wrong secret": ({"secret": "Xyzzyq-wrong"}, None),
    "a suspended account": ({}, Failure(status=403, code=20005)),
    "a sender that takes no texts": ({}, Failure(status=400, code=21606)),
    "the day's limit": ({}, Failure(status=429, code=63038)),
}


@pytest.mark.parametrize("case", NOT_LET_IN)
def test_who_is_not_let_in_stops_at_once_with_one_line(line: Line, case: str) -> None:
    changes, failure = NOT_LET_IN[case]
    line.twilio.failures = [failure] if failure else []
    shut_out = Line(line.twilio, line.address, **changes)
    with pytest.raises(ChannelRefusedError) as refused:
        shut_out.channel.send(message())
    assert "check messages.sms, the secret twilio" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert (line.twilio.made, line.posts(), shut_out.waited) == ([], 1, [])


LOOKED_UP = {
    "the same text to the same number": ({}, Verdict.SENT),
    "another text": ({"text": "Another practice"}, Verdict.BUSY),
    "another number": ({"address": "+16172531234"}, Verdict.BUSY),
    "a text of last week": ({"at": AT + timedelta(days=7)}, Verdict.BUSY),
}


@pytest.mark.parametrize("case", LOOKED_UP)
def test_a_text_is_looked_up_by_number_words_and_time(line: Line, case: str) -> None:
    changes, verdict = LOOKED_UP[case]
    line.channel.send(message())
    found = line.channel.look_up(message(**changes))
    assert found is not None
    assert found.verdict is verdict


def test_a_text_that_was_made_and_then_failed_is_no_success(line: Line) -> None:
    line.channel.send(message())
    line.twilio.made[0] |= {"status": "undelivered", "error_code": 30003}
    assert line.channel.look_up(message()) == Receipt(verdict=Verdict.REFUSED, vendor_id=FIRST, code="30003")


FOLLOWED: dict[str, tuple[dict[str, Any], Receipt]] = {
    "delivered, with its cost": (
        {"status": "delivered", "price": "-0.0079"},
        Receipt(verdict=Verdict.SENT, vendor_id=FIRST, cost_usd=0.0079),
    ),
    "under way": ({}, Receipt(verdict=Verdict.SENT, vendor_id=FIRST)),
    "a landline after all": (
        {"status": "undelivered", "error_code": 30006},
        Receipt(verdict=Verdict.BAD_ADDRESS, vendor_id=FIRST, code="30006"),
    ),
    "a handset that is off": (
        {"status": "undelivered", "error_code": 30003},
        Receipt(verdict=Verdict.REFUSED, vendor_id=FIRST, code="30003"),
    ),
    "a stop on the way": (
        {"status": "failed", "error_code": 21610},
        Receipt(verdict=Verdict.OPTED_OUT, vendor_id=FIRST, code="21610"),
    ),
}


@pytest.mark.parametrize("case", FOLLOWED)
def test_what_became_of_a_text_is_known_later(line: Line, case: str) -> None:
    changes, receipt = FOLLOWED[case]
    line.channel.send(message())
    line.twilio.made[0] |= changes
    assert line.channel.follow(FIRST) == receipt
    assert line.channel.follow("SM" + "9" * 32) is None


def test_an_examination_fetches_the_account_and_no_more(line: Line) -> None:
    assert line.channel.examine() == "Twilio answers, the account is active"
    assert line.twilio.requests == [("GET", f"/2010-04-01/Accounts/{ACCOUNT}.json")]
    line.twilio.account_status = "suspended"
    with pytest.raises(ChannelRefusedError, match="account is suspended"):
        line.channel.examine()
    with pytest.raises(ChannelRefusedError, match="refuses us"):
        Line(line.twilio, line.address, secret="wrong").channel.examine()


def test_no_log_error_or_address_of_a_page_tells_a_number(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    line.twilio.failures = [Failure(status=500, is_taken=True), Failure(status=400, code=21211)]
    with caplog.at_level(logging.DEBUG):
        logging.getLogger(__name__).debug("every level is looked at")
        receipts = [line.channel.send(message()), line.channel.send(message())]
        line.twilio.failures = [Failure(status=403, code=20005)]
        with pytest.raises(ChannelRefusedError) as refused:
            line.channel.send(message())
    said = [caplog.text, *map(repr, receipts), repr(message()), *(path for _, path in line.twilio.requests)]
    error: BaseException | None = refused.value
    while error is not None:
        said.append(f"{error!r} {error}")
        error = error.__cause__
    told = "\n".join(said).lower()
    assert "every level is looked at" in caplog.text
    assert not [canary for canary in ("6172538461", "xyzzyq") if canary in told]
