"""Decides, tick by tick, for which practices something new has arrived. Pure: stamps and a cursor in, a decision out.

The cursor holds digests only, since a file's name may say whom it is about. A tick that is repeated after a crash makes
the same decision with the same run keys, and the ledger of taken files makes a second run of it empty.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hygiene_pipeline.folders import Folders
from hygiene_pipeline.landing.ledger import PLACES


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """A file as a directory listing shows it; times in nanoseconds since 1970."""

    name: str
    size: int
    mtime_ns: int

    @property
    def digest(self) -> str:
        """Names this state of this file without naming the file."""
        return hashlib.sha256(f"{self.name}\0{self.size}\0{self.mtime_ns}".encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The run key of each practice that has something new, and the cursor to keep."""

    run_keys: Mapping[str, str]
    cursor: str


def decide(
    cursor: str | None,
    listing: Mapping[str, Sequence[Stamp]],
    *,
    at_ns: int,
    settle_seconds: float,
    last_run_ns: Mapping[str, int],
) -> Decision:
    """Which practices have a settled file in a state that the cursor does not know.

    A file touched within `settle_seconds` before `at_ns` is left for the next tick. A practice that no run has yet
    touched waits for its first night; one that the cursor meets for the first time has only what came after its
    last run, since that run took the rest.
    """
    known: dict[str, list[str]] = json.loads(cursor) if cursor else {}
    run_keys: dict[str, str] = {}
    kept: dict[str, list[str]] = {}
    for practice, stamps in sorted(listing.items()):
        if practice not in last_run_ns:
            continue
        limit = at_ns - int(settle_seconds * 1e9)
        settled = sorted(stamp.digest for stamp in stamps if stamp.mtime_ns <= limit)
        before = {stamp.digest for stamp in stamps if stamp.mtime_ns <= last_run_ns[practice]}
        fresh = sorted(set(settled) - (set(known[practice]) if practice in known else before))
        if fresh:
            run_keys[practice] = f"{practice}:{hashlib.sha256(' '.join(fresh).encode()).hexdigest()[:16]}"
        kept[practice] = settled
    return Decision(run_keys=run_keys, cursor=json.dumps(kept, sort_keys=True))


def last_run_ns(folders: Folders, practices: Sequence[str]) -> dict[str, int]:
    """When a run last wrote to each practice's warehouse; a practice without a warehouse is left out."""
    found = {}
    for practice in practices:
        warehouse = folders.of(practice).warehouse
        if warehouse.exists():
            found[practice] = warehouse.stat().st_mtime_ns
    return found


def list_place(folders: Folders, practice: str, place: str) -> list[Stamp]:
    """The files of a place of a practice as they are now; a file that vanishes meanwhile is left out."""
    stamps = []
    for path in PLACES[place].paths(folders.of(practice).landing):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        stamps.append(Stamp(name=path.name, size=status.st_size, mtime_ns=status.st_mtime_ns))
    return stamps
