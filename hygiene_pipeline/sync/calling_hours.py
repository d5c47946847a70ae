"""When a practice may write to people: by the hours of its own time zone. Pure arithmetic of time."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def next_opening(at: datetime, *, zone: ZoneInfo, from_hour: int, to_hour: int) -> datetime:
    """`at` itself between the two hours (the first included, the last not), else when they next begin."""
    local = at.astimezone(zone)
    if from_hour <= local.hour < to_hour:
        return at.astimezone(UTC)
    day = local.date() if local.hour < from_hour else local.date() + timedelta(days=1)
    return datetime.combine(day, time(from_hour), tzinfo=zone).astimezone(UTC)


def day_of(at: datetime, *, zone: ZoneInfo) -> tuple[date, datetime, datetime]:
    """The local date, and the instants at which it begins and ends."""
    day = at.astimezone(zone).date()
    begins, ends = (datetime.combine(day + timedelta(days=n), time(), tzinfo=zone).astimezone(UTC) for n in (0, 1))
    return day, begins, ends
