"""Downloads one file of an export, from where it broke off if the server can do that, and counts what is in it.

The bytes are kept as they come over the line: what a server packs stays packed, and landing reads it so.
"""

import gzip
import json
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from hygiene_pipeline.ehr.smart_bulk_http import AskAgainError, Conversation, refused
from hygiene_pipeline.failures import TransientError

_WHERE = "GET [file]"
_BLOCK = 1 << 20
_GZIP = b"\x1f\x8b"
_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+)")
# How a storage service says that a signed link has ended differs.
_EXPIRED = (400, 401, 403, 404, 410)


class LinkExpiredError(TransientError):
    """The server no longer gives the file at this address."""


class BrokenFileError(TransientError):
    """A file arrived whole and is yet not what was announced."""


class _Head(BaseModel):
    """What the answer said of the whole file, kept beside what has come of it."""

    model_config = ConfigDict(frozen=True)

    encoding: str = "identity"
    validator: str | None = None
    total: int | None = None

    @property
    def can_go_on(self) -> bool:
        """Whether a later answer can be told to be of the same bytes."""
        return self.validator is not None or (self.encoding == "identity" and self.total is not None)


@dataclass(frozen=True, kw_only=True)
class Counted:
    """A whole file: how many of its lines are not blank, and whether it is packed."""

    lines: int
    is_gzip: bool


class FileDownload:
    """One file on its way to `path`; until it is whole, what has come of it lies beside that."""

    def __init__(self, conversation: Conversation, url: str, path: Path, *, is_signed: bool) -> None:
        self.path = path
        self._conversation = conversation
        self._url = url
        self._is_signed = is_signed
        self._part = path.with_suffix(".part")
        self._head = path.with_suffix(".head")
        self._farthest = 0

    def run(self) -> Path:
        """Bring the whole file; what an earlier run brought of it is not asked for again if that can be helped."""
        self._farthest = self._size()
        while not self.path.exists():
            self._conversation.patiently(_WHERE, self._step)
        return self.path

    def throw_away(self) -> None:
        """Start anew next time."""
        for each in (self.path, self._part, self._head):
            each.unlink(missing_ok=True)

    def _step(self) -> None:
        try:
            self._receive()
        except httpx.TransportError:
            # While it gets on, the server is not out of reach: every step forward has patience of its own.
            if self._size() <= self._farthest:
                raise
            self._farthest = self._size()

    def _receive(self) -> None:
        before = self._known_head()
        have = self._size() if before.can_go_on else 0
        headers = _asked(before, have) | self._conversation.authorization(is_signed=self._is_signed)
        client = self._conversation.client
        with client.stream("GET", self._url, headers=headers, follow_redirects=True) as response:
            if response.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
                self._explain(response, headers, have)
                return
            total = self._place_of(response, before, have)
            with self._part.open("ab") as file:
                os.fchmod(file.fileno(), 0o600)
                for chunk in response.iter_raw():
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
        self._finish(total)

    def _place_of(self, response: httpx.Response, before: _Head, have: int) -> int | None:
        """Make the part end where this answer begins; the length of the whole file, if it is known."""
        if response.status_code == httpx.codes.PARTIAL_CONTENT:
            found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
            is_next = found is not None and found[1] == str(have) and _encoding(response) == before.encoding
            if found is None or not is_next or before.total not in (None, int(found[2])):
                self.throw_away()
                raise AskAgainError("answered with another part of the file")
            return int(found[2])
        self.throw_away()
        length = response.headers.get("Content-Length", "")
        head = _Head(
            encoding=_encoding(response),
            validator=_validator(response),
            total=int(length) if length.isdigit() else None,
        )
        if head.encoding not in ("identity", "gzip"):
            raise refused(response, _WHERE, "it packs the file in a way that was not asked for")
        self._head.write_text(head.model_dump_json(), encoding="utf-8")
        return head.total

    def _explain(self, response: httpx.Response, sent: dict[str, str], have: int) -> None:
        """What an answer without the file means: it is whole already, or it goes wrong one way or the other."""
        response.read()
        self._conversation.look_for_trouble(response, sent, _WHERE)
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if found is not None and int(found[2]) == have:
                self._finish(have)
                return
            self.throw_away()
            raise AskAgainError("status 416")
        if response.status_code in _EXPIRED:
            raise LinkExpiredError(f"{_WHERE}: status {response.status_code}; its link has expired")
        raise refused(response, _WHERE, "ask whoever runs the server")

    def _finish(self, total: int | None) -> None:
        if total is not None and self._size() != total:
            # Too much cannot be mended by going on.
            if self._size() > total:
                self.throw_away()
            raise AskAgainError("the file is shorter or longer than announced")
        if not self._part.exists():
            self._part.touch(mode=0o600)
        self._part.replace(self.path)
        self._head.unlink(missing_ok=True)

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _known_head(self) -> _Head:
        try:
            return _Head.model_validate_json(self._head.read_bytes())
        except (FileNotFoundError, ValidationError):
            return _Head()


def count(path: Path) -> Counted:
    """Count the lines of a whole file; BrokenFileError if it ends in the middle of one, or of its packing."""
    with path.open("rb") as file:
        is_gzip = file.read(2) == _GZIP
    lines, last = 0, b""
    try:
        with gzip.open(path, "rb") if is_gzip else path.open("rb") as content:
            for line in content:
                if line.strip():
                    lines, last = lines + 1, line
        if last:
            json.loads(last)
    except (EOFError, OSError, zlib.error, ValueError):
        raise BrokenFileError(f"{_WHERE}: the file ends in the middle of a line") from None
    return Counted(lines=lines, is_gzip=is_gzip)


def _asked(before: _Head, have: int) -> dict[str, str]:
    """The headers that ask for the rest of a file of which we have so many bytes."""
    asked = {"Accept": "application/fhir+ndjson", "Accept-Encoding": "gzip"}
    if have:
        asked |= {"Range": f"bytes={have}-", "Accept-Encoding": before.encoding}
        asked |= {"If-Range": before.validator} if before.validator else {}
    return asked


def _encoding(response: httpx.Response) -> str:
    return response.headers.get("Content-Encoding", "identity").strip().lower().removeprefix("x-") or "identity"


def _validator(response: httpx.Response) -> str | None:
    """What proves later that the bytes are still the same; a weak tag proves nothing."""
    tag = response.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return str(tag)
    modified = response.headers.get("Last-Modified")
    return str(modified) if modified else None
