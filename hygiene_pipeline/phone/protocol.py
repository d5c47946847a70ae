"""The port to a phone lookup: which numbers to ask about, and what was said of them.

An adapter implements this and nothing more. Which number is due is settled before it is called; what an answer means
for a contact is settled after, in SQL.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, kw_only=True)
class LookupRequest:
    """A number (E.164) to ask about. A reassigned-number answer is against the day the patient was last known there."""

    phone: str
    last_confirmed_on: date | None = None


@dataclass(frozen=True, kw_only=True)
class LookupAnswer:
    """What a provider said of a number: one line of `phone/lookups.csv`. None is "not asked" or "no data", never "no".

    `error` says that the provider failed for this number; such an answer proves nothing about it.
    """

    phone: str
    checked_at: datetime
    provider: str
    valid: bool | None = None
    line_type: str | None = None
    line_status: str | None = None
    reassigned: str | None = None
    error: str | None = None


class PhoneLookup(ABC):
    """Somebody who can be asked whether numbers still answer."""

    @abstractmethod
    def ask(self, requests: Sequence[LookupRequest]) -> list[LookupAnswer]:
        """Ask about these numbers, most urgent first; the answers there are by now, in any order."""
