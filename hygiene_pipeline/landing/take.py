"""Takes what lies in the landing folder: each place in one transaction, files whole or not at all.

A run that replays a past `as_of` takes nothing: it sees what was known then.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from hygiene_pipeline.folders import PracticeFolders
from hygiene_pipeline.landing.ehr_events import load_ehr_events
from hygiene_pipeline.landing.eligibility import load_eligibility
from hygiene_pipeline.landing.fhir_ndjson import load_fhir
from hygiene_pipeline.landing.file import LandingFile, Loaded
from hygiene_pipeline.landing.ledger import PLACES, Place, mark_taken, new_files, record_count, settled
from hygiene_pipeline.landing.replies import load_replies
from hygiene_pipeline.landing.tabular import load_tabular
from hygiene_pipeline.practice import Practice
from hygiene_pipeline.warehouse import Warehouse

_Load = Callable[[Warehouse, Practice, Sequence[LandingFile], datetime], Loaded]


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a place brought, and the content ids of all that lies there; None while something is being written."""

    files: int
    loaded: Loaded
    present: tuple[str, ...] | None


def is_replay(warehouse: Warehouse, as_of: datetime) -> bool:
    """Whether a later run has begun, so that this one looks at the past.

    Even one that took no file: it saw what was there, and a file taken before it now would change what it saw.
    """
    return bool(warehouse.value("select count(*) > 0 from history.night where as_of > $1", [as_of]))


def has_taken(warehouse: Warehouse, place: str) -> bool:
    """Whether any file of a place was ever taken."""
    return bool(warehouse.value("select count(*) > 0 from raw.landing_file where place = $1", [place]))


def take(
    warehouse: Warehouse,
    practice: Practice,
    folders: PracticeFolders,
    places: Iterable[str],
    *,
    as_of: datetime,
    settle_seconds: float,
) -> dict[str, Taken]:
    """Take every new, settled file of `places`; returns what each place brought."""
    chosen = [PLACES[name] for name in places]
    found = {place.name: place.paths(folders.landing) for place in chosen}
    quiet = set(settled([path for paths in found.values() for path in paths], settle_seconds=settle_seconds))
    result = {}
    for place in chosen:
        paths = [path for path in found[place.name] if path in quiet]
        fresh, present = new_files(warehouse.con, place, folders.landing, paths)
        loaded = _take_place(warehouse, practice, place, fresh, as_of)
        is_whole = len(paths) == len(found[place.name])
        result[place.name] = Taken(files=len(fresh), loaded=loaded, present=tuple(present) if is_whole else None)
    return result


def _take_place(
    warehouse: Warehouse, practice: Practice, place: Place, files: Sequence[LandingFile], as_of: datetime
) -> Loaded:
    if not files:
        return Loaded(rows=0, quarantined=0)
    with warehouse.transaction():
        loaded = _LOADERS.get(place.name, _tabular)(warehouse, practice, files, as_of)
        for file in files:
            mark_taken(warehouse.con, file, record_count(file.path), taken_at=as_of)
    return loaded


def _tabular(warehouse: Warehouse, practice: Practice, files: Sequence[LandingFile], as_of: datetime) -> Loaded:
    return load_tabular(warehouse.con, files, extracted_at=as_of, timezone=practice.timezone, mapping=practice.columns)


def _fhir(warehouse: Warehouse, practice: Practice, files: Sequence[LandingFile], as_of: datetime) -> Loaded:
    return load_fhir(warehouse.con, files, extracted_at=as_of)


def _events(warehouse: Warehouse, practice: Practice, files: Sequence[LandingFile], as_of: datetime) -> Loaded:
    return load_ehr_events(warehouse.con, files, extracted_at=as_of, timezone=practice.timezone)


def _eligibility(warehouse: Warehouse, practice: Practice, files: Sequence[LandingFile], as_of: datetime) -> Loaded:
    return load_eligibility(
        warehouse.con,
        files,
        extracted_at=as_of,
        timezone=practice.timezone,
        outcomes=practice.policies.x12_outcomes,
        mapping=practice.columns,
    )


def _replies(warehouse: Warehouse, practice: Practice, files: Sequence[LandingFile], as_of: datetime) -> Loaded:
    return load_replies(warehouse.con, files, extracted_at=as_of)


_LOADERS: dict[str, _Load] = {
    "ehr": _fhir,
    "ehr_events": _events,
    "pm/eligibility": _eligibility,
    "replies": _replies,
}
