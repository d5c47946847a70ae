"""Numverify as it behaves under each of its addresses, over real HTTP."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hygiene_pipeline.failures import HygieneError
from hygiene_pipeline.phone.numverify import NumverifyAccess, NumverifyLookup
from hygiene_pipeline.phone.protocol import (
    LookupAnswer,
    LookupRequest,
    NoAnswerError,
    NumberRefusedError,
    ServiceBusyError,
    ServiceRefusedError,
)
from hygiene_pipeline_tests.phone.vendor_server import (
    BREAK,
    HOLD,
    PATIENCE_SECONDS,
    Call,
    Reply,
    Script,
    numverify_body,
    patience_with,
    serving,
)

PHONE = "+16172530000"
KEY = "key-0123456789"
REQUEST = LookupRequest(phone=PHONE, packages=("lookup",))


@contextmanager
def asking(script: Script, path: str = "", **changes: Any) -> Iterator[tuple[NumverifyLookup, list[Call]]]:
    with serving(script) as server:
        access = {"key": KEY, "base_url": server.url + path, "timeout_seconds": PATIENCE_SECONDS, **changes}
        service = NumverifyLookup(NumverifyAccess(**access))
        yield service, server.calls
        service.close()


def ask(script: Script) -> LookupAnswer:
    with asking(script) as (service, _):
        return service.ask(REQUEST)


def saying(**changes: Any) -> Script:
    return lambda call: Reply(body=numverify_body(call, **changes))


@pytest.mark.parametrize(
    ("path", "key_in"),
    [("/number_verification", "header"), ("/api", "query"), ("/numverify", "query")],
    ids=["marketplace", "legacy", "newer documentation"],
)
def test_each_address_takes_the_key_in_its_own_way(path: str, key_in: str) -> None:
    with asking(saying(), path, key_in=key_in) as (service, calls):
        service.ask(REQUEST)
    (call,) = calls
    assert call.path == f"{path}/validate"
    assert call.query == {"number": "16172530000"} | ({"access_key": KEY} if key_in == "query" else {})
    assert call.headers.get("apikey") == (KEY if key_in == "header" else None)


def test_a_numbering_plan_proves_nobody_there_and_nobody_gone() -> None:
    answer = ask(saying())
    assert (answer.is_assignable, answer.line_type, answer.carrier) == (True, "landline", "Verizon")
    assert (answer.valid, answer.line_status, answer.reassigned) == (None, None, None)
    assert answer.answered == ("lookup",)


def test_a_number_that_nobody_can_have() -> None:
    nothing = dict.fromkeys(("local_format", "carrier", "country_code", "location"), "")
    answer = ask(saying(valid=False, line_type=None, **nothing))
    assert (answer.valid, answer.line_type, answer.carrier) == (False, None, None)


def error(code: int, status: int = 200) -> Reply:
    told = {"code": code, "type": "some_type", "info": f"about {PHONE} and {KEY}"}
    return Reply(status=status, body={"success": False, "error": told})


def marketplace(status: int, **headers: str) -> Reply:
    return Reply(status=status, body={"message": f"about {PHONE}"}, headers=headers)


REFUSALS: dict[str, tuple[Reply, type[HygieneError], str]] = {
    "wrong key": (error(101), ServiceRefusedError, "check the key numverify"),
    "account switched off": (error(102), ServiceRefusedError, "account"),
    "no such function": (error(103), ServiceRefusedError, "base_url"),
    "the month's quota": (error(104), ServiceRefusedError, "next month"),
    "not in the plan": (error(105), ServiceRefusedError, "plan"),
    "too many": (error(106), ServiceBusyError, "too many requests"),
    "no number": (error(210), NumberRefusedError, "210"),
    "no number, as a bad request": (error(210, 400), NumberRefusedError, "210"),
    "not a number": (error(211), NumberRefusedError, "211"),
    "not a number, as a bad request": (error(211, 400), NumberRefusedError, "211"),
    "no such country": (error(310), NumberRefusedError, "310"),
    "not found": (error(404, 404), ServiceRefusedError, "base_url"),
    "a code that nobody documented": (error(999), ServiceRefusedError, "code 999"),
    "no code": (Reply(body={"success": False, "error": PHONE}), ServiceRefusedError, "code 0"),
    "no key at the marketplace": (marketplace(401), ServiceRefusedError, "(401)"),
    "a key without a plan": (marketplace(403), ServiceRefusedError, "(403)"),
    "too fast": (marketplace(429, **{"Retry-After": "3"}), ServiceBusyError, "(429)"),
    "the month's quota at the marketplace": (
        marketplace(429, **{"x-ratelimit-remaining-month": "0"}),
        ServiceRefusedError,
        "next month",
    ),
    "its own failure": (marketplace(500), NoAnswerError, "(500)"),
    "a gateway's page": (Reply(status=502, body="<html>"), NoAnswerError, "(502)"),
    "half a body": (Reply(body='{"valid": tr'), NoAnswerError, "cannot be read"),
    "a list": (Reply(body=[1]), NoAnswerError, "cannot be read"),
    "another bad request": (marketplace(400), ServiceRefusedError, "(400)"),
    "a broken connection": (Reply(status=BREAK), NoAnswerError, "the connection failed"),
    "no answer at all": (Reply(status=HOLD), NoAnswerError, "no answer within 0.2 s"),
}


@pytest.mark.parametrize(("reply", "kind", "told"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_failure_is_told_in_one_line_without_number_or_key(
    reply: Reply, kind: type[HygieneError], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection"):
        caplog.set_level(logging.DEBUG, logger=name)
    with (
        asking(lambda _: reply, timeout_seconds=patience_with(reply), key_in="query") as (service, _),
        pytest.raises(kind) as failed,
    ):
        service.ask(REQUEST)
    text = str(failed.value)
    assert told in text
    assert "\n" not in text
    assert failed.value.__cause__ is None
    for secret in (PHONE, PHONE[1:], KEY):
        assert secret not in text
        assert secret not in caplog.text


def test_the_wait_of_a_response_reaches_the_error() -> None:
    with pytest.raises(ServiceBusyError) as busy:
        ask(lambda _: marketplace(429, **{"Retry-After": "3"}))
    assert busy.value.retry_after == 3.0


def test_an_access_shows_no_key() -> None:
    assert KEY not in repr(NumverifyAccess(key=KEY))
