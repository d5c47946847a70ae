"""An NDJSON file as numbered lines: plain or gzip, byte-order mark, CRLF, blank lines, a cut-off end. Reads no JSON.

An *ordinal* counts the lines that are not blank, from 0, as DuckDB's reader does; a *line* counts every line, from 1,
as an editor does.
"""

import gzip
import re
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import numpy as np
import numpy.typing as npt

BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_BLOCK = 256 * 1024
_PEEK = 64 * 1024
_MAYBE_BLANK = (b"\n\n", b"\n\r", b"\n ", b"\n\t", b"\n\x0b", b"\n\x0c")
_TYPE = re.compile(rb'"resourceType"\s*:\s*"([A-Za-z]{1,64})"')


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line that is not blank; `file` says of which file, where several are taken as one."""

    ordinal: int
    line: int
    text: bytes
    file: int = 0


@dataclass(frozen=True, kw_only=True)
class _Block:
    offset: int
    first_ordinal: int
    first_line: int
    ordinals: int


class NdjsonFile:
    """Counts, numbers and fetches the lines of one file, a block at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            start = file.read(3)
        self.is_gzip = start.startswith(_GZIP)
        self._blank_lines: list[npt.NDArray[np.int64]] = []
        self._blocks: list[_Block] = []
        self.is_cut_off = False
        self.longest_block = 0

    @property
    def starts_with_bom(self) -> bool:
        """Whether the text, once unpacked, starts with a byte-order mark."""
        with self._open() as file:
            return _read(file, 3)[0] == BOM

    def likely_types(self) -> set[str]:
        """Resource types named at the beginning, and for a plain file also in the middle and at the end."""
        with self._open() as file:
            parts = [_read(file, _PEEK)[0]]
            if not self.is_gzip:
                size = self.path.stat().st_size
                for place in (size // 3, 2 * size // 3, size - _PEEK):
                    file.seek(max(0, place))
                    parts.append(file.read(_PEEK))
        return {name.decode() for part in parts for name in _TYPE.findall(part)}

    def count(self, *, may_be_blank: bool = True) -> int:
        """How many lines are not blank; afterwards `line_numbers` and `lines` know their way.

        Not to look for blank lines is several times faster, and right whenever the count is that of the rows read.
        """
        self._blocks, self._blank_lines, self.longest_block = [], [], 0
        ordinal, line, offset = 0, 1, 0
        for block in self._read_blocks():
            lines = block.count(b"\n") + (not block.endswith(b"\n"))
            blank = _blank_positions(block) if may_be_blank else []
            if blank:
                self._blank_lines.append(np.array(blank, dtype=np.int64) + line)
            ordinals = lines - len(blank)
            self._blocks.append(_Block(offset=offset, first_ordinal=ordinal, first_line=line, ordinals=ordinals))
            ordinal, line, offset = ordinal + ordinals, line + lines, offset + len(block)
            self.longest_block = max(self.longest_block, len(block))
        return ordinal

    def line_numbers(self) -> npt.NDArray[np.int64] | None:
        """The line of each ordinal, or none if no line is blank: then the line is the ordinal plus one."""
        if not self._blank_lines or not self._blocks:
            return None
        last = self._blocks[-1]
        blank = np.concatenate(self._blank_lines)
        every = np.arange(1, last.first_ordinal + last.ordinals + len(blank) + 1, dtype=np.int64)
        return np.setdiff1d(every, blank, assume_unique=True)

    def lines(self, wanted: Sequence[int] | None = None) -> Iterator[Line]:
        """The lines with these ordinals (ascending), or every line that is not blank."""
        if wanted is None:
            yield from self._every_line()
            return
        position = 0
        for block, text in self._blocks_holding(wanted):
            end = bisect_left(wanted, block.first_ordinal + block.ordinals, position)
            yield from _some_lines(text, block, wanted[position:end])
            position = end

    def _every_line(self) -> Iterator[Line]:
        ordinal, line = 0, 1
        for text in self._read_blocks():
            block = _Block(offset=0, first_ordinal=ordinal, first_line=line, ordinals=0)
            for offer in _lines_of(text, block):
                yield offer
                ordinal = offer.ordinal + 1
            line += text.count(b"\n")

    def _blocks_holding(self, wanted: Sequence[int]) -> Iterator[tuple[_Block, bytes]]:
        ordinals = np.asarray(wanted, dtype=np.int64)
        starts = np.array([block.first_ordinal for block in self._blocks], dtype=np.int64)
        ends = starts + np.array([block.ordinals for block in self._blocks], dtype=np.int64)
        holds = np.searchsorted(ordinals, starts) < np.searchsorted(ordinals, ends)
        if self.is_gzip:
            pairs = zip(self._blocks, self._read_blocks(), strict=True)
            yield from (pair for pair, held in zip(pairs, holds, strict=True) if held)
            return
        size = self.path.stat().st_size
        offsets = [*(block.offset for block in self._blocks), size]
        with self.path.open("rb") as file:
            for index in np.flatnonzero(holds):
                file.seek(offsets[index])
                yield self._blocks[index], file.read(offsets[index + 1] - offsets[index])

    def _open(self) -> BufferedReader | gzip.GzipFile:
        return gzip.GzipFile(self.path, "rb") if self.is_gzip else self.path.open("rb")

    def _read_blocks(self) -> Iterator[bytes]:
        """The file in blocks that end where a line ends."""
        rest: list[bytes] = []
        self.is_cut_off = False
        with self._open() as file:
            while True:
                chunk, self.is_cut_off = _read(file, _BLOCK)
                cut = chunk.rfind(b"\n") + 1
                if cut:
                    yield b"".join([*rest, chunk[:cut]])
                    rest = []
                if chunk[cut:]:
                    rest.append(chunk[cut:])
                if not chunk or self.is_cut_off:
                    break
        if rest:
            yield b"".join(rest)


def _read(file: BufferedReader | gzip.GzipFile, size: int) -> tuple[bytes, bool]:
    """What could be read in one go, and whether a gzip stream broke off there."""
    try:
        return file.read1(size), False
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return b"", True


def _blank_positions(block: bytes) -> list[int]:
    if not block[:1].isspace() and not any(sign in block for sign in _MAYBE_BLANK):
        return []
    return [index for index, text in enumerate(_split(block)) if not text.strip()]


def _split(block: bytes) -> list[bytes]:
    lines = block.split(b"\n")
    return lines[:-1] if block.endswith(b"\n") else lines


def _some_lines(text: bytes, block: _Block, wanted: Sequence[int]) -> Iterator[Line]:
    """The lines of these ordinals, all in the block."""
    lines = _split(text)
    if len(lines) == block.ordinals:
        places = [ordinal - block.first_ordinal for ordinal in wanted]
    else:
        full = [place for place, line in enumerate(lines) if line.strip()]
        places = [full[ordinal - block.first_ordinal] for ordinal in wanted]
    for ordinal, place in zip(wanted, places, strict=True):
        yield Line(ordinal=ordinal, line=block.first_line + place, text=lines[place].strip())


def _lines_of(text: bytes, block: _Block) -> Iterator[Line]:
    ordinal = block.first_ordinal
    for index, line in enumerate(_split(text)):
        if line.strip():
            yield Line(ordinal=ordinal, line=block.first_line + index, text=line.strip())
            ordinal += 1
