"""What we know of an export between two runs: its address, its files, how far we are; and when the last one was whole.

A small file beside the downloads, mode 0600 because a signed link is as good as a key. It holds no patient's data. What
it says is true before we act on it, so that a run that is killed anywhere is continued and not repeated.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hygiene_pipeline.failures import PermanentError, TransientError

Section = Literal["output", "deleted", "error"]
Stage = Literal["preparing", "downloading", "arriving"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExportFile(_Record):
    """A file of an export; `count` is how many resources the server says it holds."""

    section: Section
    type: str
    url: str = Field(repr=False)
    count: int | None = None


class Manifest(_Record):
    """What a finished export is made of. `requires_token` is none where the server does not say."""

    transaction_time: str | None
    requires_token: bool | None
    files: tuple[ExportFile, ...]


class Move(_Record):
    """A checked file in the work folder, and its name in the landing folder."""

    source: str
    target: str


class Export(_Record):
    """An export that was started and has not wholly arrived."""

    status_url: str = Field(repr=False)
    name: str
    started_at: datetime
    is_full: bool
    stage: Stage = "preparing"
    manifest: Manifest | None = None
    moves: tuple[Move, ...] = ()
    resources: int = 0
    deletions: int = 0
    problems: dict[str, int] = Field(default_factory=dict)


class ExportState(_Record):
    """What is remembered: of the last full export, of the last whole one (`since`, the server's time), of our run."""

    request: str = ""
    since: str | None = None
    full_at: datetime | None = None
    full_resources: int | None = None
    as_of: datetime | None = None
    export: Export | None = None
    to_delete: tuple[str, ...] = Field(default=(), repr=False)


class ExportDesk:
    """The private folder of a practice's exports, and the state in it; one process works at it at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        self._path = folder / "state.json"
        self._state = ExportState()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out; a lock ends with its process, however that ends."""
        for each in (self.folder, self.work):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
            each.chmod(0o700)
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TransientError("another run is fetching this practice's export; wait until it is done") from None
            self._state = self._read()
            yield

    @property
    def state(self) -> ExportState:
        """The state as it was last written."""
        return self._state

    @property
    def export(self) -> Export:
        """The export that is under way."""
        if self._state.export is None:
            raise LookupError("no export is under way")
        return self._state.export

    def keep(self, **changes: Any) -> None:  # noqa: ANN401  (fields of ExportState, checked when validated)
        """Write a changed state; it is on disk when this returns."""
        self._state = ExportState.model_validate({**dict(self._state), **changes})
        draft = self._path.with_suffix(".draft")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(self._state.model_dump_json(indent=1))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        sync_folder(self.folder)

    def keep_export(self, **changes: Any) -> None:  # noqa: ANN401  (fields of Export, checked when validated)
        """Write a change of the export that is under way."""
        self.keep(export=Export.model_validate({**dict(self.export), **changes}))

    def clear_work(self) -> None:
        """Throw away what was downloaded."""
        for path in self.work.iterdir():
            path.unlink()

    def _read(self) -> ExportState:
        try:
            return ExportState.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return ExportState()
        except (OSError, ValidationError):
            told = "is not readable; delete it, and the next night asks for a full export"
            raise PermanentError(f"{self._path}: {told}") from None


def sync_folder(folder: Path) -> None:
    """Make renames in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
