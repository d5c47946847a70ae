"""Open enrolment over the simulated practice: many change plan on 1 January, payers time out, answers come late.

The practice asks whom the plan of inquiries says, as many a day as it can. Everything else is the real pipeline; only
the questions at the end look at the planted truth.
"""

import csv
import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from hygiene_pipeline.crm.embedded import EmbeddedCrm
from hygiene_pipeline.demo import knowledge, payers, telling
from hygiene_pipeline.demo.behaviour_staff import WorkItem
from hygiene_pipeline.demo.eligibility import Answer, check
from hygiene_pipeline.demo.payers import policy_key
from hygiene_pipeline.demo.people import Person
from hygiene_pipeline.demo.simulation import Simulation, simulate
from hygiene_pipeline.demo.truth import Truth
from hygiene_pipeline.demo.world import World
from hygiene_pipeline.sync.inquiries import FILE
from hygiene_pipeline_tests.night.bed import PRACTICE, TinyPractice

START = dt.date(2025, 12, 31)
NEW_YEAR, OUTAGE = 1, 2
LATE_DAYS = 2
TELL_AT_ONCE = 0.2
Row = Mapping[str, Any]


@dataclass
class Enrolment:
    """What happens between the nights: patients change plan, the practice asks, payers answer late or not at all."""

    changing: int
    inquiries_a_day: int
    outbox: Path
    asked: set[str] = field(default_factory=set)
    coming: dict[int, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    changed: set[str] = field(default_factory=set)
    only_errors: set[str] = field(default_factory=set)

    def change_plans(self, world: World, day: int) -> None:
        """On 1 January; one in five tells the practice the same day."""
        if day != NEW_YEAR:
            return
        rng = world.stream("enrolment", day)
        date, midnight = world.clock.date(day), world.clock.midnight(day)
        insured = [person for person in world.living() if person.coverage_on(date) is not None]
        for person in rng.sample(insured, self.changing):
            self._change(person, date, rng)
            self.changed.add(person.contact_id)
            knowledge.note_insurance(world, person, midnight)
            if rng.random() < TELL_AT_ONCE:
                telling.tell_coverage(world, person, midnight + dt.timedelta(hours=11), rng)

    def _change(self, person: Person, date: dt.date, rng: Random) -> None:
        old = person.coverage_on(date)
        assert old is not None
        old.terminated = date - dt.timedelta(days=1)
        person.coverages.append(payers.new_coverage(rng, date, age=person.age(date), but_not=old.payer))

    def ask(self, world: World, day: int) -> None:
        """Ask payers in the order of the file, each inquiry once; on the day of the outage all of them time out."""
        rng = world.stream("inquiries", day)
        path = self.outbox / FILE
        with path.open(encoding="utf-8", newline="") as lines:
            due = [row for row in csv.DictReader(lines) if row["check_id"] not in self.asked]
        people = {person.pm_id: person for person in world.living()}
        for place, row in enumerate(due[: self.inquiries_a_day]):
            self.asked.add(row["check_id"])
            person = people.get(row["pm_patient_id"])
            if person is not None:
                at = world.clock.midnight(day) + dt.timedelta(hours=9, seconds=place)
                answer = check(person, at, clock=world.clock, rng=rng, is_outage=day == OUTAGE)
                self.coming[day + LATE_DAYS - 1].append(replace(answer, check_id=row["check_id"]))

    def answer(self, world: World, day: int) -> None:
        """What payers send today is in tomorrow's files."""
        world.news.answers += self.coming.pop(day, [])
        said: dict[str, set[str]] = defaultdict(set)
        for each in world.news.answers:
            said[each.person.contact_id].add(each.result)
        self.only_errors |= {contact for contact, results in said.items() if results == {"payer_error"}}
        self.only_errors -= {contact for contact, results in said.items() if results != {"payer_error"}}


@dataclass(frozen=True, kw_only=True)
class Told:
    """One night: what the metrics say, what the states are, what the CRM shows, and what is really so."""

    day: int
    metric: Row
    asking: Row
    status: Mapping[str, Row]
    crm: dict[str, Row]
    truth: dict[str, str]
    only_errors: frozenset[str]

    @property
    def wrongly_active(self) -> set[str]:
        """Contacts that show as active a policy that the patient does not have."""
        return {
            key
            for key, row in self.crm.items()
            if key in self.truth
            and row["insurance_status"] == "active"
            and policy_key(row["insurance_payer_id"], row["insurance_member_id"]) != self.truth[key]
        }


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What stands at the end: every status that was written to the CRM, and who still shows a policy they have not."""

    written: list[dict[str, Any]]
    wrongly_active: set[str]
    changed: set[str]


def live(
    root: Path,
    *,
    patients: int,
    changing: int,
    inquiries_a_day: int,
    nights: Collection[int],
    ends_answers: bool,
    on_night: Callable[[Told], None],
) -> Ended:
    """Live through it from 31 December, day 0, to the last of `nights`; only the nights named are run.

    `ends_answers`: whether the practice's policy lets answers of the old year count no longer.
    """
    policy = f"{{insurance: {{recheck: {{plan_year: {{ends_answers: {str(ends_answers).lower()}}}}}}}}}"
    bed = TinyPractice(root, policies=policy)
    simulation = simulate(
        landing=bed.folders.landing, data=root / "data", practice=PRACTICE, patients=patients, days=max(nights), seed=5,
        start=START,
    )  # fmt: skip
    enrolment = Enrolment(changing=changing, inquiries_a_day=inquiries_a_day, outbox=bed.folders.outbox)
    simulation.happenings = (enrolment.ask, enrolment.answer)
    for day in range(max(nights) + 1):
        if day:
            simulation.advance(day, is_read=day in nights)
        # At midnight: before the night looks at the day, and before anybody is at work.
        enrolment.change_plans(simulation.world, day)
        if day in nights:
            shown = list(simulation.contacts().values())
            bed.night(simulation.clock.as_of(day).astimezone(dt.UTC).isoformat(), job="bare_night")
            on_night(told := _told(bed, simulation, day, shown, enrolment))
        _work(bed, simulation, day)
    after = replace(told, crm=_active(simulation.contacts().values()))
    written = bed.rows("from sync.crm_change where field = 'insurance_status' and state = 'applied'")
    return Ended(written=written, wrongly_active=after.wrongly_active, changed=enrolment.changed)


def _active(contacts: Iterable[Row]) -> dict[str, Row]:
    return {str(row["contact_id"]): row for row in contacts if str(row["is_active"]).lower() == "true"}


def _told(bed: TinyPractice, simulation: Simulation, day: int, shown: Iterable[Row], enrolment: Enrolment) -> Told:
    as_of = simulation.clock.as_of(day)
    [metric] = bed.rows(
        "select benchmark.* from metrics.benchmark inner join policy.clock using (as_of)"
        " where metric = 'insurance_status_accuracy'"
    )
    [asking] = bed.rows(
        "select coverage.* from metrics.coverage_of_asking as coverage inner join policy.clock using (as_of)"
    )
    living = {person.contact_id for person in simulation.world.living()}
    return Told(
        day=day,
        metric=metric,
        asking=asking,
        status={row["contact_id"]: row for row in bed.rows("from hygiene.contact_status where is_active")},
        crm=_active(shown),
        truth={key: _policy(simulation.truth, key, as_of) for key in living},
        only_errors=frozenset(enrolment.only_errors),
    )


def _policy(truth: Truth, contact_id: str, at: dt.datetime) -> str:
    return truth.at(contact_id, "policy", at) or ""


def _work(bed: TinyPractice, simulation: Simulation, day: int) -> None:
    """Billing works its queue."""
    if simulation.crm is None:
        simulation.connect(EmbeddedCrm(bed.folders.crm))
    rows = bed.rows(
        "select issue_id, contact_id, staleness_type, reason, assignee, priority_tier from hygiene.issue"
        " where state <> 'resolved' and staleness_type = 'insurance'"
        " order by priority_tier, priority_score desc, issue_id"
    )
    capacity = max(40, len(rows) // 4)
    simulation.work_queue([WorkItem(**row) for row in rows], day, capacities={"billing-1": capacity})


def summary(told: Told) -> str:
    """One line about a night."""
    states = Counter(str(row["insurance_state"]) for row in told.status.values())
    counted = sum(told.status[key]["insurance_state"] == "current" for key in told.wrongly_active & told.status.keys())
    return (
        f"night {told.day}: accuracy {told.metric['value'] or 0:.1%} of {told.metric['denominator']} known,"
        f" {told.asking['share_answered_this_plan_year']:.1%} answered this plan year,"
        f" median age {told.asking['median_answer_age_days']:.0f} d;"
        f" wrongly active in the CRM {len(told.wrongly_active)}, {counted} of them counted as right;"
        f" {dict(sorted(states.items()))}"
    )
