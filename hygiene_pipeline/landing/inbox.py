"""Keeps what is received over a network: durably, once by content, in files that the next run takes.

A file appears in landing only whole, by a rename after fsync; `store` returns after that. What arrives while a file is
being written shares the next one, so many senders cost few files. After a restart the files of the last days tell what
is known already. One process a practice and a kind of sender: a lock file says so.
"""

import asyncio
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from hygiene_pipeline.failures import PermanentError

_MOST_IN_A_FILE = 1000
_MOST_REMEMBERED = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Form:
    """How several contents share a file: `name` is its first word, `split` undoes `join`."""

    name: str
    suffix: str
    join: Callable[[Sequence[bytes]], bytes]
    split: Callable[[bytes], Iterable[bytes]]


FRAMES = Form(
    name="mllp",
    suffix=".hl7",
    join=lambda contents: b"".join(b"\x0b" + each + b"\x1c\r" for each in contents),
    split=lambda content: (each.removeprefix(b"\x0b") for each in content.split(b"\x1c\r") if each),
)


def _one_line(document: bytes) -> bytes:
    """A JSON document without line breaks, which outside of its texts mean nothing and inside do not occur."""
    return document.removeprefix(b"\xef\xbb\xbf").replace(b"\r", b" ").replace(b"\n", b" ").strip()


DOCUMENTS = Form(
    name="fhir",
    suffix=".json",
    join=lambda contents: b"[\n" + b",\n".join(map(_one_line, contents)) + b"\n]\n",
    split=lambda content: (line.removesuffix(b",") for line in content.split(b"\n") if line not in (b"[", b"]", b"")),
)


class Inbox:
    """The files of one kind of sender in one landing folder; `now` only names and remembers them."""

    def __init__(
        self, folder: Path, form: Form, *, now: Callable[[], datetime], gather_seconds: float = 0.1, days: int = 7
    ) -> None:
        self._folder = folder
        self._form = form
        self._now = now
        self._gather_seconds = gather_seconds
        self._known: dict[bytes, None] = {}
        self._waiting: dict[bytes, tuple[bytes, asyncio.Future[None]]] = {}
        self._writing: dict[bytes, tuple[bytes, asyncio.Future[None]]] = {}
        self._enough, self._enough_at = asyncio.Event(), 1
        self._task: asyncio.Task[None] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = self._take_lock()
        self._look_back(since=now() - timedelta(days=days))

    def close(self) -> None:
        """Let another process have the folder."""
        os.close(self._lock)

    async def store(self, content: bytes) -> None:
        """Return when `content` is on the disk, now or from before. OSError: it is not, and may be sent again."""
        digest = self._digest(content)
        if digest in self._known:
            return
        _, stored = self._writing.get(digest) or self._waiting.get(digest) or (b"", None)
        if stored is None:
            stored = asyncio.get_running_loop().create_future()
            self._waiting[digest] = (content, stored)
            if len(self._waiting) >= self._enough_at:
                self._enough.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_all())
        # One caller that gives up must not take the others' message with it.
        await asyncio.shield(stored)

    async def _write_all(self) -> None:
        while self._waiting:
            chosen = list(self._waiting)[:_MOST_IN_A_FILE]
            self._writing = {digest: self._waiting.pop(digest) for digest in chosen}
            try:
                await asyncio.to_thread(self._write, [content for content, _ in self._writing.values()])
            except OSError as error:
                for _, stored in self._writing.values():
                    stored.set_exception(OSError(error.errno, "not stored"))
            else:
                self._remember(self._writing)
                for _, stored in self._writing.values():
                    stored.set_result(None)
            written, self._writing = len(self._writing), {}
            await self._gather(written)

    async def _gather(self, written: int) -> None:
        """Wait a moment for as many as came together last; a single sender that waits for us never waits for this."""
        self._enough.clear()
        self._enough_at = max(1, written)
        if written > 1 and len(self._waiting) < written:
            try:
                await asyncio.wait_for(self._enough.wait(), self._gather_seconds)
            except TimeoutError:
                return

    def _write(self, contents: Sequence[bytes]) -> None:
        content = self._form.join(contents)
        digest = hashlib.sha256(content).hexdigest()[:16]
        path = self._folder / f"{self._form.name}-{self._now():%Y%m%dT%H%M%S%f}-{digest}{self._form.suffix}"
        draft = self._folder / f".{path.name}.part"
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(path)
            self._sync_folder()
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def _sync_folder(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _look_back(self, *, since: datetime) -> None:
        """Know what the files of the last days hold, and clear away what a killed process left half written."""
        for draft in self._folder.glob(f".{self._form.name}-*.part"):
            draft.unlink()
        for path in sorted(self._folder.glob(f"{self._form.name}-*{self._form.suffix}")):
            if path.stat().st_mtime >= since.timestamp():
                self._remember(self._digest(each) for each in self._form.split(path.read_bytes()))
        # A process killed between rename and fsync left names that the disk may not know yet.
        self._sync_folder()

    def _remember(self, digests: Iterable[bytes]) -> None:
        self._known.update(dict.fromkeys(digests))
        while len(self._known) > _MOST_REMEMBERED:
            del self._known[next(iter(self._known))]

    def _digest(self, content: bytes) -> bytes:
        one = next(iter(self._form.split(self._form.join([content]))), b"")
        return hashlib.sha256(one).digest()[:16]

    def _take_lock(self) -> int:
        lock = os.open(self._folder / f".{self._form.name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise PermanentError(f"{self._folder}: another process receives into it; stop that one first") from None
        return lock
