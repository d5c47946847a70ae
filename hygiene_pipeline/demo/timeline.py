"""A value that changes over time, kept with the instants since which each value holds."""

import datetime as dt
from bisect import bisect_right
from typing import Generic, TypeVar

T = TypeVar("T")


class Timeline(Generic[T]):
    """Values in order of the instants since which they hold; people who share a phone or a home share one object."""

    __slots__ = ("since", "values")

    def __init__(self, since: dt.datetime, value: T) -> None:
        self.since = [since]
        self.values = [value]

    @property
    def now(self) -> T:
        """The latest value."""
        return self.values[-1]

    @property
    def changed_at(self) -> dt.datetime:
        """Since when the latest value holds."""
        return self.since[-1]

    def change(self, at: dt.datetime, value: T) -> None:
        """Let `value` hold from `at` on."""
        self.since.append(at)
        self.values.append(value)

    def at(self, instant: dt.datetime) -> T:
        """The value that held at an instant (before the first one, the first one)."""
        return self.values[max(bisect_right(self.since, instant) - 1, 0)]
