"""Day 0 of the CRM: a right row for everybody, then flaws in exact shares, and a note of every deviation planted."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from hygiene_pipeline.demo import flaws_care, flaws_coverage, flaws_phone
from hygiene_pipeline.demo.contacts import Row, contact_row, unlearn
from hygiene_pipeline.demo.eligibility import Answer
from hygiene_pipeline.demo.people import Person
from hygiene_pipeline.demo.population import Land
from hygiene_pipeline.demo.truth import Planted

STALE_SHARE = 0.28
FRONT_DESK_CONTACTS = 9


@dataclass(slots=True)
class Planting:
    """The CRM of day 0, the answers of payers so far, and what was planted."""

    rows: dict[str, Row] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    planted: list[Planted] = field(default_factory=list)


def plant(land: Land, patients: Sequence[Person], rng: Random) -> Planting:
    """Give every patient a contact, and 28 % of the contacts at least one field that a source contradicts."""
    planting = Planting()
    for person in patients:
        planting.rows[person.contact_id] = contact_row(
            person, carriers=land.carriers, network=land.network, clock=land.clock, rng=rng
        )
    shuffled = rng.sample(patients, len(patients))
    for allotted in _allot(land, shuffled):
        for person in allotted.people:
            _put(planting, land, person, allotted, rng)
    _front_desk(planting, land, rng)
    _ask_payers(planting, land, patients, rng)
    return planting


@dataclass(frozen=True, slots=True)
class _Allotted:
    detector: str
    reason: str
    flaw: Callable[..., object]
    has_evidence: bool
    people: list[Person]


def _allot(land: Land, shuffled: list[Person]) -> Iterator[_Allotted]:
    """Who gets which flaw: phones first, then the other detectors, partly on the same contacts.

    What is left over of the 28 % goes to contacts with nothing wrong so far; the rest of each quota overlaps.
    """
    total = len(shuffled)
    free = _Free(land, shuffled)
    for reason, phone_flaw, share, alone in flaws_phone.EVIDENT:
        people = free.take(round(share * total), alone=alone)
        yield _Allotted("phone", reason, phone_flaw, has_evidence=True, people=people)
    wrong_phones = list(free.taken)
    others = _others(total)
    all_others = sum(count for *_, count in others)
    overlap = max(all_others - round(STALE_SHARE * total) + len(wrong_phones), 0)
    dealt = 0
    for detector, reason, flaw, count in others:
        people = []
        for _ in range(count):
            # Overlaps are spread evenly over the quotas; the first of them, the dead, have nothing else wrong.
            again = (dealt + 1) * overlap // all_others > dealt * overlap // all_others
            dealt += 1
            deceased = reason == "deceased_not_marked"
            people.append(wrong_phones.pop() if again and not deceased else free.take(1, alone=False)[0])
        yield _Allotted(detector, reason, flaw, has_evidence=True, people=people)
    yield from _unseen(free, total)


def _others(total: int) -> list[tuple[str, str, Callable[..., object], int]]:
    tables: Iterable[tuple[str, Sequence[tuple[str, Callable[..., object], float]]]] = (
        ("care", flaws_care.CARE),
        ("insurance", flaws_coverage.EVIDENT),
        ("referring_provider", flaws_care.REFERRING),
    )
    return [
        (detector, reason, flaw, round(share * total)) for detector, table in tables for reason, flaw, share in table
    ]


def _unseen(free: "_Free", total: int) -> Iterator[_Allotted]:
    for reason, phone_flaw, share, alone in flaws_phone.UNSEEN:
        people = free.take(round(share * total), alone=alone)
        yield _Allotted("phone", reason, phone_flaw, has_evidence=False, people=people)
    for reason, flaw, share in flaws_coverage.UNSEEN:
        people = free.take(round(share * total), alone=False)
        yield _Allotted("insurance", reason, flaw, has_evidence=False, people=people)
    lapsed = free.take(round(0.02 * total), alone=False)
    yield _Allotted("", "lapsed_and_known", flaws_coverage.lapsed_and_known, has_evidence=False, people=lapsed)


class _Free:
    """Patients without a flaw so far; those whose number can change alone are kept apart."""

    def __init__(self, land: Land, shuffled: list[Person]) -> None:
        self._alone = [person for person in shuffled if flaws_phone.can_move_on(land, person)]
        self._any = [person for person in shuffled if not flaws_phone.can_move_on(land, person)]
        self.taken: list[Person] = []

    def take(self, count: int, *, alone: bool) -> list[Person]:
        taken = []
        for _ in range(count):
            # Those whose number is shared come first where either will do, so that enough of the others are left.
            source = self._any if self._any and not alone else self._alone
            taken.append(source.pop())
        self.taken.extend(taken)
        return taken


def _put(planting: Planting, land: Land, person: Person, allotted: _Allotted, rng: Random) -> None:
    row = planting.rows[person.contact_id]
    if allotted.detector in ("insurance", ""):
        answers = allotted.flaw(land.clock, person, row, rng)
        planting.answers.extend(answers if isinstance(answers, list) else [])
    else:
        allotted.flaw(land, person, row, rng)
        unlearn(row, person)
    if allotted.detector:
        planting.planted.append(
            Planted(
                contact_id=person.contact_id,
                detector=allotted.detector,
                reason=allotted.reason,
                has_evidence=allotted.has_evidence,
            )
        )


def _front_desk(planting: Planting, land: Land, rng: Random) -> None:
    """Some of the placeholders are the cell phone of a clerk, on more contacts than any family has."""
    placed = [row.contact_id for row in planting.planted if row.reason == "placeholder"]
    if len(placed) >= 3 * FRONT_DESK_CONTACTS:
        number = land.new_number(rng, line_type="mobile")
        for contact_id in placed[:FRONT_DESK_CONTACTS]:
            planting.rows[contact_id]["phone"] = number


def _ask_payers(planting: Planting, land: Land, patients: Sequence[Person], rng: Random) -> None:
    special = {row.contact_id for row in planting.planted if row.detector == "insurance"}
    special.update(answer.person.contact_id for answer in planting.answers)
    for person in patients:
        if person.contact_id not in special:
            row = planting.rows[person.contact_id]
            planting.answers.extend(flaws_coverage.agreed(land.clock, person, row, rng))
