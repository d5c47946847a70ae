"""What is true of every contact since when, and since when a source that the pipeline reads has shown it.

The scorer reads it; nothing else may.
"""

import datetime as dt
import sqlite3
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

TABLES = """
create table if not exists value (contact_id text, field text, value text, since text);
create table if not exists evidence (
    contact_id text, detector text, verdict text, value text, confirmed_at text, known_at text, source text);
create table if not exists number_evidence (number text, verdict text, checked_at text, known_at text);
create table if not exists planted (contact_id text, detector text, reason text, has_evidence integer);
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """A source said (`is`) that a value is right, or (`not`) that it is wrong, as of `confirmed_at`."""

    contact_id: str
    detector: str
    verdict: str
    value: str
    confirmed_at: dt.datetime
    known_at: dt.datetime
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberEvidence:
    """A carrier answer about a number: `not`, `landline`, `ok` or `silent`."""

    number: str
    verdict: str
    checked_at: dt.datetime
    known_at: dt.datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """A deviation that the CRM starts with."""

    contact_id: str
    detector: str
    reason: str
    has_evidence: bool


@dataclass(slots=True)
class Truth:
    """True values over time (None: nothing is true now), evidence, and what was planted on day 0."""

    values: dict[tuple[str, str], tuple[list[dt.datetime], list[str | None]]] = field(default_factory=dict)
    evidence: dict[tuple[str, str], list[Evidence]] = field(default_factory=lambda: defaultdict(list))
    numbers: dict[str, list[NumberEvidence]] = field(default_factory=lambda: defaultdict(list))
    planted: list[Planted] = field(default_factory=list)
    _unsaved: dict[str, list[tuple[object, ...]]] = field(default_factory=lambda: defaultdict(list))

    def set(self, contact_id: str, name: str, value: str | None, since: dt.datetime) -> None:
        """Let a value be true from `since` on, whatever was announced for later; the same value changes nothing."""
        times, values = self.values.setdefault((contact_id, name), ([], []))
        while times and times[-1] > since:
            times.pop()
            values.pop()
        if values and values[-1] == value:
            return
        times.append(since)
        values.append(value)
        self._unsaved["value"].append((contact_id, name, value, _text(since)))

    def at(self, contact_id: str, name: str, instant: dt.datetime) -> str | None:
        """The true value at an instant; before the first one, the first one."""
        times, values = self.values.get((contact_id, name), ([], []))
        return values[max(bisect_right(times, instant) - 1, 0)] if values else None

    def show(self, evidence: Evidence) -> None:
        """Note that a source shows something."""
        self.evidence[evidence.contact_id, evidence.detector].append(evidence)
        self._unsaved["evidence"].append(
            (
                evidence.contact_id, evidence.detector, evidence.verdict, evidence.value,
                _text(evidence.confirmed_at), _text(evidence.known_at), evidence.source,
            )
        )  # fmt: skip

    def answer(self, evidence: NumberEvidence) -> None:
        """Note a carrier answer."""
        self.numbers[evidence.number].append(evidence)
        row = (evidence.number, evidence.verdict, _text(evidence.checked_at), _text(evidence.known_at))
        self._unsaved["number_evidence"].append(row)

    def plant(self, planted: Planted) -> None:
        """Note a deviation of day 0."""
        self.planted.append(planted)
        row = (planted.contact_id, planted.detector, planted.reason, int(planted.has_evidence))
        self._unsaved["planted"].append(row)

    def shown(self, contact_id: str, detector: str, as_of: dt.datetime) -> Iterator[Evidence]:
        """What sources had shown of a contact by an instant, latest confirmation first."""
        known = [row for row in self.evidence.get((contact_id, detector), ()) if row.known_at <= as_of]
        yield from sorted(known, key=lambda row: row.confirmed_at, reverse=True)

    def verdict_on(self, number: str, as_of: dt.datetime) -> str | None:
        """The latest carrier answer about a number by an instant."""
        known = [row for row in self.numbers.get(number, ()) if row.known_at <= as_of]
        return max(known, key=lambda row: row.checked_at).verdict if known else None

    def save(self, path: Path) -> None:
        """Append to the file what was not yet written to it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as con, con:
            con.executescript("pragma synchronous = off;" + TABLES)
            for table, rows in self._unsaved.items():
                marks = ", ".join("?" * len(rows[0])) if rows else "null"
                con.executemany(f"insert into {table} values ({marks})", rows)
        self._unsaved.clear()


def read_truth(path: Path) -> Truth:
    """The truth of a practice, as saved by its simulation."""
    truth = Truth()
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as con:
        for contact_id, name, value, since in con.execute("select * from value order by rowid"):
            truth.set(contact_id, name, value, _instant(since))
        for row in _evidence(con.execute("select * from evidence order by rowid")):
            truth.show(row)
        for number, verdict, checked_at, known_at in con.execute("select * from number_evidence order by rowid"):
            checked, known = _instant(checked_at), _instant(known_at)
            truth.answer(NumberEvidence(number=number, verdict=verdict, checked_at=checked, known_at=known))
        for contact_id, detector, reason, shown in con.execute("select * from planted order by rowid"):
            truth.plant(Planted(contact_id=contact_id, detector=detector, reason=reason, has_evidence=bool(shown)))
    return truth


def _evidence(rows: Iterable[tuple[str, str, str, str, str, str, str]]) -> Iterator[Evidence]:
    for contact_id, detector, verdict, value, confirmed_at, known_at, source in rows:
        yield Evidence(
            contact_id=contact_id, detector=detector, verdict=verdict, value=value,
            confirmed_at=_instant(confirmed_at), known_at=_instant(known_at), source=source,
        )  # fmt: skip


@lru_cache(maxsize=1 << 16)
def _text(instant: dt.datetime) -> str:
    return instant.isoformat()


def _instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)
