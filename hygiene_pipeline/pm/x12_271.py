"""Reads X12 271 eligibility answers (005010X279A1): one answer a subscriber or dependent that the payer speaks about.

Names are not kept. What gives no answer comes out as `Unusable` with the number of its first segment, so that every
transaction of a file ends as an answer or in quarantine.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo

from hygiene_pipeline.pm.outcomes import Benefit, Outcomes, Rejection, decide
from hygiene_pipeline.pm.protocol import EligibilityAnswer, Unusable
from hygiene_pipeline.pm.x12_dates import Period, instant, period
from hygiene_pipeline.pm.x12_loops import PERSONS, Loop, Loops
from hygiene_pipeline.pm.x12_segments import interchanges
from hygiene_pipeline.pm.x12_transactions import Transaction, transactions


def read_271(text: str, *, outcomes: Outcomes, timezone: tzinfo) -> Iterator[EligibilityAnswer | Unusable]:
    """All answers of a file in order; its times carry no offset and are taken in the practice's `timezone`."""
    for interchange in interchanges(text):
        if isinstance(interchange, Unusable):
            yield interchange
            continue
        is_empty = True
        for found in transactions(interchange):
            if isinstance(found, Transaction):
                is_empty = False
                yield from _read(found, outcomes, timezone)
            else:
                yield found
        if is_empty:
            text = interchange.text(list(interchange.segments()))
            yield Unusable(position=interchange.first, reason="no_transaction", original=text)


def _read(transaction: Transaction, outcomes: Outcomes, timezone: tzinfo) -> Iterator[EligibilityAnswer | Unusable]:
    if transaction.segments[0].element(1) != "271":
        yield transaction.unusable(transaction.segments, "not_a_271")
    elif not transaction.is_counted:
        yield transaction.unusable(transaction.segments, "wrong_segment_count")
    else:
        yield from _answers(transaction, outcomes, timezone)


def _answers(transaction: Transaction, outcomes: Outcomes, timezone: tzinfo) -> Iterator[EligibilityAnswer | Unusable]:
    loops = Loops(transaction.segments)
    checked_at = _checked_at(transaction, loops, timezone)
    if checked_at is None:
        yield transaction.unusable(transaction.segments, "bad_timestamp")
        return
    spoken_of = sorted([*loops.persons, *loops.rejected_inquiries], key=lambda each: each.segments[0].position)
    if not transaction.is_complete and not loops.persons:
        yield transaction.unusable(transaction.segments, "truncated_transaction")
        return
    if not spoken_of:
        yield transaction.unusable(transaction.segments, "no_answer")
    for loop in spoken_of:
        if not transaction.is_complete and loop is loops.persons[-1]:
            # The benefits that were cut off might have said something else.
            yield _unusable(transaction, loop, "truncated_transaction")
        elif not loop.has_dependents or loop.benefits or loop.rejections:
            yield _answer(transaction, loops, loop, outcomes, checked_at)


def _checked_at(transaction: Transaction, loops: Loops, timezone: tzinfo) -> datetime | None:
    """When the payer answered: the transaction's own time, else its group's."""
    found = instant(loops.began.element(4), loops.began.element(5), timezone)
    if found is None and transaction.group is not None:
        found = instant(transaction.group.element(4), transaction.group.element(5), timezone)
    return found


def _answer(
    transaction: Transaction, loops: Loops, loop: Loop, outcomes: Outcomes, checked_at: datetime
) -> EligibilityAnswer | Unusable:
    plan = period(loop.dates, outcomes.plan_dates)
    benefits = _benefits(transaction, loop, plan, outcomes)
    verdict = decide(outcomes, benefits, _rejections(loop), on=checked_at.date())
    if verdict is None:
        return _unusable(transaction, loop, "no_answer")
    position = loop.segments[0].position
    subscriber = loop.subscriber or loop
    control = f"{transaction.interchange.control}/{transaction.control}"
    return EligibilityAnswer(
        position=position,
        check_id=loop.trace or subscriber.trace or loops.began.element(3) or control,
        pm_patient_id=loop.account or None,
        payer_id=loop.payer.payer_id or None,
        payer_name=loop.payer.name or None,
        member_id=loop.member_id or subscriber.member_id or None,
        checked_at=checked_at.astimezone(UTC).isoformat(),
        result=verdict[0],
        message=verdict[1],
        plan_begin=plan.begin.isoformat() if plan.begin else None,
        plan_end=plan.end.isoformat() if plan.end else None,
        source_format="x12",
        evidence_ref=f"271/{control}/{position}",
    )


def _benefits(transaction: Transaction, loop: Loop, plan: Period, outcomes: Outcomes) -> list[Benefit]:
    """The person's benefits; dates within a benefit override those of the plan."""
    repetition = transaction.interchange.repetition
    found = []
    for said in loop.benefits:
        known = period(said.dates, outcomes.benefit_dates).and_also(plan) if said.dates else plan
        found.append(
            Benefit(
                code=said.segment.element(1),
                service_types=tuple(each.strip() for each in said.segment.element(3).split(repetition)),
                begin=known.begin,
                end=known.end,
                notes=tuple(said.notes),
            )
        )
    return found


def _rejections(loop: Loop) -> list[Rejection]:
    """The loop's own rejections; those above it only if nothing was said of the person, or no person is spoken of."""
    if not loop.is_person:
        return [*loop.inherited_rejections, *loop.rejections]
    return loop.rejections if loop.rejections or loop.benefits else loop.inherited_rejections


def _unusable(transaction: Transaction, loop: Loop, reason: str) -> Unusable:
    """A person's segments for the quarantine, behind those that say which payer and inquiry they are of."""
    position = loop.segments[0].position
    persons = [each for each in transaction.segments if each.name == "HL" and each.element(3) in PERSONS]
    begin = min([position, *(each.position for each in persons[:1])])
    head = [each for each in transaction.segments if each.position < begin]
    kept = transaction.unusable([*head, *loop.segments], reason)
    return Unusable(position=position, reason=reason, original=kept.original)
