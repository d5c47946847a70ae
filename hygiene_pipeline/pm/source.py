"""The port to a practice management system that is asked for its lists, instead of dropping them as files.

Every value is text as `landing/pm/*.csv` holds it: ISO dates, times with offset, an empty text for what is not known.
What cannot be read as a date stays as it came, so that the landing step quarantines it with its line.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

Row = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A patient as registered, and the policies that the patient is registered with, primary first."""

    patient: Row
    coverage: Sequence[Row]


class PmSource(ABC):
    """Gives whole lists; a list that ends early raises and is never taken for a shorter one."""

    @abstractmethod
    def check(self) -> str:
        """Prove by the cheapest call that the system answers us; its id for the practice."""

    @abstractmethod
    def referral_network(self) -> list[Row]:
        """The referring providers, one row an NPI."""

    @abstractmethod
    def registrations(self) -> Iterator[Registration]:
        """Every patient of the practice, page by page."""

    @abstractmethod
    def appointments(self, first: date, last: date) -> Iterator[Row]:
        """Every appointment that starts between two days of the practice's calendar, both included."""
