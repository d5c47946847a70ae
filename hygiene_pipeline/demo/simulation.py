"""The simulated practice as the run loop sees it: day 0, one day after another, and staff in between."""

import datetime as dt
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hygiene_pipeline.demo import (
    caring,
    changes,
    emit_crm,
    emit_fhir,
    emit_hl7,
    emit_phone,
    emit_pm,
    knowledge,
)
from hygiene_pipeline.demo.behaviour_patients import Inbox
from hygiene_pipeline.demo.behaviour_staff import CrmStore, Office, WorkItem
from hygiene_pipeline.demo.clock import Clock
from hygiene_pipeline.demo.phones import Lookup, digits_of, e164
from hygiene_pipeline.demo.truth import Evidence, Truth
from hygiene_pipeline.demo.world import News, World, build_world

START = dt.date(2026, 1, 5)
LATE = 0.03  # share of pathway records that the EHR exports a day late
HAPPENINGS = (
    changes.numbers, changes.homes_and_names, changes.coverages, changes.providers_leave, changes.deaths,
    changes.newcomers, changes.slips, caring.pathways_move, caring.visits, caring.checks, caring.merges,
)  # fmt: skip


class Crm(CrmStore, Protocol):
    """The CRM that the people of the practice type into."""

    def read_contacts(self) -> Iterator[dict[str, str | None]]:
        """All contacts as they are now."""


@dataclass(slots=True)
class Simulation:
    """A practice whose day n has just begun; day 0 is dropped by `day0`, every later one by `advance`.

    Without a CRM, what the desk types goes into the simulation's own copy of the contacts.
    """

    world: World
    landing: Path
    folder: Path
    days: int
    crm: Crm | None = None
    # What a day is made of, in order; a story of its own may have other days.
    happenings: Sequence[Callable[[World, int], None]] = HAPPENINGS
    day: int = -1
    inbox: Inbox = field(default_factory=Inbox)
    office: Office = field(default_factory=Office)
    answered: bytes = b""

    @property
    def clock(self) -> Clock:
        """The practice's calendar; `clock.as_of(day)` is the instant of a nightly run."""
        return self.world.clock

    @property
    def truth(self) -> Truth:
        """What the scorer compares with."""
        return self.world.truth

    @property
    def truth_path(self) -> Path:
        """Where the truth is saved."""
        return self.folder / "truth" / "truth.sqlite"

    def connect(self, crm: Crm) -> None:
        """Let front desk and staff type into this CRM from now on."""
        self.crm = crm

    def day0(self) -> None:
        """Drop everything that the systems know on the first morning, unless that was done before."""
        if self.day < 0:
            with _uncollected():
                self._day0()

    def _day0(self) -> None:
        self.day = 0
        world = self.world
        start = world.clock.midnight(0)
        for person in world.patients:
            knowledge.note_everything(world, person, person.died_at or start - dt.timedelta(days=1))
            knowledge.show_care(world, person, start)
            knowledge.show_coverage(world, person, start)
        lookups = emit_phone.never_validated(world)
        emit_crm.emit_contacts(world, self.landing)
        emit_phone.emit_lookups(world, self.landing, lookups, bad=True)
        knowledge.show_lookups(world, lookups, start)
        self._drop(with_lists=True)
        for person in world.patients:
            knowledge.show_note(world, person, person.ehr, "ehr", start)

    def advance(self, day: int, *, is_read: bool = True) -> None:
        """Live the day before `day` and drop its files, so that the run of `day` can follow.

        On a day that no run reads (`is_read` false), lists that the next day replaces are not written.
        """
        if day != self.day + 1:
            raise ValueError(f"the simulation is at day {self.day}; it can only advance to day {self.day + 1}")
        world = self.world
        lived = self.day
        contacts = self.contacts()
        outbox = self.folder / "outbox"
        self.inbox.receive(world, outbox, contacts, lived)
        lookups = self._carrier_answers(outbox / "phone_lookups_due.csv", lived)
        for happen in self.happenings:
            happen(world, lived)
        self._type_into_crm()
        self.day = day
        emit_phone.emit_lookups(world, self.landing, lookups, bad=False)
        knowledge.show_lookups(world, lookups, world.clock.midnight(day))
        self.inbox.deliver(world, self.landing, day)
        self._drop(with_lists=is_read)

    def work_queue(self, items: Sequence[WorkItem], day: int, *, capacities: Mapping[str, int]) -> int:
        """Staff work their queues during a day, at most so many issues each; returns how many they settled."""
        if self.crm is None:
            raise ValueError("staff need a CRM: call connect() first")
        if not self.clock.is_workday(day):
            return 0
        return self.office.work(self.world, self.crm, self.contacts(), items, day=day, capacities=capacities)

    def _carrier_answers(self, request: Path, lived: int) -> list[Lookup]:
        """A request file is answered once, the morning after it was left; one that nobody renewed was answered."""
        content = request.read_bytes() if request.exists() else b""
        if content == self.answered:
            return []
        self.answered = content
        return emit_phone.requested(self.world, request, self.clock.midnight(lived) + dt.timedelta(hours=6))

    def _drop(self, *, with_lists: bool) -> None:
        world, day = self.world, self.day
        late = _hold_back(world, day) if day else News()
        known_at = world.clock.midnight(day)
        emit_fhir.emit_export(world, self.landing, day)
        emit_fhir.emit_notifications(world, self.landing, day)
        emit_hl7.emit_messages(world, self.landing, day)
        emit_pm.emit_pm(world, self.landing, day, with_lists=with_lists)
        emit_crm.emit_interactions(world, self.landing, day)
        self._show(known_at)
        self.world.news = late
        world.truth.save(self.truth_path)

    def _show(self, known_at: dt.datetime) -> None:
        """Evidence of the files just dropped; PM is whole every day, so whatever is new in it shows."""
        world, news = self.world, self.world.news
        for person in news.ehr_people.values():
            knowledge.show_note(world, person, person.ehr, "ehr", known_at)
        for person in {id(each): each for each, *_ in (*news.care.values(), *news.conditions.values())}.values():
            knowledge.show_care(world, person, known_at)
        since = world.clock.midnight(self.day - 1)
        for person in world.patients:
            if person.pm is not None and (self.day == 0 or person.pm.updated_at >= since):
                knowledge.show_note(world, person, person.pm, "pm", known_at)
                knowledge.show_referrer(world, person, known_at)
            if person.known_coverages[-1].updated_at >= since:
                knowledge.show_coverage(world, person, known_at)
        knowledge.show_answers(world, news.answers, known_at)

    def contacts(self) -> Mapping[str, Mapping[str, str | None]]:
        """The CRM's contacts by contact_id as they are now; without a CRM the simulation's own copy."""
        if self.crm is None:
            return self.world.contacts
        return {row["contact_id"] or "": row for row in self.crm.read_contacts()}

    def _type_into_crm(self) -> None:
        for edit in sorted(self.world.desk, key=lambda each: (each.at, each.contact_id)):
            self._note_typed(edit.contact_id, edit.changes.get("phone"), edit.at)
            if self.crm is None:
                row = self.world.contacts.setdefault(edit.contact_id, {})
                row.update(edit.changes, last_modified=self.clock.text(edit.at))
            elif edit.is_new:
                self.crm.add(edit.changes, editor=edit.editor, at=edit.at)
            else:
                self.crm.edit(edit.contact_id, edit.changes, editor=edit.editor, at=edit.at)
        self.world.desk.clear()

    def _note_typed(self, contact_id: str, phone: str | None, at: dt.datetime) -> None:
        """What is typed later than a system's word is newer, so that word is no evidence against it."""
        if phone:
            value = e164(digits_of(phone))
            self.truth.show(
                Evidence(
                    contact_id=contact_id, detector="typed_phone", verdict="is", value=value,
                    confirmed_at=at, known_at=at, source="crm",
                )
            )  # fmt: skip


def simulate(
    *, landing: Path, data: Path, practice: str, patients: int, days: int, seed: int, start: dt.date = START
) -> Simulation:
    """Make a practice below `data`/`practice` and drop its day 0; `days` is how far the caller means to go."""
    with _uncollected():
        world = build_world(patients=patients, seed=seed, clock=Clock(start=start))
    simulation = Simulation(world=world, landing=landing, folder=data / practice, days=days)
    simulation.day0()
    return simulation


def simulate_days(
    *,
    landing: Path,
    data: Path,
    practice: str,
    patients: int,
    days: int,
    seed: int,
    start: dt.date = START,
    progress: Callable[[int], None] | None = None,
) -> Simulation:
    """Drop day 0 and `days` more days without pipeline and staff, telling `progress` of each day dropped."""
    simulation = simulate(
        landing=landing, data=data, practice=practice, patients=patients, days=days, seed=seed, start=start
    )
    for day in range(1, days + 1):
        simulation.advance(day)
        if progress is not None:
            progress(day)
    return simulation


@contextmanager
def _uncollected() -> Iterator[None]:
    """Millions of objects that all live on: looking for cycles among them takes longer than making them."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _hold_back(world: World, day: int) -> News:
    """A few pathway records miss tonight's export and come with tomorrow's."""
    rng = world.stream("late", day)
    late = News()
    for key in list(world.news.care):
        if rng.random() < LATE:
            late.care[key] = world.news.care.pop(key)
    return late
