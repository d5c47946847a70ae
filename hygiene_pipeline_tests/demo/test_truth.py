"""Timelines and the truth that is made of them."""

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from hygiene_pipeline.demo.timeline import Timeline
from hygiene_pipeline.demo.truth import Truth

MIDNIGHT = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@given(st.lists(st.integers(min_value=1, max_value=50), min_size=1, max_size=20))
def test_a_timeline_gives_the_last_value_that_began_before(steps: list[int]) -> None:
    line, at = Timeline(MIDNIGHT, 0), MIDNIGHT
    for number, step in enumerate(steps, 1):
        at += step * HOUR
        line.change(at, number)
        assert line.at(at) == number
        assert line.at(at - HOUR / 2) == number - 1
    assert line.now == len(steps)
    assert line.at(MIDNIGHT - HOUR) == 0


def test_a_value_set_before_an_announced_one_replaces_the_announcement() -> None:
    truth = Truth()
    truth.set("C1", "referring_provider_npi", "1", MIDNIGHT)
    truth.set("C1", "referring_provider_npi", None, MIDNIGHT + 48 * HOUR)
    truth.set("C1", "referring_provider_npi", "2", MIDNIGHT + 24 * HOUR)
    assert truth.at("C1", "referring_provider_npi", MIDNIGHT + 23 * HOUR) == "1"
    assert truth.at("C1", "referring_provider_npi", MIDNIGHT + 72 * HOUR) == "2"


def test_nothing_is_true_of_a_contact_nobody_knows() -> None:
    assert Truth().at("C1", "phone", MIDNIGHT) is None
