"""A sensor's tick is one pure decision: what is new and settled asks for one run, again and again the same."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hygiene_pipeline.landing.arrivals import Stamp, decide

NOW = 1_000_000_000_000
OLD = NOW - 60_000_000_000


def stamp(name: str, mtime_ns: int = OLD, size: int = 10) -> Stamp:
    return Stamp(name=name, size=size, mtime_ns=mtime_ns)


def tick(cursor, *stamps, practice="riverside"):
    return decide(cursor, {practice: stamps}, at_ns=NOW, settle_seconds=2, last_run_ns={practice: 0})


def test_a_new_file_asks_for_one_run_and_then_for_none():
    first = tick(None, stamp("a.271"))
    assert set(first.run_keys) == {"riverside"}
    assert tick(first.cursor, stamp("a.271")).run_keys == {}


@pytest.mark.parametrize(
    ("changed", "asks"),
    [
        pytest.param(stamp("a.271"), False, id="the same file"),
        pytest.param(stamp("a.271", size=11), True, id="it grew"),
        pytest.param(stamp("a.271", mtime_ns=OLD + 1), True, id="it was written again"),
        pytest.param(stamp("b.271"), True, id="another name"),
        pytest.param(stamp("b.271", mtime_ns=NOW), False, id="another one that is still being written"),
    ],
)
def test_only_an_unknown_settled_state_asks(changed, asks):
    cursor = tick(None, stamp("a.271")).cursor
    assert bool(tick(cursor, changed).run_keys) is asks


def test_a_file_still_being_written_is_taken_at_a_later_tick():
    early = tick(None, stamp("a.271", mtime_ns=NOW))
    assert early.run_keys == {}
    later = decide(
        early.cursor,
        {"riverside": [stamp("a.271", mtime_ns=NOW)]},
        at_ns=NOW + 3_000_000_000,
        settle_seconds=2,
        last_run_ns={"riverside": 0},
    )
    assert set(later.run_keys) == {"riverside"}


def test_a_tick_repeated_after_a_crash_asks_for_the_same_run():
    assert tick(None, stamp("a.271"), stamp("b.271")) == tick(None, stamp("b.271"), stamp("a.271"))


def test_practices_do_not_know_of_each_other():
    both = decide(None, {"a": [stamp("x")], "b": []}, at_ns=NOW, settle_seconds=2, last_run_ns={"a": 0, "b": 0})
    assert set(both.run_keys) == {"a"}
    assert tick(both.cursor, stamp("x"), practice="b").run_keys.keys() == {"b"}


def test_the_cursor_names_no_file():
    cursor = tick(None, stamp("EVERYMAN_ADAM.hl7")).cursor
    assert "EVERYMAN" not in cursor
    assert json.loads(cursor).keys() == {"riverside"}


@given(st.lists(st.builds(Stamp, name=st.text(min_size=1, max_size=5), size=st.integers(0, 9), mtime_ns=st.just(OLD))))
def test_nothing_is_asked_for_twice(stamps):
    first = tick(None, *stamps)
    assert bool(first.run_keys) is bool(stamps)
    assert tick(first.cursor, *stamps).run_keys == {}


@pytest.mark.parametrize(
    ("last_run_ns", "asks"),
    [
        pytest.param({}, False, id="no run yet: the first night takes it"),
        pytest.param({"riverside": OLD}, False, id="the last run came after it and took it"),
        pytest.param({"riverside": OLD - 1}, True, id="it came after the last run"),
    ],
)
def test_at_first_sight_only_what_came_after_the_last_run_is_new(last_run_ns, asks):
    listing = {"riverside": [stamp("a.271")]}
    first = decide(None, listing, at_ns=NOW, settle_seconds=2, last_run_ns=last_run_ns)
    assert bool(first.run_keys) is asks
