"""The practice's calendar: simulated days, local midnights and the hour of the nightly run."""

import datetime as dt
from dataclasses import dataclass, field
from functools import lru_cache
from zoneinfo import ZoneInfo

UTC = dt.UTC
DAY = dt.timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Day 0 begins at the local midnight of `start`; the run of day n is at 02:00 local of `start` + n days."""

    start: dt.date
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("America/New_York"))

    def date(self, day: int) -> dt.date:
        """The local date of a simulated day."""
        return self.start + dt.timedelta(days=day)

    def midnight(self, day: int) -> dt.datetime:
        """The first instant of a day; files dropped before the run of that day are complete by then."""
        return self.at(self.date(day))

    def as_of(self, day: int) -> dt.datetime:
        """The instant of the nightly run of a day."""
        return self.at(self.date(day), hour=2)

    def at(self, date: dt.date, *, hour: int = 0, minute: int = 0, second: int = 0) -> dt.datetime:
        """A local wall-clock time as an aware UTC instant."""
        local = dt.datetime(date.year, date.month, date.day, hour, minute, second, tzinfo=self.zone)
        return local.astimezone(UTC)

    def local(self, instant: dt.datetime) -> dt.datetime:
        """The same instant on the practice's wall clock."""
        return instant.astimezone(self.zone)

    def text(self, instant: dt.datetime) -> str:
        """ISO 8601 with the practice's offset, to the second."""
        return _text(instant, self.zone)

    def is_workday(self, day: int) -> bool:
        """Monday to Friday."""
        return self.date(day).weekday() < 5


@lru_cache(maxsize=1 << 18)
def _text(instant: dt.datetime, zone: ZoneInfo) -> str:
    """Kept, since extracts that are written whole every day show the same instants again and again."""
    return instant.astimezone(zone).isoformat(timespec="seconds")
