"""A file in the landing folder and what came of loading it. No reading, no DuckDB here."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class LandingFile:
    """One file to take: known by its content, not by its name.

    `name` is the path below `landing/` with forward slashes; it is the `source_file` of every row read from it.
    """

    file_id: str
    place: str
    name: str
    path: Path
    take_seq: int


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """How many records became raw rows, and how many went to quarantine."""

    rows: int
    quarantined: int

    def __add__(self, other: "Loaded") -> "Loaded":
        return Loaded(rows=self.rows + other.rows, quarantined=self.quarantined + other.quarantined)
