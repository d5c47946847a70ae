"""Places the points of a line chart in a drawing: dates across, shares up. Numbers only; the page draws them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil

WIDTH, HEIGHT = 720, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 24, 12, 28
_MOST_DATES = 7

Points = Sequence[tuple[date, float]]


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A mark on an axis and its words."""

    at: float
    words: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """A series: its polyline, and its last point."""

    name: str
    points: str
    end: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class LineChart:
    """Everything a drawing of `WIDTH` by `HEIGHT` needs."""

    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    target_at: float
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    bottom: float = HEIGHT - _BOTTOM
    width: int = WIDTH
    height: int = HEIGHT


def line_chart(series: Mapping[str, Points], *, target: float) -> LineChart | None:
    """Lay out shares over dates, with a line at `target`; None if there is no point at all."""
    dates = sorted({day for points in series.values() for day, _ in points})
    if not dates:
        return None
    top = _round_up(max([target, *(share for points in series.values() for _, share in points)]))
    days = max((dates[-1] - dates[0]).days, 1)

    def x(day: date) -> float:
        return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * (day - dates[0]).days / days, 1)

    def y(share: float) -> float:
        return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * share / top, 1)

    step = max(ceil(len(dates) / _MOST_DATES), 1)
    return LineChart(
        lines=tuple(
            Line(
                name=name,
                points=" ".join(f"{x(day)},{y(share)}" for day, share in points),
                end=(x(points[-1][0]), y(points[-1][1])),
            )
            for name, points in series.items()
            if points
        ),
        across=tuple(Tick(at=x(day), words=day.isoformat()[5:]) for day in dates[::step]),
        up=tuple(Tick(at=y(top * part / 4), words=f"{100 * top * part / 4:.3g} %") for part in range(5)),
        target_at=y(target),
    )


def _round_up(share: float) -> float:
    """The next share that makes four even steps."""
    return max(ceil(share * 25) / 25, 0.04)
