"""From the segments of an interchange to transactions (ST to SE), and everything that stands outside one.

The envelopes are checked by their trailers. A transaction whose segments are not as many as its SE says is not whole,
and none of it is used. What a GE or IEA says wrongly is told about that trailer alone: what it encloses speaks for
itself. So is a control number that differs on a trailer, if the count is right.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from hygiene_pipeline.pm.protocol import Unusable
from hygiene_pipeline.pm.x12_segments import Interchange, Segment

_ENVELOPE = {"ISA", "GS", "GE", "IEA", "TA1"}
_BOUNDS = {"ST", "SE", *_ENVELOPE}


@dataclass(kw_only=True)
class Transaction:
    """The segments from ST to SE; `is_complete` says whether the SE came, `is_counted` whether its count is right."""

    interchange: Interchange
    group: Segment | None
    segments: list[Segment] = field(default_factory=list)
    is_complete: bool = False
    is_counted: bool = True

    @property
    def control(self) -> str:
        """ST02."""
        return self.segments[0].element(2)

    def unusable(self, segments: list[Segment], reason: str) -> Unusable:
        """Some of this transaction's segments, for the quarantine."""
        return Unusable(position=segments[0].position, reason=reason, original=self.interchange.text(segments))


def transactions(interchange: Interchange) -> Iterator[Transaction | Unusable]:
    """Every transaction in order; a new ST or an envelope segment ends one that has no SE."""
    walk = _Walk(interchange)
    for segment in interchange.segments():
        # Nearly all are within a transaction, and end nothing.
        if not walk.has_kept(segment):
            yield from walk.take(segment)
    yield from walk.end()


class _Walk:
    """Where in the envelopes of an interchange a reader stands."""

    def __init__(self, interchange: Interchange) -> None:
        self._interchange = interchange
        self._group: Segment | None = None
        self._is_group_open = False
        self._is_closed = False
        self._groups = 0
        self._transactions = 0
        self._current: Transaction | None = None
        self._stray: list[Segment] = []

    def has_kept(self, segment: Segment) -> bool:
        """Add a segment to the transaction that it stands in, if there is one and neither begins or ends with it."""
        if self._current is None or segment.elements[0] in _BOUNDS:
            return False
        self._current.segments.append(segment)
        return True

    def take(self, segment: Segment) -> Iterator[Transaction | Unusable]:
        """What ends with this segment."""
        if segment.name == "ST" or segment.name in _ENVELOPE:
            yield from self._ended()
            yield from self._enclosed(segment)
        elif self._current is None:
            self._stray.append(segment)
        if self._current is not None:
            self._current.segments.append(segment)
            if segment.name == "SE":
                yield from self._complete(self._current, segment)

    def end(self) -> Iterator[Transaction | Unusable]:
        """What the end of the interchange ends; without an IEA nobody knows what else was in it."""
        is_told = self._current is not None
        yield from self._ended()
        if not self._is_closed and not is_told:
            yield self._wrong(self._interchange.last(), "truncated_interchange")

    def _ended(self) -> Iterator[Transaction | Unusable]:
        if self._current is not None:
            yield self._current
        if self._stray:
            first = self._stray[0].position
            text = self._interchange.text(self._stray)
            yield Unusable(position=first, reason="outside_transaction", original=text)
        self._current, self._stray = None, []

    def _enclosed(self, segment: Segment) -> Iterator[Unusable]:
        if segment.name == "ST":
            self._transactions += 1
            self._current = Transaction(interchange=self._interchange, group=self._group)
        elif segment.name == "GS":
            yield from self._unclosed_group()
            self._group, self._is_group_open = segment, True
            self._groups, self._transactions = self._groups + 1, 0
        elif segment.name == "GE":
            opened = self._group.element(6) if self._group is not None and self._is_group_open else None
            yield from self._checked(segment, count=self._transactions, control=opened)
            self._is_group_open = False
        elif segment.name == "IEA":
            yield from self._unclosed_group()
            yield from self._checked(segment, count=self._groups, control=self._interchange.control)
            self._is_closed = True

    def _complete(self, current: Transaction, segment: Segment) -> Iterator[Transaction | Unusable]:
        current.is_complete = True
        current.is_counted = _number(segment.element(1)) == len(current.segments)
        self._current = None
        yield current
        if current.is_counted and not _is_same(segment.element(2), current.control):
            yield self._wrong(segment, "wrong_control_number")

    def _checked(self, trailer: Segment, *, count: int, control: str | None) -> Iterator[Unusable]:
        """GE and IEA: how many they enclose, and the control number of their header."""
        if _number(trailer.element(1)) != count:
            yield self._wrong(trailer, "wrong_count")
        elif control is None or not _is_same(trailer.element(2), control):
            yield self._wrong(trailer, "wrong_control_number")

    def _unclosed_group(self) -> Iterator[Unusable]:
        if self._is_group_open and self._group is not None:
            yield self._wrong(self._group, "truncated_group")
        self._is_group_open = False

    def _wrong(self, segment: Segment, reason: str) -> Unusable:
        return Unusable(position=segment.position, reason=reason, original=self._interchange.text([segment]))


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None


def _is_same(one: str, other: str) -> bool:
    """Some senders leave the leading zeros of a control number away."""
    return one == other or one.lstrip("0") == other.lstrip("0") != ""
