"""The report: one page that needs nothing else, shows the nights, and names nobody."""

import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hygiene_pipeline.line_chart import HEIGHT, WIDTH, line_chart
from hygiene_pipeline.report import read_trend, render_report, write_report
from hygiene_pipeline.scorecard import read_scorecard
from hygiene_pipeline_tests.bed import Bed
from hygiene_pipeline_tests.scorecard_nights import DETECTORS, NIGHTS, lay_activity, measured_bed

VOID = {"meta", "line", "circle", "br"}


class Page(HTMLParser):
    """Checks that tags are closed in order, and gathers what the page would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.loads: list[str] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loads += [value or "" for name, value in attrs if name in {"src", "href", "data", "action"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def bed() -> Bed:
    laid = measured_bed()
    lay_activity(laid)
    return laid


@pytest.fixture(scope="module")
def html(bed: Bed) -> str:
    return render_report(read_scorecard(bed.con, detectors=DETECTORS), read_trend(bed.con))


def test_the_page_is_whole_and_loads_nothing(html: str) -> None:
    page = Page(html)
    assert page.open == []
    assert page.loads == []
    assert page.tags.isdisjoint({"script", "link", "iframe", "img", "object"})
    assert not re.search(r"https?://|@import|url\(", html)


SAID = [
    "Riverside Primary Care",
    "Scorecard of 2026-03-06, day 60 of measuring",
    "contact validity < 75 % 75 % to 90 % ≥ 90 % 61.0 % poor 87.1 % acceptable 93.0 % target",
    "phone validation cadence > 100 d 31 d to 100 d ≤ 31 d never poor",
    "896 of 3,200, 28.0 % 320 of 3,200, 10.0 % 192 of 3,200, 6.0 %",
    "tier 1 4 open, 1 overdue tier 2 7 open, 7 overdue tier 3 1,200 open, 0 overdue tier 4 0 open, 0 overdue",
    "outreach wasted in a year $7,526.40 - $1,612.80",
    "phone 95 5 20 15 95.0 % 95.0 % 0",
]


@pytest.mark.parametrize("said", SAID)
def test_the_page_says(said: str, html: str) -> None:
    assert said in Page(html).words


def test_the_stale_rate_of_every_kind_is_drawn_with_a_point_a_night(html: str) -> None:
    lines = re.findall(r'<polyline[^>]* points="([^"]*)"', html)
    assert [len(line.split()) for line in lines] == [3] * 5


def test_no_number_of_a_patient_gets_in(html: str) -> None:
    assert "+1617" not in html
    assert "6172530001" not in html


def test_the_page_is_written_whole_in_place_of_the_old_one(bed: Bed, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    first = write_report(bed.con, folder, detectors=DETECTORS)
    before = first.read_bytes()
    assert write_report(bed.con, folder, detectors=DETECTORS).read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["scorecard.html"]


def test_a_name_with_markup_in_it_stays_a_name() -> None:
    bed = measured_bed()
    bed.con.execute("update policy.practice set name = '<b>Smith & Sons</b>'")
    html = render_report(read_scorecard(bed.con), read_trend(bed.con))
    assert "<h1>&lt;b&gt;Smith &amp; Sons&lt;/b&gt;</h1>" in html


def test_before_the_first_night_the_page_says_so(tmp_path: Path) -> None:
    page = Page(write_report(Bed().con, tmp_path).read_text())
    assert "No night has been measured yet." in page.words
    assert page.open == []


def test_of_several_runs_in_a_local_day_the_last_counts() -> None:
    bed = measured_bed()
    later = NIGHTS[0].replace(hour=20)
    bed.add("metrics.stale_rate", [{"as_of": later, "staleness_type": "any", "contacts": 10, "stale": 9, "rate": 0.9}])
    assert read_trend(bed.con)["any"][0] == (date(2026, 1, 5), 0.9)


def test_a_chart_keeps_every_point_within_its_frame() -> None:
    days = [date(2026, 1, day) for day in range(1, 32)]
    chart = line_chart({"any": [(day, day.day / 31) for day in days], "phone": []}, target=0.08)
    assert chart is not None
    points = [tuple(map(float, pair.split(","))) for pair in chart.lines[0].points.split()]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert [y for _, y in points] == sorted((y for _, y in points), reverse=True)
    assert len(chart.lines) == 1
    assert len(chart.across) <= 7


@pytest.mark.parametrize("rate", [0.0, 0.28, 1.0])
def test_a_chart_of_a_single_night_has_its_point(rate: float) -> None:
    chart = line_chart({"any": [(date(2026, 1, 5), rate)]}, target=0.08)
    assert chart is not None
    assert len(chart.lines[0].points.split()) == 1


def test_nothing_measured_gives_no_chart() -> None:
    assert line_chart({"any": []}, target=0.08) is None
