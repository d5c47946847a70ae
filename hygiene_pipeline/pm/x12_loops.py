"""Walks one 271 transaction and collects what it says about each person. Decides nothing.

Loops: information source (HL 20), receiver (21), subscriber (22), dependent (23); after a person's first EB the names
and references are of other entities (2120) and are left alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from hygiene_pipeline.pm.outcomes import Outcomes, Rejection
from hygiene_pipeline.pm.x12_dates import Period, period
from hygiene_pipeline.pm.x12_segments import Segment

_SOURCE, _SUBSCRIBER, _DEPENDENT = "20", "22", "23"
_LEVELS = {_SOURCE: "payer", "21": "provider", _SUBSCRIBER: "subscriber", _DEPENDENT: "dependent"}


class Payer(NamedTuple):
    """The information source (2100A)."""

    payer_id: str = ""
    name: str = ""


@dataclass(kw_only=True)
class Person:
    """A subscriber's or a dependent's loop; of the name nothing is kept."""

    segments: list[Segment]
    payer: Payer
    subscriber: "Person | None" = None
    has_dependents: bool = False
    trace: str = ""
    is_own_trace: bool = False
    member_id: str = ""
    account: str = ""
    plan: Period = field(default_factory=Period)
    benefits: list[tuple[Segment, Period]] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)


class Loops:
    """What a transaction holds: its BHT, its persons in order, and the rejections of the inquiry as a whole."""

    def __init__(self, segments: list[Segment], outcomes: Outcomes) -> None:
        self.began = Segment(0, ["BHT"])
        self.payer = Payer()
        self.persons: list[Person] = []
        self.rejections: list[Rejection] = []
        self._outcomes = outcomes
        self._level = ""
        self._person: Person | None = None
        self._subscriber: Person | None = None
        self._walk(segments)

    def _walk(self, segments: list[Segment]) -> None:
        readers: dict[str, Callable[[Segment], None]] = {
            "BHT": self._begin,
            "HL": self._enter,
            "NM1": self._name,
            "TRN": self._trace,
            "REF": self._refer,
            "DTP": self._date,
            "EB": self._benefit,
            "AAA": self._reject,
        }
        for segment in segments:
            reader = readers.get(segment.name)
            if reader:
                reader(segment)
            if self._person is not None and segment.name not in ("HL", "SE"):
                self._person.segments.append(segment)

    def _begin(self, segment: Segment) -> None:
        self.began = segment

    def _enter(self, segment: Segment) -> None:
        self._level = segment.element(3)
        self._person = None
        if self._level == _SOURCE:
            self.payer = Payer()
        if self._level == _SUBSCRIBER:
            self._person = self._subscriber = Person(segments=[segment], payer=self.payer)
            self.persons.append(self._person)
        elif self._level == _DEPENDENT:
            self._person = Person(segments=[segment], payer=self.payer, subscriber=self._subscriber)
            self.persons.append(self._person)
            if self._subscriber is not None:
                self._subscriber.has_dependents = True
        else:
            self._subscriber = None

    def _name(self, segment: Segment) -> None:
        person = self._person
        if self._level == _SOURCE and self.payer == Payer():
            self.payer = Payer(payer_id=segment.element(9), name=segment.element(3))
        elif person is not None and not person.benefits and segment.element(1) in ("IL", "03"):
            person.member_id = segment.element(9) or person.member_id

    def _trace(self, segment: Segment) -> None:
        """TRN01 2 is the trace of our own inquiry; the payer's own one serves if that is all there is."""
        if self._person is not None and not self._person.is_own_trace:
            self._person.trace = segment.element(2)
            self._person.is_own_trace = segment.element(1) == "2"

    def _refer(self, segment: Segment) -> None:
        person = self._person
        if person is None or person.benefits:
            return
        if segment.element(1) == "EJ":
            person.account = segment.element(2)
        elif segment.element(1) == "1W" and not person.member_id:
            person.member_id = segment.element(2)

    def _date(self, segment: Segment) -> None:
        person = self._person
        if person is None:
            return
        if person.benefits:
            benefit, known = person.benefits[-1]
            person.benefits[-1] = (benefit, known.and_also(period(segment, self._outcomes.benefit_dates)))
        else:
            person.plan = person.plan.and_also(period(segment, self._outcomes.plan_dates))

    def _benefit(self, segment: Segment) -> None:
        if self._person is not None:
            self._person.benefits.append((segment, Period()))

    def _reject(self, segment: Segment) -> None:
        level = _LEVELS.get(self._level, "inquiry")
        rejection = Rejection(code=segment.element(3), follow_up=segment.element(4), level=level)
        (self.rejections if self._person is None else self._person.rejections).append(rejection)
