"""Which landing files there are, and which were taken: whole or not at all, once by content, even if renamed.

The ledger `raw.landing_file` is written in the transaction that loads the file's rows, so a killed run has either taken
a file or not touched it. Looks at file times only to see whether somebody is still writing.
"""

import gzip
import hashlib
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from hygiene_pipeline.landing.file import LandingFile

_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".filepart")
_BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place in the landing folder: which files belong to it, and whether each file replaces the one before."""

    name: str
    folder: str
    patterns: tuple[str, ...]
    is_snapshot: bool = False

    def paths(self, landing: Path) -> list[Path]:
        """The files of this place that look finished by their names, by name."""
        folder = landing / self.folder
        found = {path for pattern in self.patterns for path in folder.glob(pattern)}
        return sorted(
            path
            for path in found
            if path.is_file() and not path.name.startswith(".") and path.suffix not in _UNFINISHED
        )


PLACES: dict[str, Place] = {
    place.name: place
    for place in (
        Place(name="ehr", folder="ehr", patterns=("*.ndjson", "*.ndjson.gz")),
        Place(name="ehr_events", folder="ehr_events", patterns=("*.json", "*.hl7")),
        Place(name="pm/patients.csv", folder="pm", patterns=("patients.csv",), is_snapshot=True),
        Place(name="pm/coverage.csv", folder="pm", patterns=("coverage.csv",), is_snapshot=True),
        Place(name="pm/appointments.csv", folder="pm", patterns=("appointments.csv",)),
        Place(name="pm/referral_network.csv", folder="pm", patterns=("referral_network.csv",), is_snapshot=True),
        Place(
            name="pm/eligibility",
            folder="pm/eligibility",
            patterns=("*.271", "*.x12", "*.edi", "*.txt", "*.ndjson", "*.csv"),
        ),
        Place(name="crm/contacts.csv", folder="crm", patterns=("contacts.csv",), is_snapshot=True),
        Place(name="crm/interactions.csv", folder="crm", patterns=("interactions.csv",)),
        Place(name="phone/lookups.csv", folder="phone", patterns=("lookups.csv",)),
        Place(name="replies", folder="replies", patterns=("*.ndjson",)),
    )
}


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """The ledger of taken files and the quarantine."""
    con.execute(
        """create table if not exists raw.landing_file (
             place varchar, file_id varchar, source_file varchar, take_seq bigint, taken_at timestamptz,
             records bigint)"""
    )
    con.execute(
        """create table if not exists quarantine.record (
             source varchar, place varchar, source_file varchar, source_line bigint, field varchar, reason varchar,
             original varchar, file_id varchar, taken_at timestamptz)"""
    )


def settled(paths: Sequence[Path], *, settle_seconds: float) -> list[Path]:
    """The paths that nobody writes to: unchanged for `settle_seconds`, waiting that long once if one is younger."""
    before = {path: _stamp(path) for path in paths}
    youngest = max((stamp[1] for stamp in before.values() if stamp), default=0) / 1e9
    if settle_seconds and time.time() - youngest < settle_seconds:
        time.sleep(settle_seconds)
    return [path for path in paths if before[path] is not None and before[path] == _stamp(path)]


def new_files(
    con: duckdb.DuckDBPyConnection, place: Place, landing: Path, paths: Sequence[Path]
) -> tuple[list[LandingFile], list[str]]:
    """Which of a place's settled files were not taken yet, and the content ids of all of them.

    A snapshot is new when it differs from the one taken last (a file may go back to an older content); any other file
    is new when its content was never taken.
    """
    known = dict(
        con.execute(
            "select file_id, max(take_seq) from raw.landing_file where place = $place group by all",
            {"place": place.name},
        ).fetchall()
    )
    latest = max(known, key=lambda file_id: known[file_id], default=None)
    taken = {latest} if place.is_snapshot else set(known)
    seq = next_take_seq(con) - 1
    fresh: list[LandingFile] = []
    present: list[str] = []
    for path in paths:
        file_id = content_id(path)
        present.append(file_id)
        if file_id not in taken:
            taken.add(file_id)
            seq += 1
            name = path.relative_to(landing).as_posix()
            fresh.append(LandingFile(file_id=file_id, place=place.name, name=name, path=path, take_seq=seq))
    return fresh, present


def mark_taken(con: duckdb.DuckDBPyConnection, file: LandingFile, records: int, *, taken_at: datetime) -> None:
    """Write a file into the ledger; call in the transaction that loaded it."""
    con.execute(
        "insert into raw.landing_file values (?, ?, ?, ?, ?, ?)",
        [file.place, file.file_id, file.name, file.take_seq, taken_at, records],
    )


def next_take_seq(con: duckdb.DuckDBPyConnection) -> int:
    """The number of the next take."""
    row = con.execute("select coalesce(max(take_seq), 0) + 1 from raw.landing_file").fetchone()
    return int(row[0]) if row else 1


def record_count(path: Path) -> int:
    """How many lines of data a file has: what its volume is judged by, cheap and independent of any parser."""
    opener = gzip.open if path.suffix == ".gz" else Path.open
    lines, last = 0, b"\n"
    try:
        with opener(path, "rb") as file:
            while block := file.read(_BLOCK):
                lines += block.count(b"\n")
                last = block[-1:]
    except (EOFError, OSError, zlib.error):
        return lines
    lines += last != b"\n"
    return max(0, lines - 1) if path.suffix == ".csv" else lines


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def content_id(path: Path) -> str:
    """The first 16 hex digits of the SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()[:16]
