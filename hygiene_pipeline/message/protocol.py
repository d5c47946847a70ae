"""The port to whoever carries messages: hand one over, and say how sure it is that it left.

An adapter implements this and nothing more. Who may be asked, when and how often is settled before it is called; an
address that it refuses, or a stop that it knows of, is acted upon after.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hygiene_pipeline.failures import PermanentError, TransientError


class Verdict(StrEnum):
    """What became of a message. Only `BUSY` is certain not to have left and may be handed over again."""

    SENT = "sent"
    OPTED_OUT = "opted_out"
    BAD_ADDRESS = "bad_address"
    REFUSED = "refused"
    BUSY = "busy"
    UNCONFIRMED = "unconfirmed"


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message as it leaves; a text has no subject. Address and text do not show in what is printed of it."""

    message_id: str
    at: datetime
    address: str = field(repr=False)
    subject: str | None = field(repr=False)
    text: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """The vendor's answer: its own id of the message, its code of a failure, the cost in US dollars if it says."""

    verdict: Verdict
    vendor_id: str | None = None
    code: str | None = None
    cost_usd: float | None = None


class ChannelRefusedError(PermanentError):
    """The vendor takes nothing at all from us: credentials, sender or account are wrong. Nothing more is tried."""


class ChannelDownError(TransientError):
    """The vendor could not be reached, or takes nothing now; what was not handed over waits for the next pass."""


class Channel(ABC):
    """A way to a patient. One is opened for a pass, used for one message after another, and closed."""

    name: str

    @abstractmethod
    def send(self, message: Message) -> Receipt:
        """Hand over a message, at most once.

        Raises ChannelRefusedError when no message of ours can be taken; then this one was not.
        """

    def look_up(self, message: Message) -> Receipt | None:
        """What the vendor knows of a message that may have been handed over; None if it cannot say. Costs nothing."""
        return None

    def follow(self, vendor_id: str) -> Receipt | None:
        """What became of a message that was taken, and its cost; None if that cannot be known yet. Costs nothing."""
        return None

    @abstractmethod
    def examine(self) -> str:
        """Whether messages would be taken, in a few words, without sending or spending anything.

        Raises ChannelRefusedError or ChannelDownError.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the connection."""
