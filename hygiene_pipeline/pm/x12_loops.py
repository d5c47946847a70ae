"""Walks one 271 transaction and collects what it says about each person. Decides nothing.

Loops: information source (HL 20), receiver (21), subscriber (22), dependent (23); after a person's first EB the names
and references are of other entities (2120) and are left alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from hygiene_pipeline.pm.outcomes import Rejection
from hygiene_pipeline.pm.x12_segments import Segment

_SOURCE, _RECEIVER, _SUBSCRIBER, _DEPENDENT = _NESTED = ("20", "21", "22", "23")
PERSONS = (_SUBSCRIBER, _DEPENDENT)
_LEVELS = {_SOURCE: "payer", _RECEIVER: "provider", _SUBSCRIBER: "subscriber", _DEPENDENT: "dependent"}


class Payer(NamedTuple):
    """The information source (2100A)."""

    payer_id: str = ""
    name: str = ""


@dataclass(kw_only=True, slots=True)
class SaidBenefit:
    """One EB with the dates and messages of its loop (2110)."""

    segment: Segment
    dates: list[Segment] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(kw_only=True, eq=False, slots=True)
class Loop:
    """One HL and what stands in it; `above` is the loop that it hangs on. Of a person's name nothing is kept."""

    level: str
    segments: list[Segment]
    payer: Payer
    above: "Loop | None" = None
    has_persons: bool = False
    has_dependents: bool = False
    trace: str = ""
    is_own_trace: bool = False
    member_id: str = ""
    account: str = ""
    dates: list[Segment] = field(default_factory=list)
    benefits: list[SaidBenefit] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)

    @property
    def is_person(self) -> bool:
        """Whether it is a subscriber's or a dependent's."""
        return self.level in PERSONS

    @property
    def subscriber(self) -> "Loop | None":
        """Whose dependent this is."""
        return self.above if self.above is not None and self.above.is_person else None

    @property
    def inherited_rejections(self) -> list[Rejection]:
        """What was said of the subscriber; if nothing, of the inquiry as a whole, the payer's word first."""
        if self.above is None:
            return []
        if self.above.is_person and self.above.rejections:
            return self.above.rejections
        return [*self.above.inherited_rejections, *self.above.rejections]


class Loops:
    """The loops of a transaction in order; the first of them is the transaction itself, before any HL."""

    def __init__(self, segments: list[Segment]) -> None:
        self.began = Segment(0, ["BHT"])
        self._now = Loop(level="", segments=[], payer=Payer())
        self._all = [self._now]
        self._open: dict[str, Loop] = {}
        self._walk(segments)

    @property
    def persons(self) -> list[Loop]:
        """Subscribers and dependents."""
        return [loop for loop in self._all if loop.is_person]

    @property
    def rejected_inquiries(self) -> list[Loop]:
        """Inquiries that a payer rejected without a word on any person; of two nested loops the inner one."""
        told: list[Loop] = []
        for loop in reversed(self._all):
            if loop.rejections and not loop.has_persons and not any(each.above is loop for each in told):
                told.append(loop)
        return told[::-1]

    def _walk(self, segments: list[Segment]) -> None:
        for segment in segments:
            name = segment.elements[0]
            if name == "HL":
                self._enter(segment)
                continue
            reader = _READERS.get(name)
            if reader is not None:
                reader(self, segment)
            if name != "SE":
                self._now.segments.append(segment)

    def _begin(self, segment: Segment) -> None:
        self.began = segment

    def _enter(self, segment: Segment) -> None:
        level = segment.element(3)
        # A loop of an unknown level is nobody's, and ends every person's.
        depth = _NESTED.index(level) if level in _NESTED else 2
        for ended in _NESTED[depth:]:
            self._open.pop(ended, None)
        above = next((self._open[each] for each in reversed(_NESTED[:depth]) if each in self._open), self._all[0])
        payer = Payer() if level == _SOURCE else above.payer
        self._now = Loop(level=level, segments=[segment], payer=payer, above=above)
        self._all.append(self._now)
        if level in _NESTED:
            self._open[level] = self._now
        if self._now.is_person:
            above.has_dependents = above.is_person
            for each in (self._all[0], *self._open.values()):
                each.has_persons = True

    def _name(self, segment: Segment) -> None:
        loop = self._now
        if loop.level == _SOURCE and loop.payer == Payer():
            loop.payer = Payer(payer_id=segment.element(9), name=segment.element(3))
        elif loop.is_person and not loop.benefits and segment.element(1) in ("IL", "03"):
            loop.member_id = segment.element(9) or loop.member_id

    def _trace(self, segment: Segment) -> None:
        """TRN01 2 is the trace of our own inquiry; the payer's own one serves if that is all there is."""
        loop = self._now
        if loop.is_person and not loop.is_own_trace and segment.element(2):
            loop.trace = segment.element(2)
            loop.is_own_trace = segment.element(1) == "2"

    def _refer(self, segment: Segment) -> None:
        loop = self._now
        if not loop.is_person or loop.benefits:
            return
        if segment.element(1) == "EJ":
            loop.account = segment.element(2)
        elif segment.element(1) == "1W" and not loop.member_id:
            loop.member_id = segment.element(2)

    def _date(self, segment: Segment) -> None:
        loop = self._now
        if loop.is_person:
            (loop.benefits[-1].dates if loop.benefits else loop.dates).append(segment)

    def _benefit(self, segment: Segment) -> None:
        if self._now.is_person:
            self._now.benefits.append(SaidBenefit(segment=segment))

    def _note(self, segment: Segment) -> None:
        if self._now.benefits and segment.element(1):
            self._now.benefits[-1].notes.append(segment.element(1))

    def _reject(self, segment: Segment) -> None:
        level = "benefit" if self._now.benefits else _LEVELS.get(self._now.level, "inquiry")
        rejection = Rejection(code=segment.element(3), follow_up=segment.element(4), level=level)
        self._now.rejections.append(rejection)


_READERS: dict[str, Callable[[Loops, Segment], None]] = {
    "BHT": Loops._begin,
    "NM1": Loops._name,
    "TRN": Loops._trace,
    "REF": Loops._refer,
    "DTP": Loops._date,
    "EB": Loops._benefit,
    "MSG": Loops._note,
    "AAA": Loops._reject,
}
