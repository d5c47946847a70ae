"""Lives through a simulated practice: a day happens, the night runs, staff work what it queued, and so on.

The nights are real: `run_night` is whatever runs the nightly job. Only the scorer looks at the planted truth.
"""

import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hygiene_pipeline.crm.embedded import EmbeddedCrm
from hygiene_pipeline.demo.behaviour_staff import WorkItem
from hygiene_pipeline.demo.score import Change, Flag, harms, score
from hygiene_pipeline.demo.simulation import Simulation, simulate, simulate_days
from hygiene_pipeline.failures import PermanentError
from hygiene_pipeline.folders import Folders, PracticeFolders
from hygiene_pipeline.night import Night, open_night
from hygiene_pipeline.practice import load_practice
from hygiene_pipeline.scorecard_records import Detector

RunNight = Callable[[datetime, bool], None]
_MARK = "simulation.json"
_FIRST_NIGHTS, _LAST_DAYS, _EVERY = 3, 7, 15
_FIELDS = ("phone", "insurance", "care", "referring_provider")
_COUNTS = ("true_positives", "false_positives", "false_negatives", "unseen")
_DETECTOR_OF = {
    "last_phone_verified": "phone",
    "insurance_payer_id": "insurance",
    "insurance_payer": "insurance",
    "insurance_member_id": "insurance",
    "insurance_status": "insurance",
    "care_status": "care",
    "segments": "care",
}


@dataclass(frozen=True, kw_only=True)
class Plot:
    """What makes one simulation: the same plot gives the same days."""

    patients: int
    days: int
    seed: int


def live(
    practice: str, *, patients: int, days: int, seed: int, run_night: RunNight, on_night: Callable[[str], None]
) -> None:
    """Simulate `days` days after day 0 and run the nights of `nights_of`; a finished story runs its last night again.

    `run_night` gets the night's as_of and whether it is the one that people will look at: the last.
    """
    own = Folders().of(practice)
    plot = Plot(patients=patients, days=days, seed=seed)
    finished = _read_mark(own)
    if finished == {**asdict(plot), "is_finished": True}:
        run_night(datetime.fromisoformat(_scores(own)[-1]["as_of"]), True)
        on_night("the last night, once more")
        return
    _start_over(own, plot)
    simulation = simulate(
        landing=own.landing, data=Folders().data, practice=practice, patients=patients, days=days, seed=seed
    )
    nights = nights_of(days)
    kept = []
    for day in range(days + 1):
        if day:
            simulation.advance(day, is_read=day in nights)
        if day in nights:
            contacts = list(simulation.contacts().values())
            as_of = simulation.clock.as_of(day).astimezone(UTC)
            run_night(as_of, day == days)
            kept.append(_score(practice, simulation, contacts, as_of))
        _staff_work(practice, simulation, day)
        on_night(f"day {day}")
    _write(own.root / "truth" / "scores.json", kept)
    _write(own.root / _MARK, {**asdict(plot), "is_finished": True})


def nights_of(days: int) -> frozenset[int]:
    """The days whose night is run: the first three, the last eight, and every fifteenth in between.

    The demo practice measures its sync lag over the last seven days, so every event that is measured met a pipeline
    that ran every night. What happens on a day without a night is taken by the next one, as after an outage.
    """
    first, last = range(_FIRST_NIGHTS), range(max(0, days - _LAST_DAYS), days + 1)
    return frozenset(day for day in (*first, *last, *range(0, days, _EVERY)) if day <= days)


def simulate_only(practice: str, *, patients: int, days: int, seed: int, on_day: Callable[[str], None]) -> None:
    """Drop the files of day 0 and `days` more days; no night runs and nobody works."""
    folders = Folders()
    load_practice(folders.practices, practice)
    own = folders.of(practice)
    plot = Plot(patients=patients, days=days, seed=seed)
    _start_over(own, plot)
    simulate_days(
        landing=own.landing,
        data=folders.data,
        practice=practice,
        patients=patients,
        days=days,
        seed=seed,
        progress=lambda day: on_day(f"day {day}"),
    )
    _write(own.root / _MARK, {**asdict(plot), "is_finished": False})


def scores_of(own: PracticeFolders) -> list[Detector]:
    """What each detector scored over all nights that were run; empty if nothing was simulated."""
    nights = _scores(own)
    harm = Counter(field for night in nights for field in night["harmed"])
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for night in nights:
        for each in night["detectors"]:
            counts[each["detector"]].update({name: each[name] for name in _COUNTS})
    return [Detector(detector=name, **count, harm=harm.pop(name, 0)) for name, count in counts.items()] + [
        Detector(detector=name, **dict.fromkeys(_COUNTS, 0), harm=harmed) for name, harmed in sorted(harm.items())
    ]


def _start_over(own: PracticeFolders, plot: Plot) -> None:
    """Clear away an earlier simulation, and nothing that was not one."""
    if own.root.exists() and any(own.root.iterdir()):
        if _read_mark(own) is None:
            raise PermanentError(f"{own.root}: holds data that no simulation made; simulate into another practice")
        shutil.rmtree(own.root)
    own.root.mkdir(parents=True, exist_ok=True)
    _write(own.root / _MARK, {**asdict(plot), "is_finished": False})


def _score(
    practice: str, simulation: Simulation, contacts: Sequence[Mapping[str, str | None]], as_of: datetime
) -> dict[str, Any]:
    with open_night(practice) as night:
        flags = [flag for field in _FIELDS for flag in _flags(night, field)]
        changes = _changes(night, as_of)
    detectors = score(flags, contacts, simulation.truth, as_of=as_of)
    return {
        "as_of": as_of.isoformat(),
        "harmed": [_DETECTOR_OF.get(change.field, change.field) for change in harms(changes, simulation.truth)],
        "detectors": [asdict(each) for each in detectors.values()],
    }


def _flags(night: Night, field: str) -> list[Flag]:
    rows = night.warehouse.rows(f"select contact_id, {field}_state, {field}_reason from hygiene.contact_status")
    return [
        Flag(contact_id=str(contact_id), field=field, state=str(state), reason=str(reason))
        for contact_id, state, reason in rows
    ]


def _changes(night: Night, as_of: datetime) -> list[Change]:
    """What this night wrote. Epochs, because a zone's instants would need another library to leave DuckDB."""
    rows = night.warehouse.rows(
        """select contact_id, field, before_value, new_value from sync.crm_change
           where applied_at = $1 and state = 'applied'""",
        [as_of],
    )
    return [
        Change(
            contact_id=str(contact_id),
            field=str(field),
            old=None if old is None else str(old),
            new=None if new is None else str(new),
            at=as_of,
        )
        for contact_id, field, old, new in rows
    ]


def _staff_work(practice: str, simulation: Simulation, day: int) -> None:
    with open_night(practice) as night:
        if night.practice.crm.kind != "embedded":
            raise PermanentError(
                f"{practice}: staff of the simulation work in an embedded CRM; set crm.kind to embedded"
            )
        rows = night.warehouse.rows(
            """select issue_id, contact_id, staleness_type, reason, assignee, priority_tier from hygiene.issue
               where state <> 'resolved' order by priority_tier, priority_score desc, issue_id"""
        )
        capacities = {person.id: person.capacity_per_day for person in night.practice.staff}
        if simulation.crm is None:
            simulation.connect(EmbeddedCrm(night.folders.crm))
    items = [
        WorkItem(
            issue_id=str(issue_id),
            contact_id=str(contact_id),
            staleness_type=str(kind),
            reason=str(reason),
            assignee=str(assignee),
            priority_tier=int(str(tier)),
        )
        for issue_id, contact_id, kind, reason, assignee, tier in rows
    ]
    simulation.work_queue(items, day, capacities=capacities)


def _scores(own: PracticeFolders) -> list[dict[str, Any]]:
    path = own.root / "truth" / "scores.json"
    return list(json.loads(path.read_text())) if path.exists() else []


def _read_mark(own: PracticeFolders) -> dict[str, Any] | None:
    path = own.root / _MARK
    return dict(json.loads(path.read_text())) if path.exists() else None


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(content, indent=1))
    draft.replace(path)
