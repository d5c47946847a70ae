"""Twilio Lookup v2 as it behaves, by Twilio's SDK over real HTTP."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest

from hygiene_pipeline.failures import HygieneError
from hygiene_pipeline.phone.protocol import (
    LookupAnswer,
    LookupRequest,
    NoAnswerError,
    NumberRefusedError,
    Remedy,
    ServiceBusyError,
    ServiceRefusedError,
)
from hygiene_pipeline.phone.retry_after import retry_after_seconds
from hygiene_pipeline.phone.twilio import TwilioAccess, TwilioLookup
from hygiene_pipeline_tests.phone.vendor_server import (
    BREAK,
    HOLD,
    PATIENCE_SECONDS,
    Call,
    Reply,
    Script,
    patience_with,
    serving,
    twilio,
    twilio_body,
)

PHONE = "+16172530000"
SECRET = "secret-0123456789"
EVERYTHING = ("line_type_intelligence", "line_status", "reassigned_number")
REQUEST = LookupRequest(phone=PHONE, packages=EVERYTHING, last_confirmed_on=date(2025, 1, 1))


@contextmanager
def asking(script: Script, **changes: Any) -> Iterator[tuple[TwilioLookup, list[Call]]]:
    with serving(script) as server:
        access = {"account_sid": "AC01", "username": "SK01", "secret": SECRET, "base_url": server.url}
        service = TwilioLookup(TwilioAccess(**{"timeout_seconds": PATIENCE_SECONDS, **access, **changes}))
        yield service, server.calls
        service.close()


def ask(script: Script, request: LookupRequest = REQUEST) -> LookupAnswer:
    with asking(script) as (service, _):
        return service.ask(request)


def saying(**changes: Any) -> Script:
    """A script that answers with these changes to a good number."""
    return lambda call: Reply(body=twilio_body(call, **changes))


def test_the_sdk_asks_as_the_vendor_wants_it() -> None:
    with asking(twilio) as (service, calls):
        service.ask(REQUEST)
        service.ask(LookupRequest(phone=PHONE, packages=("line_status",)))
    assert calls[0].path == "/v2/PhoneNumbers/%2B16172530000"
    assert calls[0].query == {"Fields": ",".join(EVERYTHING), "LastVerifiedDate": "20250101"}
    assert calls[0].headers["Authorization"].startswith("Basic ")
    assert calls[1].query == {"Fields": "line_status"}


def test_every_package_is_read() -> None:
    answer = ask(twilio)
    assert (answer.is_assignable, answer.line_type, answer.carrier) == (True, "mobile", "AT&T Wireless")
    assert (answer.line_status, answer.reassigned) == ("active", "no")
    assert (answer.answered, answer.failures) == (EVERYTHING, ())


# What the vendor says, and whether somebody has the number.
VALID: dict[str, tuple[dict[str, Any], bool | None]] = {
    "a subscriber answers": ({}, True),
    "reachable now": (
        {"line_status": {"status": "Reachable"}, "reassigned_number": {"is_number_reassigned": "no"}},
        True,
    ),
    "not assigned to anybody": ({"line_status": {"status": "inactive"}}, None),
    "switched off or out of reach": (
        {"line_status": {"status": "unreachable"}, "reassigned_number": {"is_number_reassigned": "no_data_available"}},
        None,
    ),
    "the operator does not say, the owner is the same": ({"line_status": {"status": "unknown"}}, True),
    "the operator does not say, nor anybody of the owner": (
        {"line_status": {"status": "unknown"}, "reassigned_number": {"is_number_reassigned": "no_data_available"}},
        None,
    ),
    "another owner, nothing of the line": (
        {"line_status": {"status": "unknown"}, "reassigned_number": {"is_number_reassigned": "yes"}},
        None,
    ),
    "nobody can have it": ({"valid": False, "validation_errors": ["TOO_SHORT"]}, False),
}


@pytest.mark.parametrize(("changes", "valid"), VALID.values(), ids=VALID.keys())
def test_assignable_is_not_yet_valid(changes: dict[str, Any], valid: bool | None) -> None:
    assert ask(saying(**changes)).valid is valid


def test_a_number_that_nobody_can_have_comes_with_status_200_and_nothing_else() -> None:
    nothing = dict.fromkeys((*EVERYTHING, "country_code", "national_format", "calling_country_code"))
    answer = ask(lambda call: Reply(body={**twilio_body(call), **nothing, "valid": False, "validation_errors": []}))
    assert (answer.valid, answer.answered) == (False, ())
    assert {failure.code for failure in answer.failures} == {"missing"}


@pytest.mark.parametrize(
    ("changes", "status", "reassigned"),
    [
        pytest.param({"line_status": {"status": "unknown"}}, "unknown", "no", id="unknown is no answer, and no no"),
        pytest.param(
            {"reassigned_number": {"is_number_reassigned": "no_data_available"}},
            "active",
            "no_data_available",
            id="no data is neither yes nor no",
        ),
        pytest.param({"line_status": {"status": "sleeping"}}, None, "no", id="a word that nobody documented"),
    ],
)
def test_unknown_is_kept_apart(changes: dict[str, Any], status: str | None, reassigned: str) -> None:
    answer = ask(saying(**changes))
    assert (answer.line_status, answer.reassigned) == (status, reassigned)


PACKAGE_CODES = {
    60600: Remedy.LEAVE_NUMBER,
    60601: Remedy.LEAVE_NUMBER,
    60606: Remedy.STOP_PACKAGE,
    60607: Remedy.LEAVE_NUMBER,
    60608: Remedy.AGAIN,
    60611: Remedy.STOP_PACKAGE,
    60614: Remedy.STOP_PACKAGE,
    60616: Remedy.AGAIN,
    60619: Remedy.STOP_PACKAGE,
    60626: Remedy.LEAVE_NUMBER,
    69999: Remedy.LEAVE_NUMBER,
}


@pytest.mark.parametrize(("code", "remedy"), PACKAGE_CODES.items())
@pytest.mark.parametrize("package", ["line_status", "reassigned_number"])
def test_a_package_fails_inside_a_response_that_succeeds(package: str, code: int, remedy: Remedy) -> None:
    # The code is a text in one package and a number in the others.
    spelt = str(code) if package == "reassigned_number" else code
    failed = dict.fromkeys(("status", "is_number_reassigned"))
    answer = ask(saying(**{package: {**failed, "error_code": spelt}}))
    (failure,) = answer.failures
    assert (failure.package, failure.code, failure.remedy) == (package, str(code), remedy)
    assert failure.told.startswith(f"Twilio: {package} ")
    assert answer.answered == tuple(each for each in EVERYTHING if each != package)


def legacy(status: int, code: int, **headers: str) -> Reply:
    body = {"code": code, "message": f"about {PHONE}", "more_info": f"https://x.test/{PHONE}", "status": status}
    return Reply(status=status, body=body, headers=headers)


def rfc_9457(status: int, code: int, **headers: str) -> Reply:
    body = {
        "type": f"https://x.test/{code}",
        "title": f"about {PHONE}",
        "status": status,
        "code": code,
        "detail": f"the number {PHONE}",
        "instance": f"/v2/PhoneNumbers/{PHONE}",
        "errors": [{"detail": PHONE, "pointer": "#/number"}],
    }
    return Reply(status=status, body=body, headers=headers)


REFUSALS: dict[str, tuple[Reply, type[HygieneError], str]] = {
    "wrong credentials": (legacy(401, 20003), ServiceRefusedError, "check account_sid, api_key_sid and the key twilio"),
    "wrong credentials, new form": (rfc_9457(401, 20003), ServiceRefusedError, "(401, code 20003)"),
    "forbidden": (legacy(403, 20008), ServiceRefusedError, "forbids lookups"),
    "not paid": (legacy(402, 20005), ServiceRefusedError, "balance"),
    "too many at once": (legacy(429, 20429), ServiceBusyError, "too many requests"),
    "too many at once, new form": (rfc_9457(429, 20429), ServiceBusyError, "too many requests"),
    "quota, as a response": (rfc_9457(400, 60611), ServiceRefusedError, "quota"),
    "not enabled, as a response": (legacy(400, 60606), ServiceRefusedError, "not enabled"),
    "the wrong region": (rfc_9457(400, 60619), ServiceRefusedError, "region"),
    "carrier down, as a response": (legacy(400, 60608), NoAnswerError, "not available now"),
    "the same number too often": (legacy(400, 60626), NumberRefusedError, "60626"),
    "no such number": (legacy(404, 20404), NumberRefusedError, "does not take the number"),
    "a bad request": (rfc_9457(400, 20001), NumberRefusedError, "20001"),
    "its own failure": (legacy(500, 20500), NoAnswerError, "(500, code 20500)"),
    "a gateway's page": (Reply(status=502, body="<html>bad gateway</html>"), NoAnswerError, "502"),
    "half a body": (Reply(body='{"valid": tr'), NoAnswerError, "cannot be read"),
    "no object": (Reply(body=["a", "list"]), NoAnswerError, "cannot be read"),
    "a redirect": (Reply(status=302, body="", headers={"Location": "https://x.test"}), NoAnswerError, "cannot be read"),
    "something new": (Reply(status=410, body={"code": f"x{PHONE}"}), ServiceRefusedError, "(410, code 0)"),
    "a broken connection": (Reply(status=BREAK), NoAnswerError, "the connection failed"),
    "no answer at all": (Reply(status=HOLD), NoAnswerError, "no answer within 0.2 s"),
}


@pytest.mark.parametrize(("reply", "kind", "told"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_failure_is_told_in_one_line_without_the_number(
    reply: Reply, kind: type[HygieneError], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "urllib3.connectionpool", "twilio.http_client", "httpx"):
        caplog.set_level(logging.DEBUG, logger=name)
    with asking(lambda _: reply, timeout_seconds=patience_with(reply)) as (service, _), pytest.raises(kind) as failed:
        service.ask(REQUEST)
    text = str(failed.value)
    assert told in text
    assert "\n" not in text
    assert failed.value.__cause__ is None
    assert failed.value.__suppress_context__
    for secret in (PHONE, PHONE[1:], "%2B", SECRET, "253"):
        assert secret not in text
        assert secret not in caplog.text


WAITS: dict[str, tuple[dict[str, str], float | None]] = {
    "seconds": ({"Retry-After": "7"}, 7.0),
    "a date, by the server's clock": (
        {"Retry-After": "Mon, 02 Mar 2026 07:00:30 GMT", "Date": "Mon, 02 Mar 2026 07:00:00 GMT"},
        30.0,
    ),
    "a date that is over": (
        {"Retry-After": "Mon, 02 Mar 2026 06:59:00 GMT", "Date": "Mon, 02 Mar 2026 07:00:00 GMT"},
        0.0,
    ),
    "nothing": ({}, None),
    "nonsense": ({"Retry-After": "soon"}, None),
}


@pytest.mark.parametrize(("headers", "wait"), WAITS.values(), ids=WAITS.keys())
def test_it_is_said_how_long_to_wait(headers: dict[str, str], wait: float | None) -> None:
    assert retry_after_seconds(headers) == wait


def test_the_wait_of_a_response_reaches_the_error() -> None:
    headers = {"Retry-After": "9"}
    with pytest.raises(ServiceBusyError) as busy:
        ask(lambda _: Reply(status=429, body={"code": 20429, "message": ""}, headers=headers))
    assert busy.value.retry_after == 9.0
    with pytest.raises(ServiceBusyError) as down:
        ask(lambda _: Reply(status=503, body="", headers=headers))
    assert down.value.retry_after == 9.0


def test_an_access_shows_no_secret() -> None:
    assert SECRET not in repr(TwilioAccess(account_sid="AC01", username="SK01", secret=SECRET))


def test_what_the_environment_names_is_another_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCOUNT_SID", "AUTH_TOKEN", "REGION", "EDGE"):
        monkeypatch.setenv(f"TWILIO_{name}", "elsewhere")
    assert ask(twilio).valid is True
