"""Brings what a source system has to be asked for into the landing folder, before its files are taken.

By kind, as the practice file says: a system that drops its files by itself is not asked. Only the night asks; a run for
an event takes what lies there.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hygiene_pipeline.folders import PracticeFolders
from hygiene_pipeline.landing.fetch_pm import FETCHED, fetch_pm
from hygiene_pipeline.practice import Practice
from hygiene_pipeline.privacy.redaction import redacted
from hygiene_pipeline.settings.ehr import SmartBulk
from hygiene_pipeline.settings.pm import Tebra

if TYPE_CHECKING:
    from hygiene_pipeline.ehr.smart_bulk import ExportOutcome

EHR = "ehr"
# What a fetch did, by place: counts and words, free of any record's values.
Fetched = Mapping[str, Mapping[str, int | str]]


def is_asked(practice: Practice, places: Collection[str]) -> bool:
    """Whether any of these places is filled by asking a vendor."""
    return (isinstance(practice.ehr, SmartBulk) and EHR in places) or (
        isinstance(practice.pm, Tebra) and not set(FETCHED).isdisjoint(places)
    )


def fetch(
    practice: Practice,
    folders: PracticeFolders,
    keys: Path,
    places: Collection[str],
    *,
    as_of: datetime,
    is_first_export: bool,
    clock: Callable[[], datetime],
) -> Fetched:
    """Ask the vendors behind `places`; what they brought is whole when this returns.

    `is_first_export`: the warehouse has taken nothing of the EHR yet. Raises a failure of one line if a vendor could
    not be asked or did not answer; what lay in the landing folder before is then as it was.
    """
    fetched: dict[str, Mapping[str, int | str]] = {}
    with redacted():
        if EHR in places and isinstance(practice.ehr, SmartBulk):
            # Imported here: an HTTP client and its cryptography, which most runs never need.
            from hygiene_pipeline.landing.fetch_ehr import fetch_ehr

            outcome = fetch_ehr(practice, folders, keys, as_of=as_of, is_first=is_first_export, clock=clock)
            fetched |= {EHR: _told(outcome)} if outcome else {}
        if not set(FETCHED).isdisjoint(places):
            records = fetch_pm(practice, folders, keys, as_of=as_of)
            fetched |= {place: {"fetched_records": count} for place, count in records.items()}
    return fetched


def _told(outcome: "ExportOutcome") -> dict[str, int | str]:
    """An export's outcome as metadata."""
    said = {f"export_{name}": int(value) for name, value in asdict(outcome).items() if isinstance(value, int)}
    problems = {f"export_{severity}_outcomes": count for severity, count in sorted(outcome.problems.items())}
    return {"export": outcome.ended, **said, **problems}
