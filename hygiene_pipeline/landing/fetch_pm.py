"""Fetches a practice management system's lists and lays them down as the CSV files that a person would have dropped.

All four files or none: they are written aside and put in place when the last of them is whole. A fetch that fails
leaves what lay there before, so that a list which broke off never looks like patients who left.
"""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo

from hygiene_pipeline.failures import HygieneError, KeyProblemError
from hygiene_pipeline.finding import Finding
from hygiene_pipeline.folders import PracticeFolders
from hygiene_pipeline.landing.places import EXTRACTS
from hygiene_pipeline.pm.source import PmSource, Row
from hygiene_pipeline.practice import Practice
from hygiene_pipeline.privacy.agreements import require_agreement
from hygiene_pipeline.privacy.keys import environment_name, find_key
from hygiene_pipeline.settings.pm import Tebra

FETCHED = ("pm/patients.csv", "pm/coverage.csv", "pm/appointments.csv", "pm/referral_network.csv")
CREDENTIALS = ("tebra_customer_key", "tebra_user", "tebra_password")
# Far above any page of a thousand patients; what is longer is not ours to hold in memory.
_ANSWER_LIMIT = 256 * 1024 * 1024
_ATTEMPTS = 5


def fetch_pm(
    practice: Practice, folders: PracticeFolders, keys: Path, *, as_of: datetime, pace: float = 1.0
) -> dict[str, int]:
    """Fetch the lists of a practice whose PM is asked; the records of each place, none if its PM drops files.

    `pace` multiplies the waits between calls. Raises a failure of one line if any list did not come whole.
    """
    settings = practice.pm
    if not isinstance(settings, Tebra):
        return {}
    require_agreement(practice, settings.agreement_with, at=as_of)
    today = as_of.astimezone(practice.zone).date()
    first = today - timedelta(days=settings.appointments_back_days)
    last = today + timedelta(days=settings.appointments_ahead_days)
    opened = _tebra(practice, settings, keys, pace=pace, attempts=_ATTEMPTS)
    with opened as source, _files(folders.landing) as files:
        return _lay_down(source, files, source.appointments(first, last))


def tebra_findings(practice: Practice, keys: Path, *, at: datetime) -> Iterator[Finding]:
    """Whether the Tebra of a practice would answer: one cheap call with its credentials, nothing read of a patient."""
    settings = practice.pm
    if not isinstance(settings, Tebra):
        return
    try:
        require_agreement(practice, settings.agreement_with, at=at)
        with _tebra(practice, settings, keys, pace=1.0, attempts=1) as source:
            told = f"Tebra answers, practice {source.check()}"
    except HygieneError as error:
        yield Finding(subject="pm", is_fine=False, told=str(error))
    else:
        yield Finding(subject="pm", is_fine=True, told=told)


@contextmanager
def _tebra(practice: Practice, settings: Tebra, keys: Path, *, pace: float, attempts: int) -> Iterator[PmSource]:
    """A connection to a practice's Tebra, with its own credentials."""
    # A practice without Tebra does without the third of a second that zeep takes to import.
    from hygiene_pipeline.pm.tebra import open_tebra
    from hygiene_pipeline.pm.tebra_calls import Credentials

    customer_key, user, password = _credentials(practice, keys)
    with open_tebra(
        wsdl_url=settings.wsdl_url,
        credentials=Credentials(customer_key=customer_key, user=user, password=password),
        practice_name=settings.practice_name,
        zone=ZoneInfo(settings.timezone or practice.timezone),
        payer_ids=settings.payer_ids,
        batch_size=settings.batch_size,
        timeout_seconds=settings.timeout_seconds,
        answer_limit=_ANSWER_LIMIT,
        pace=pace,
        attempts=attempts,
    ) as source:
        yield source


def _credentials(practice: Practice, keys: Path) -> list[str]:
    found = []
    for name in CREDENTIALS:
        value = find_key(keys, practice.practice, name)
        if value is None:
            variable = environment_name(practice.practice, name)
            path = keys / practice.practice / f"{name}.key"
            raise KeyProblemError(f"tebra: the key {name} is missing; put it into {path} or set {variable}")
        found.append(value)
    return found


class _Lines:
    """A CSV file with the header of its place."""

    def __init__(self, place: str, file: TextIO) -> None:
        self.records = 0
        self._columns = [column.name for column in EXTRACTS[place].columns]
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(self._columns)

    def write(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._writer.writerow([row[column] for column in self._columns])
            self.records += 1


def _lay_down(source: PmSource, files: Mapping[str, _Lines], appointments: Iterable[Row]) -> dict[str, int]:
    source.check()
    files["pm/referral_network.csv"].write(source.referral_network())
    for registration in source.registrations():
        files["pm/patients.csv"].write([registration.patient])
        files["pm/coverage.csv"].write(registration.coverage)
    files["pm/appointments.csv"].write(appointments)
    return {place: lines.records for place, lines in files.items()}


@contextmanager
def _files(landing: Path) -> Iterator[dict[str, _Lines]]:
    """Every fetched place as a file beside the one it replaces; put in place together at the end, or not at all."""
    finals = {place: landing / place for place in FETCHED}
    drafts = {path: path.with_name(f".{path.name}.partial") for path in finals.values()}
    try:
        with ExitStack() as stack:
            opened = {place: stack.enter_context(_private(drafts[path])) for place, path in finals.items()}
            yield {place: _Lines(place, file) for place, file in opened.items()}
            for file in opened.values():
                file.flush()
                os.fsync(file.fileno())
        for final, draft in drafts.items():
            draft.replace(final)
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)


@contextmanager
def _private(path: Path) -> Iterator[TextIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        os.fchmod(file.fileno(), 0o600)
        yield file
