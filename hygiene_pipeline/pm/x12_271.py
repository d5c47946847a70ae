"""Reads X12 271 eligibility answers (005010X279A1): one answer a subscriber or dependent that the payer speaks about.

Names are not kept. What gives no answer comes out as `Unusable` with the number of its first segment, so that every
transaction of a file ends as an answer or in quarantine.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo

from hygiene_pipeline.pm.outcomes import Benefit, Outcomes, Rejection, decide
from hygiene_pipeline.pm.protocol import EligibilityAnswer, Unusable
from hygiene_pipeline.pm.x12_dates import instant
from hygiene_pipeline.pm.x12_loops import Loops, Person
from hygiene_pipeline.pm.x12_segments import interchanges
from hygiene_pipeline.pm.x12_transactions import Transaction, transactions


def read_271(text: str, *, outcomes: Outcomes, timezone: tzinfo) -> Iterator[EligibilityAnswer | Unusable]:
    """All answers of a file in order; its times carry no offset and are taken in the practice's `timezone`."""
    for interchange in interchanges(text):
        if isinstance(interchange, Unusable):
            yield interchange
            continue
        is_empty = True
        for transaction in transactions(interchange):
            is_empty = False
            yield from _read(transaction, outcomes, timezone)
        if is_empty:
            first = interchange.segments[0].position
            yield Unusable(position=first, reason="no_transaction", original=interchange.text(interchange.segments))


def _read(
    transaction: Transaction | Unusable, outcomes: Outcomes, timezone: tzinfo
) -> Iterator[EligibilityAnswer | Unusable]:
    if isinstance(transaction, Unusable):
        yield transaction
    elif transaction.segments[0].element(1) != "271":
        yield transaction.unusable(transaction.segments, "not_a_271")
    else:
        yield from _answers(transaction, outcomes, timezone)


def _answers(transaction: Transaction, outcomes: Outcomes, timezone: tzinfo) -> Iterator[EligibilityAnswer | Unusable]:
    loops = Loops(transaction.segments, outcomes)
    checked_at = _checked_at(transaction, loops, timezone)
    if checked_at is None:
        yield transaction.unusable(transaction.segments, "bad_timestamp")
        return
    # A rejection of the whole inquiry names nobody, and is an answer all the same.
    persons = loops.persons or [Person(segments=transaction.segments, payer=loops.payer)]
    for person in persons:
        if not transaction.is_complete and person is persons[-1]:
            # The benefits that were cut off might have said something else.
            yield transaction.unusable(person.segments, "truncated_transaction")
        elif not person.has_dependents or person.benefits or person.rejections:
            yield _answer(transaction, loops, person, outcomes, checked_at)


def _checked_at(transaction: Transaction, loops: Loops, timezone: tzinfo) -> datetime | None:
    """When the payer answered: the transaction's own time, else its group's."""
    found = instant(loops.began.element(4), loops.began.element(5), timezone)
    if found is None and transaction.group is not None:
        found = instant(transaction.group.element(4), transaction.group.element(5), timezone)
    return found


def _answer(
    transaction: Transaction, loops: Loops, person: Person, outcomes: Outcomes, checked_at: datetime
) -> EligibilityAnswer | Unusable:
    benefits = _benefits(transaction, person)
    verdict = decide(outcomes, benefits, _rejections(loops, person), on=checked_at.date())
    if verdict is None:
        return transaction.unusable(person.segments, "no_answer")
    position = person.segments[0].position
    subscriber = person.subscriber or person
    control = f"{transaction.interchange.control}/{transaction.control}"
    return EligibilityAnswer(
        position=position,
        check_id=person.trace or subscriber.trace or loops.began.element(3) or control,
        pm_patient_id=person.account or None,
        payer_id=person.payer.payer_id or None,
        payer_name=person.payer.name or None,
        member_id=person.member_id or subscriber.member_id or None,
        checked_at=checked_at.astimezone(UTC).isoformat(),
        result=verdict[0],
        message=verdict[1],
        plan_begin=person.plan.begin.isoformat() if person.plan.begin else None,
        plan_end=person.plan.end.isoformat() if person.plan.end else None,
        source_format="x12",
        evidence_ref=f"271/{control}/{position}",
    )


def _benefits(transaction: Transaction, person: Person) -> list[Benefit]:
    """The person's benefits; dates within a benefit override those of the plan."""
    repetition = transaction.interchange.repetition
    return [
        Benefit(
            code=segment.element(1),
            service_types=tuple(segment.element(3).split(repetition)),
            begin=known.begin or person.plan.begin,
            end=known.end or person.plan.end,
        )
        for segment, known in person.benefits
    ]


def _rejections(loops: Loops, person: Person) -> list[Rejection]:
    """The person's own rejections; those of the subscriber or of the inquiry only if nothing was said of the person."""
    if person.rejections or person.benefits:
        return person.rejections
    inherited = person.subscriber.rejections if person.subscriber else []
    return inherited or loops.rejections
