"""The port to a phone lookup: one number is asked about, and what was said of it comes back.

An adapter implements this and nothing more. Which number is due is settled before it is called; how often, how fast and
whether again is the run's business; what an answer means for a contact is settled after, in SQL.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from hygiene_pipeline.failures import PermanentError, TransientError


class Remedy(StrEnum):
    """What can be done about a package that failed: ask again, leave this number, or leave the package altogether."""

    AGAIN = "again"
    LEAVE_NUMBER = "leave_number"
    STOP_PACKAGE = "stop_package"


@dataclass(frozen=True, kw_only=True)
class LookupRequest:
    """A number (E.164) to ask about. A new owner is looked for since the day the patient was last known there."""

    phone: str
    packages: tuple[str, ...] = ()
    last_confirmed_on: date | None = None

    def without(self, packages: Iterable[str]) -> "LookupRequest":
        """The same without these packages."""
        left_out = set(packages)
        return replace(self, packages=tuple(each for each in self.packages if each not in left_out))


@dataclass(frozen=True, kw_only=True)
class PackageFailure:
    """A part of a lookup that failed although the call succeeded; `code` is the vendor's, `told` holds no number."""

    package: str
    code: str
    remedy: Remedy
    told: str


@dataclass(frozen=True, kw_only=True)
class LookupAnswer:
    """What a vendor said of a number. None is "not asked" or "no data", never "no".

    `is_assignable` says that a carrier may assign the number, which proves nobody there. `reassigned` is yes, no or
    no_data_available. `answered` are the packages that gave an answer: those are paid for.
    """

    phone: str
    is_assignable: bool | None = None
    line_type: str | None = None
    line_status: str | None = None
    reassigned: str | None = None
    carrier: str | None = None
    answered: tuple[str, ...] = ()
    failures: tuple[PackageFailure, ...] = ()

    @property
    def valid(self) -> bool | None:
        """Whether somebody has the number: False if nobody can, True if a subscriber was found, otherwise unknown."""
        if self.is_assignable is False:
            return False
        # No new owner since the patient was there, and the line in nobody else's hands: it is still theirs.
        has_subscriber = self.line_status in ("active", "reachable") or self.reassigned == "no"
        return True if has_subscriber and self.line_status != "inactive" else None

    def failed_with(self, remedy: Remedy) -> tuple[PackageFailure, ...]:
        """The failures that this can be done about."""
        return tuple(each for each in self.failures if each.remedy is remedy)

    def completed_by(self, later: "LookupAnswer") -> "LookupAnswer":
        """This answer with what a later call for its failed packages brought."""
        settled = {*later.answered, *(each.package for each in later.failures)}
        return LookupAnswer(
            phone=self.phone,
            is_assignable=self.is_assignable if later.is_assignable is None else later.is_assignable,
            line_type=later.line_type or self.line_type,
            line_status=later.line_status or self.line_status,
            reassigned=later.reassigned or self.reassigned,
            carrier=later.carrier or self.carrier,
            answered=self.answered + later.answered,
            failures=tuple(each for each in self.failures if each.package not in settled) + later.failures,
        )


class ServiceRefusedError(PermanentError):
    """The vendor will answer nothing until a person does something: credentials, quota, configuration."""


class NumberRefusedError(PermanentError):
    """The vendor does not take this number; others it may."""


class NoAnswerError(TransientError):
    """No usable answer: a timeout, a broken connection, a failure on the vendor's side."""


class ServiceBusyError(TransientError):
    """The vendor asks for patience; `retry_after` in seconds, if it said how much."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PhoneLookup(ABC):
    """A vendor that can be asked about one number at a time, from several threads at once."""

    provider: str

    @abstractmethod
    def ask(self, request: LookupRequest) -> LookupAnswer:
        """Ask once, without trying again.

        Raises:
            ServiceRefusedError, NumberRefusedError, NoAnswerError, ServiceBusyError: never with a number, a key or an
                address in the message.
        """

    @abstractmethod
    def examine(self, phone: str) -> str:
        """Try the credentials as far as that costs nothing, with a number that is nobody's secret; says what it found.

        Raises what `ask` raises.
        """

    @abstractmethod
    def close(self) -> None:
        """Give the connections back."""
