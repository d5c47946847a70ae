"""A run against a vendor that is slow, busy, broken or closed: what is asked again, and what is given up."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hygiene_pipeline.phone.gate import Gate, Patience, ServiceDownError
from hygiene_pipeline.phone.lookup_run import LookupOutcome, LookupRun, Pace
from hygiene_pipeline.phone.protocol import LookupRequest, ServiceRefusedError
from hygiene_pipeline.phone.twilio import TwilioAccess, TwilioLookup
from hygiene_pipeline_tests.phone.vendor_server import (
    BREAK,
    PATIENCE_SECONDS,
    Call,
    Reply,
    Script,
    VendorServer,
    serving,
    twilio,
    twilio_body,
)

PACKAGES = ("line_type_intelligence", "line_status")
QUICK: dict[str, Any] = {"concurrency": 4, "per_second": 1000.0, "first_wait": 0.005, "longest_wait": 0.01}
PATIENCE = Patience(failures=6, pause=0.05, rounds=2, longest_wait=0.5)


def numbers(count: int) -> list[LookupRequest]:
    return [LookupRequest(phone=f"+1617253{place:04}", packages=PACKAGES) for place in range(count)]


@contextmanager
def running(script: Script, **changes: Any) -> Iterator[tuple[LookupRun, VendorServer]]:
    with serving(script) as server:
        access = TwilioAccess(
            account_sid="AC01",
            username="SK01",
            secret="s",
            base_url=server.url,
            timeout_seconds=PATIENCE_SECONDS,
        )
        service = TwilioLookup(access)
        yield LookupRun(service, Pace(**{**QUICK, "patience": PATIENCE, **changes})), server
        service.close()


def outcomes(run: LookupRun, requests: list[LookupRequest]) -> list[LookupOutcome]:
    return [outcome for turn in run.turns(requests) for outcome in turn.outcomes]


def states(found: list[LookupOutcome]) -> dict[str, int]:
    return {state: sum(each.state == state for each in found) for state in dict.fromkeys(each.state for each in found)}


def failing(until: int, reply: Reply) -> Script:
    """The first calls for each number fail."""
    return lambda call: reply if call.nth <= until else twilio(call)


AGAIN = {
    "its own failure": Reply(status=500, body={"code": 20500, "message": ""}),
    "a broken connection": Reply(status=BREAK),
    "too many at once": Reply(status=429, body={"code": 20429, "message": ""}),
    "half a body": Reply(body='{"valid": tr'),
}


@pytest.mark.parametrize("reply", AGAIN.values(), ids=AGAIN.keys())
def test_what_may_pass_is_asked_again(reply: Reply) -> None:
    with running(failing(2, reply), patience=Patience(failures=100)) as (run, server):
        found = outcomes(run, numbers(5))
    assert states(found) == {"answered": 5}
    assert set(server.seen.values()) == {3}
    assert run.stopped_by is None


def test_it_is_not_asked_again_for_ever() -> None:
    with running(lambda _: AGAIN["its own failure"], patience=Patience(failures=100), attempts=3) as (run, server):
        found = outcomes(run, numbers(5))
    assert states(found) == {"failed": 5}
    assert {each.told for each in found} == {"Twilio: not available now (500, code 20500)"}
    assert set(server.seen.values()) == {3}


def test_no_two_numbers_wait_alike() -> None:
    """Jitter: what fails at once does not come back at once."""
    at: dict[str, list[float]] = {}

    def script(call: Call) -> Reply:
        at.setdefault(call.number, []).append(time.monotonic())
        return failing(1, AGAIN["its own failure"])(call)

    with running(script, first_wait=0.05, longest_wait=0.2, concurrency=8) as (run, _):
        outcomes(run, numbers(4))
    waits = [second - first for first, second in at.values()]
    assert min(waits) >= 0.05
    assert max(waits) - min(waits) > 0.001


def test_everybody_waits_as_long_as_the_vendor_asks() -> None:
    arrived: list[float] = []
    asked_to_wait = threading.Event()

    def script(call: Call) -> Reply:
        arrived.append(time.monotonic())
        if call.nth == 1 and not asked_to_wait.is_set():
            asked_to_wait.set()
            return Reply(status=429, body={"code": 20429, "message": ""}, headers={"Retry-After": "0.3"})
        return twilio(call)

    with running(script, concurrency=1) as (run, _):
        found = outcomes(run, numbers(3))
    assert states(found) == {"answered": 3}
    assert arrived[1] - arrived[0] >= 0.3


def test_a_vendor_that_asks_for_too_much_patience_is_left_for_tonight() -> None:
    busy = Reply(status=429, body={"code": 20429, "message": ""}, headers={"Retry-After": "3600"})
    with running(lambda _: busy, concurrency=2) as (run, server):
        found = outcomes(run, numbers(50))
    assert isinstance(run.stopped_by, ServiceDownError)
    assert "3600 s" in str(run.stopped_by)
    assert len(server.calls) <= 2
    assert set(states(found)) <= {"failed", "unasked"}


@pytest.mark.parametrize(("status", "code"), [(401, 20003), (403, 20008)])
def test_refused_credentials_stop_at_once(status: int, code: int) -> None:
    with running(lambda _: Reply(status=status, body={"code": code, "message": ""})) as (run, server):
        found = outcomes(run, numbers(200))
    assert isinstance(run.stopped_by, ServiceRefusedError)
    assert "\n" not in str(run.stopped_by)
    assert len(server.calls) <= QUICK["concurrency"]
    assert len(found) <= 2 * QUICK["concurrency"], "nothing further was taken from the plan"
    assert set(states(found)) <= {"failed", "unasked"}


def test_what_was_answered_before_the_stop_is_kept() -> None:
    # A number that is not yet out when a refusal comes stays due, so the vendor refuses once all twenty are out.
    to_come = {request.phone for request in numbers(20)}
    all_out = threading.Event()

    def script(call: Call) -> Reply:
        if call.number < "+16172530020":
            to_come.discard(call.number)
            if not to_come:
                all_out.set()
            return twilio(call)
        all_out.wait(PATIENCE_SECONDS)
        return Reply(status=401, body={"code": 20003, "message": ""})

    with running(script) as (run, _):
        found = outcomes(run, numbers(200))
    assert states(found)["answered"] == 20


@pytest.mark.parametrize("code", [60606, 60611, 60614, 60619])
def test_a_package_that_cannot_be_had_is_left_and_the_other_goes_on(code: int) -> None:
    def script(call: Call) -> Reply:
        return Reply(body=twilio_body(call, line_status={"status": None, "error_code": code}))

    with running(script, concurrency=1) as (run, server):
        found = outcomes(run, numbers(10))
    assert states(found) == {"answered": 10}
    assert list(run.stopped_packages) == ["line_status"]
    assert [call.query["Fields"] for call in server.calls] == [",".join(PACKAGES)] + ["line_type_intelligence"] * 9
    assert {each.answer.answered for each in found if each.answer} == {("line_type_intelligence",)}


def test_when_no_package_is_left_nothing_more_goes_out() -> None:
    gone = {"error_code": 60611}

    def script(call: Call) -> Reply:
        return Reply(body=twilio_body(call, line_status=gone, line_type_intelligence=gone))

    with running(script, concurrency=1) as (run, server):
        found = outcomes(run, numbers(10))
    assert len(server.calls) == 1
    # Two stood ready when the first came back; the others were never taken from the plan.
    assert states(found) == {"answered": 1, "unasked": 1}


def test_only_the_package_that_failed_is_asked_and_paid_for_again() -> None:
    def script(call: Call) -> Reply:
        changes = {"status": None, "error_code": 60616} if call.nth == 1 else {}
        return Reply(body=twilio_body(call, line_status=changes))

    with running(script) as (run, server):
        (outcome,) = outcomes(run, numbers(1))
    assert [call.query["Fields"] for call in server.calls] == [",".join(PACKAGES), "line_status"]
    assert outcome.answer is not None
    assert sorted(outcome.answer.answered) == sorted(PACKAGES)
    assert (outcome.answer.line_type, outcome.answer.line_status, outcome.answer.failures) == ("mobile", "active", ())


def test_a_package_that_goes_on_failing_leaves_the_others_answer() -> None:
    with running(lambda call: Reply(body=twilio_body(call, line_status={"error_code": 60608})), attempts=3) as (run, s):
        (outcome,) = outcomes(run, numbers(1))
    assert len(s.calls) == 3
    assert outcome.state == "answered"
    assert outcome.answer is not None
    assert outcome.answer.answered == ("line_type_intelligence",)
    assert [failure.code for failure in outcome.answer.failures] == ["60608"]


def test_a_number_that_the_vendor_does_not_take_is_asked_once() -> None:
    def script(call: Call) -> Reply:
        is_refused = call.number.endswith("3")
        return Reply(status=404, body={"code": 20404, "message": ""}) if is_refused else twilio(call)

    with running(script) as (run, server):
        found = outcomes(run, numbers(20))
    assert states(found) == {"answered": 18, "refused": 2}
    assert set(server.seen.values()) == {1}


def test_a_vendor_that_takes_no_number_at_all_is_set_up_wrongly() -> None:
    with running(lambda _: Reply(status=404, body={"code": 20404, "message": ""})) as (run, server):
        outcomes(run, numbers(500))
    assert isinstance(run.stopped_by, ServiceRefusedError)
    assert "25 numbers in a row" in str(run.stopped_by)
    assert len(server.calls) < 60


def test_a_vendor_that_is_down_is_left_alone_and_tried_by_one() -> None:
    """The circuit breaker: six failures, a pause, one call that tries, another pause, another, and the end."""
    with running(lambda _: AGAIN["its own failure"], attempts=10, concurrency=6) as (run, server):
        found = outcomes(run, numbers(300))
    assert isinstance(run.stopped_by, ServiceDownError)
    # Six that found it down, as many that were on their way, and one after each pause.
    assert len(server.calls) <= 6 + 6 + PATIENCE.rounds
    assert len(found) <= 12


def test_a_vendor_that_comes_back_is_asked_on() -> None:

    def script(call: Call) -> Reply:
        return twilio(call) if len(server.calls) > 9 else AGAIN["its own failure"]

    with running(script, attempts=10, patience=Patience(failures=6, pause=0.02, rounds=6)) as (run, server):
        found = outcomes(run, numbers(100))
    assert states(found) == {"answered": 100}
    assert run.stopped_by is None


def test_nothing_goes_out_before_its_turn_was_taken() -> None:
    with running(twilio) as (run, server):
        turns = run.turns(numbers(20))
        first = next(turns)
        assert len(first.asked) == 2 * QUICK["concurrency"]
        assert server.calls == []
        for turn in turns:
            assert len(server.calls) <= 20
            del turn


def test_whoever_stops_taking_turns_ends_the_run() -> None:
    with running(lambda call: Reply(body=twilio_body(call), after=0.02)) as (run, server):
        turns = run.turns(numbers(500))
        next(turns)
        next(turns)
        turns.close()  # type: ignore[attr-defined]
        seen = len(server.calls)
        time.sleep(0.1)
        assert len(server.calls) == seen <= 2 * QUICK["concurrency"]


def test_no_more_than_agreed_are_asked_at_once_and_a_second() -> None:
    under_way, most, lock = [0], [0], threading.Lock()

    def script(call: Call) -> Reply:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        threading.Event().wait(0.01)
        with lock:
            under_way[0] -= 1
        return twilio(call)

    with running(script, concurrency=3, per_second=100) as (run, _):
        begun = time.monotonic()
        outcomes(run, numbers(60))
        took = time.monotonic() - begun
    assert most[0] <= 3
    # All but the fifth of a second's calls that may come at once.
    assert took >= (60 - 20) / 100 * 0.95


@pytest.mark.parametrize("per_second", [0.01, 0.5, 3.0, 250.0])
def test_a_rate_may_be_less_than_one_a_second(per_second: float) -> None:
    gate = Gate(per_second=per_second, patience=PATIENCE)
    began = time.monotonic()
    gate.enter()
    # Less than the hundred seconds between two calls of the slowest, and more than any machine needs.
    assert time.monotonic() - began < PATIENCE_SECONDS, "the first call waits for nobody"
    gate.succeeded()
    gate.dispose()


def whole_run(script: Script, count: int) -> Callable[[], None]:
    def go() -> None:
        with running(script, attempts=2) as (run, _):
            outcomes(run, numbers(count))

    return go


def test_no_log_of_any_level_holds_a_number(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "urllib3.connectionpool", "requests", "stamina", "tenacity", "pyrate_limiter"):
        caplog.set_level(logging.DEBUG, logger=name)
    for script in (twilio, failing(1, AGAIN["a broken connection"]), failing(9, AGAIN["its own failure"])):
        whole_run(script, 3)()
    told = caplog.text + "".join(repr(vars(record)) for record in caplog.records)
    assert "617253" not in told
