"""From the segments of an interchange to transactions (ST to SE), and everything that stands outside one.

Counts and control numbers in SE, GE and IEA are not checked: real files carry wrong ones around good answers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from hygiene_pipeline.pm.protocol import Unusable
from hygiene_pipeline.pm.x12_segments import Interchange, Segment

_ENVELOPE = {"ISA", "GS", "GE", "IEA", "TA1"}


@dataclass(kw_only=True)
class Transaction:
    """The segments from ST to SE; `is_complete` says whether the SE came."""

    interchange: Interchange
    group: Segment | None
    segments: list[Segment] = field(default_factory=list)
    is_complete: bool = False

    @property
    def control(self) -> str:
        """ST02."""
        return self.segments[0].element(2)

    def unusable(self, segments: list[Segment], reason: str) -> Unusable:
        """Some of this transaction's segments, for the quarantine."""
        return Unusable(position=segments[0].position, reason=reason, original=self.interchange.text(segments))


def transactions(interchange: Interchange) -> Iterator[Transaction | Unusable]:
    """Every transaction in order; a new ST or an envelope segment ends one that has no SE."""
    group: Segment | None = None
    current: Transaction | None = None
    stray: list[Segment] = []
    for segment in interchange.segments:
        if segment.name == "ST" or segment.name in _ENVELOPE:
            yield from _ended(interchange, current, stray)
            stray = []
            current = Transaction(interchange=interchange, group=group) if segment.name == "ST" else None
            group = segment if segment.name == "GS" else group
        if current is not None:
            current.segments.append(segment)
        elif segment.name not in _ENVELOPE:
            stray.append(segment)
        if segment.name == "SE" and current is not None:
            current.is_complete = True
            yield current
            current = None
    yield from _ended(interchange, current, stray)


def _ended(
    interchange: Interchange, current: Transaction | None, stray: list[Segment]
) -> Iterator[Transaction | Unusable]:
    if current is not None:
        yield current
    if stray:
        yield Unusable(position=stray[0].position, reason="outside_transaction", original=interchange.text(stray))
