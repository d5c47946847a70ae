"""Dates and times as X12 writes them. Null where they cannot be read."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, tzinfo
from typing import NamedTuple

from hygiene_pipeline.pm.x12_segments import Segment

_EARLIEST_YEAR = 1900


class Period(NamedTuple):
    """From when to when something holds; an end that is not known is null."""

    begin: date | None = None
    end: date | None = None

    def and_also(self, other: "Period") -> "Period":
        """This period with the ends that only `other` knows."""
        if self is _UNKNOWN:
            return other
        return Period(begin=self.begin or other.begin, end=self.end or other.end)


_UNKNOWN = Period()


def day(text: str) -> date | None:
    """A date as CCYYMMDD."""
    if len(text) != 8 or not (text.isascii() and text.isdigit()):
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def instant(on: str, at: str, timezone: tzinfo) -> datetime | None:
    """A date and a time (HHMM, HHMMSS and finer) in a zone; a time that cannot be read is midnight."""
    found = day(on)
    if found is None or found.year < _EARLIEST_YEAR:
        return None
    digits = at if at.isascii() and at.isdigit() and len(at) >= 4 else "0000"
    hour, minute, second = int(digits[:2]), int(digits[2:4]), int(digits[4:6] or 0)
    if hour > 23 or minute > 59 or second > 59:
        hour, minute, second = 0, 0, 0
    return datetime(found.year, found.month, found.day, hour, minute, second, tzinfo=timezone)


def period(dates: Iterable[Segment], ends: Mapping[str, str]) -> Period:
    """What the DTP of a loop say together; where two speak of the same end, the qualifier that `ends` names first."""
    spoken = [(qualifier, each) for each in dates if (qualifier := each.element(1)) in ends]
    if len(spoken) > 1:
        order = list(ends)
        spoken.sort(key=lambda each: order.index(each[0]))
    found = _UNKNOWN
    for qualifier, segment in spoken:
        found = found.and_also(_stated(segment, ends[qualifier]))
    return found


def _stated(segment: Segment, end: str) -> Period:
    """A range gives both ends, a single date the end that its qualifier stands for."""
    if segment.element(2) == "RD8":
        begin, _, last = segment.element(3).partition("-")
        return Period(begin=day(begin), end=day(last))
    found = day(segment.element(3))
    return Period(begin=found) if end == "begin" else Period(end=found)
