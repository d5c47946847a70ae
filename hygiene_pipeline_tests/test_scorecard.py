"""The scorecard: nights side by side, as read from the metrics and as a person sees them."""

from datetime import timedelta
from math import inf
from typing import Any

import pytest
from rich.console import Console

from hygiene_pipeline.scorecard import read_scorecard, render
from hygiene_pipeline.scorecard_records import Detector, Measure, Scorecard, wilson_interval
from hygiene_pipeline.scorecard_words import bands, days, money
from hygiene_pipeline_tests.bed import Bed
from hygiene_pipeline_tests.scorecard_nights import DETECTORS, NIGHTS, lay_activity, measured_bed


@pytest.fixture(scope="module")
def bed() -> Bed:
    laid = measured_bed()
    lay_activity(laid)
    return laid


@pytest.fixture(scope="module")
def card(bed: Bed) -> Scorecard:
    return read_scorecard(bed.con, detectors=DETECTORS)


def shown(card: Scorecard) -> str:
    console = Console(width=140, no_color=True)
    with console.capture() as capture:
        console.print(render(card))
    return capture.get()


def test_first_middle_and_last_night_stand_side_by_side(card: Scorecard) -> None:
    assert [night.as_of for night in card.nights] == NIGHTS
    assert [(night.day, night.label.isoformat()) for night in card.nights] == [
        (0, "2026-01-05"),
        (30, "2026-02-04"),
        (60, "2026-03-06"),
    ]
    assert card.practice == "Riverside Primary Care"


def test_chosen_nights_are_taken_and_unmeasured_ones_left_out(bed: Bed) -> None:
    chosen = read_scorecard(bed.con, [NIGHTS[1], NIGHTS[1] + timedelta(days=1)])
    assert [night.as_of for night in chosen.nights] == [NIGHTS[1]]
    assert chosen.nights[0].day == 30


def test_a_night_carries_what_was_measured(card: Scorecard) -> None:
    night = card.nights[2]
    assert [measure.grade for measure in night.measures] == ["target"] * 5
    assert {rate.staleness_type: rate.stale for rate in night.stale}["any"] == 192
    assert (night.lag_p95_hours, night.asking.share_asked) == (12.0, pytest.approx(0.7))
    assert (night.asking.share_known, night.asking.median_answer_age_days) == (pytest.approx(0.6), 58)
    assert sum(line.open_issues for line in night.queue) == 1211
    assert card.nights[0].measures[4].value == inf


def test_what_was_done_is_counted_up_to_each_night(card: Scorecard) -> None:
    done = [night.activity for night in card.nights]
    costs = [night.phone_cost for night in card.nights]
    assert [each.lookups for each in costs] == [0, 100, 200]
    assert [each.spent_usd for each in costs] == [0, 1.5, 3.0]
    assert [each.usd_per_corrected_number for each in costs] == [None, None, 0.075]
    assert [each.messages_sent for each in done] == [0, 1, 2]
    assert [each.messages_suppressed for each in done] == [0, 1, 1]
    assert [each.changes_applied for each in done] == [0, 1, 2]


def test_a_practice_that_never_wrote_or_asked_has_done_nothing() -> None:
    (night, *_) = read_scorecard(measured_bed().con).nights
    assert (night.phone_cost.lookups, night.activity.messages_sent, night.activity.changes_applied) == (0, 0, 0)


LINES = {
    "contact validity": "contact validity ≥ 90 % 61.0 % poor 87.1 % acceptable 93.0 % target",
    "insurance status": "insurance status accuracy ≥ 95 % - no data 90.0 % acceptable 96.0 % target",
    "care status sync": "care status sync lag < 24 h 200.0 h poor 30.0 h acceptable 3.5 h target",
    "stale records": "stale records < 8 % 28.0 % poor 10.0 % acceptable 6.0 % target",
    "phone validation": "phone validation cadence ≤ 31 d never poor 16.5 d target 15 d target",
    "any of them": "any of them 896 28.0 % 320 10.0 % 192 6.0 %",
    "active contacts": "active contacts 3,200 3,200 3,200",
    "outreach wasted in a year": "outreach wasted in a year $7,526.40 - $1,612.80",
    "that waste": "that waste less hygiene $3,326.40 - -$2,587.20",
    "phone lookups so far": "phone lookups so far 0 $0 100 $1.50 200 $3",
    "phone lookups this month": "phone lookups this month $0 $1.50 $1.25 of $25",
    "phone lookups for": "phone lookups for a corrected number - - $0.07",
    "billing-1": "billing-1 0 7 (7) 0 0 7 (7)",
    "all": "all 4 (1) 7 (7) 1,200 0 1,211 (8)",
    "phone   9": "phone 95.0 % 88.8 % to 97.8 % 95.0 % 88.8 % to 97.8 % 82.6 % 0",
}


@pytest.mark.parametrize(("begin", "line"), LINES.items(), ids=LINES.keys())
def test_the_terminal_shows(begin: str, line: str, card: Scorecard) -> None:
    text = shown(card)
    found = [row for row in text.splitlines() if " ".join(row.split()).startswith(" ".join(begin.split()))]
    assert line in {" ".join(row.split()) for row in found}


def test_without_detectors_nothing_is_said_about_them(bed: Bed) -> None:
    assert "Detectors" not in shown(read_scorecard(bed.con))


def test_before_the_first_night_there_is_a_sentence_and_no_error() -> None:
    card = read_scorecard(Bed().con)
    assert card.nights == ()
    assert "No night has been measured yet." in shown(card)


def _measure(**more: Any) -> Measure:
    blank = {"metric": "m", "value": None, "numerator": 0, "denominator": 0, "grade": "no_data"}
    return Measure(**{**blank, **more})


BAND_WORDS = [
    ("share", True, 0.90, 0.75, ("< 75 %", "75 % to 90 %", "≥ 90 %")),
    ("share", False, 0.08, 0.25, ("> 25 %", "8 % to 25 %", "< 8 %")),
    ("hours", False, 24.0, 72.0, ("> 72 h", "24 h to 72 h", "< 24 h")),
    ("days", False, 31.0, 100.0, ("> 100 d", "31 d to 100 d", "≤ 31 d")),
]


@pytest.mark.parametrize(("unit", "higher", "target", "acceptable", "words"), BAND_WORDS)
def test_bands_are_told_as_they_are_graded(
    unit: str, higher: bool, target: float, acceptable: float, words: tuple[str, str, str]
) -> None:
    measure = _measure(unit=unit, higher_is_better=higher, target=target, acceptable_from=acceptable)
    assert bands(measure) == words


@pytest.mark.parametrize(
    ("amount", "words"),
    [(None, "-"), (0.0, "$0"), (627.2, "$627.20"), (10920.0, "$10,920"), (-1200.0, "-$1,200"), (-0.5, "-$0.50")],
)
def test_money_shows_cents_only_where_there_are_some(amount: float | None, words: str) -> None:
    assert money(amount) == words


@pytest.mark.parametrize(("age", "words"), [(None, "-"), (31.0, "31 d"), (31.5, "31.5 d"), (inf, "never")])
def test_an_infinite_age_is_never(age: float | None, words: str) -> None:
    assert days(age) == words


WILSON = [(100, 0.9630, 1.0000), (95, 0.8882, 0.9785), (90, 0.8256, 0.9448), (50, 0.4038, 0.5962), (70, 0.6042, 0.7811)]


@pytest.mark.parametrize(("right", "low", "high"), WILSON)
def test_the_interval_of_a_sample_of_a_hundred(right: int, low: float, high: float) -> None:
    assert wilson_interval(right, 100) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize(("right", "trials"), [(0, 0), (3, 2), (-1, 5)])
def test_no_interval_without_a_sample(right: int, trials: int) -> None:
    with pytest.raises(ValueError, match="at least one trial"):
        wilson_interval(right, trials)


def test_recall_is_taken_of_what_some_source_had_shown() -> None:
    counts = {"true_positives": 80, "false_positives": 20, "false_negatives": 40, "unseen": 20, "harm": 0}
    detector = Detector(detector="phone", **counts)
    assert (detector.precision, detector.recall) == (0.8, 0.8)
