"""Which column of an extract is which of ours: by the practice's mapping first, then by name. Knows no data."""

from collections.abc import Sequence
from dataclasses import dataclass

from hygiene_pipeline.failures import PracticeFileError
from hygiene_pipeline.landing.delivery import ColumnNames
from hygiene_pipeline.landing.places import Column, Extract
from hygiene_pipeline.practice import ColumnFormat


@dataclass(frozen=True, kw_only=True)
class Found:
    """One of our columns, at which position (from 1) the extract has it, and in which format; no position: absent."""

    column: Column
    position: int | None
    format: str | None = None


@dataclass(frozen=True, kw_only=True)
class Matched:
    """What a header gives; `missing` and `doubled` columns make the whole file unusable."""

    found: tuple[Found, ...]
    missing: tuple[str, ...]
    doubled: tuple[str, ...]


def matched(extract: Extract, header: Sequence[str], names: ColumnNames) -> Matched:
    """Match a header, without regard to case and outer spaces; names it does not know are ignored."""
    spelt = [name.strip().casefold() for name in header]
    mapped = _mapped(extract, names)
    found: list[Found] = []
    doubled: list[str] = []
    for column in extract.columns:
        theirs = [(name, form) for name, ours, form in mapped if ours == column.name and name in spelt]
        name, form = theirs[0] if theirs else (column.name, _own_format(mapped, column.name))
        if spelt.count(name) > 1:
            doubled.append(column.name)
        found.append(Found(column=column, position=spelt.index(name) + 1 if name in spelt else None, format=form))
    absent = {each.column.name for each in found if each.position is None}
    missing = tuple(name for name in extract.required if name in absent)
    return Matched(found=tuple(found), missing=missing, doubled=tuple(doubled))


def _mapped(extract: Extract, names: ColumnNames) -> list[tuple[str, str, str | None]]:
    """The practice's mapping as (their name, our name, format); refuses a name that the extract does not have."""
    known = {column.name for column in extract.columns}
    result: list[tuple[str, str, str | None]] = []
    for theirs, spelling in names.items():
        if isinstance(spelling, str):
            ours, form = spelling, None
        else:
            given = spelling if isinstance(spelling, ColumnFormat) else ColumnFormat.model_validate(spelling)
            ours, form = given.as_, given.format
        if ours not in known:
            raise PracticeFileError(
                f"columns: {extract.place}: {theirs}: {ours} is not a column; allowed: {', '.join(sorted(known))}"
            )
        result.append((theirs.strip().casefold(), ours, form))
    return result


def _own_format(mapped: list[tuple[str, str, str | None]], name: str) -> str | None:
    """The format given for our own column name, when the extract uses it."""
    return next((form for theirs, ours, form in mapped if theirs == ours == name), None)
