"""The scorecard as one HTML page that needs nothing else: no script, no font, no network. Aggregates only.

The same figures as `scorecard`, with the stale rates of every night drawn as a chart.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import duckdb
import jinja2

from hygiene_pipeline import scorecard_words as words
from hygiene_pipeline.line_chart import line_chart
from hygiene_pipeline.scorecard import measured_nights, read_scorecard
from hygiene_pipeline.scorecard_records import Detector, Night, Scorecard

Trend = dict[str, list[tuple[date, float]]]

FILE_NAME: Final = "scorecard.html"
_TEMPLATES: Final = Path(__file__).with_name("templates")
_COLOURS: Final = {
    "any": "#1b1f24",
    "phone": "#0969da",
    "insurance": "#bc4c00",
    "care": "#1a7f37",
    "referring_provider": "#8250df",
}


def write_report(con: duckdb.DuckDBPyConnection, folder: Path, *, detectors: Sequence[Detector] = ()) -> Path:
    """Write the page of the last measured night into `folder`; whoever has it open sees the old one or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    page = render_report(read_scorecard(con, detectors=detectors), read_trend(con))
    unfinished = folder / f".{FILE_NAME}.unfinished"
    unfinished.write_text(page, encoding="utf-8")
    return unfinished.replace(folder / FILE_NAME)


def read_trend(con: duckdb.DuckDBPyConnection) -> Trend:
    """The stale rate of every measured night by local date; of several runs in a day the last one."""
    if not measured_nights(con):
        return {}
    [(zone,)] = con.execute("select timezone from policy.clock").fetchall()
    rows = con.execute(
        "select staleness_type, as_of, rate from metrics.stale_rate where rate is not null order by as_of"
    ).fetchall()
    latest: dict[str, dict[date, float]] = {name: {} for name in _COLOURS}
    for name, as_of, rate in rows:
        latest[name][as_of.astimezone(ZoneInfo(zone)).date()] = rate
    return {name: sorted(points.items()) for name, points in latest.items()}


def render_report(card: Scorecard, trend: Trend) -> str:
    """The page's HTML; the same card gives the same bytes."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    last = card.nights[-1] if card.nights else None
    return environment.get_template(FILE_NAME).render(
        card=card,
        last=last,
        words=words,
        colours=_COLOURS,
        chart=line_chart(trend, target=_stale_target(last)),
        tiers=_tiers(last),
    )


def _stale_target(night: Night | None) -> float:
    measures = night.measures if night else ()
    return next((measure.target for measure in measures if measure.metric == "stale_record_rate"), 0.0)


def _tiers(night: Night | None) -> list[dict[str, Any]]:
    """Open and overdue issues of each tier, and how long their bars are in per cent of the longest."""
    lines = night.queue if night else ()
    counted = [
        {
            "tier": tier,
            "open": sum(line.open_issues for line in lines if line.tier == tier),
            "overdue": sum(line.overdue for line in lines if line.tier == tier),
        }
        for tier in (1, 2, 3, 4)
    ]
    longest = max(*(each["open"] for each in counted), 1)
    return [
        {**each, "open_width": 100 * each["open"] / longest, "overdue_width": 100 * each["overdue"] / longest}
        for each in counted
    ]
