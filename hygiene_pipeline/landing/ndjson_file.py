"""An NDJSON file as numbered lines: plain or gzip, byte-order mark, CRLF, blank lines, a cut-off end. Reads no JSON.

The lines are handed out as Arrow batches over the very bytes that were read, so that counting and numbering them costs
next to nothing. A line counts from 1 as an editor does, and blank ones count too, though they are not handed out.
"""

import gzip
import re
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hygiene_pipeline.warehouse import ROW_GROUP_ROWS

BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
# DuckDB stores a batch as it is if that fills a row group of the warehouse; smaller ones it puts together, once more.
# Of much larger ones a file has too few for every thread to have one. The first block tells how long the lines are.
_FIRST_BLOCK = 1 << 20
_LONGEST_BLOCK = 48 << 20
_LINES_AT_ONCE = ROW_GROUP_ROWS * 9 // 8
_PEEK = 64 * 1024
_PART = 256 * 1024
_NEWLINE = 10
_SPACES = np.frombuffer(b" \t\n\r\x0b\x0c", dtype=np.uint8)
_TYPE = re.compile(rb'"resourceType"\s*:\s*"([A-Za-z]{1,64})"')
SCHEMA = pa.schema([("line", pa.int64()), ("text", pa.string())])


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
    first_line: int
    starts: npt.NDArray[np.int32]

    def place_of(self, line: int) -> tuple[int, int]:
        """Where a line starts and ends within the block."""
        index = line - self.first_line
        return int(self.starts[index]), int(self.starts[index + 1])


class NdjsonFile:
    """Numbers and fetches the lines of one file, a block at a time."""

    def __init__(self, path: Path, *, block_bytes: int | None = None) -> None:
        self.path = path
        with path.open("rb") as file:
            start = file.read(3)
        self.is_gzip = start.startswith(_GZIP)
        self.is_cut_off = False
        self.count = 0
        """How many lines are not blank, once `batches` has gone through."""
        self._block_bytes = block_bytes
        self._blocks: list[_Block] = []
        self._numbers: list[pa.Array] = []

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

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Line numbers and texts, each text with the newline that ends it; a text that is not UTF-8 is null."""
        self._blocks, self._numbers, self.count, self.is_cut_off = [], [], 0, False
        offset, line = 0, 1
        for block in self._read_blocks():
            content = np.frombuffer(block, dtype=np.uint8)
            ends = _newlines(content)
            starts = np.zeros(len(ends) + 1, dtype=np.int32)
            np.add(ends, 1, out=starts[1:], casting="unsafe")
            if offset == 0 and block[: len(BOM)].to_pybytes() == BOM:
                starts[0] = len(BOM)
            self._blocks.append(_Block(offset=offset, first_line=line, starts=starts))
            batch = _batch(block, content, starts, line)
            self.count += batch.num_rows
            self._numbers.append(batch.column("line"))
            offset, line = offset + block.size, line + len(ends)
            if batch.num_rows:
                yield batch

    def numbers(self) -> pa.Table:
        """The numbers of the lines that are not blank, as far as `batches` has gone through."""
        return pa.table({"line": pa.chunked_array(self._numbers, pa.int64())})

    def lines(self, wanted: Sequence[int]) -> Iterator[Line]:
        """The lines with these numbers (ascending), of those that `batches` has gone through."""
        held = [
            wanted[
                bisect_left(wanted, block.first_line) : bisect_left(wanted, block.first_line + len(block.starts) - 1)
            ]
            for block in self._blocks
        ]
        blocks = zip(self._blocks, held, strict=True)
        if self.is_gzip:
            for (block, numbers), content in zip(blocks, self._read_blocks(), strict=True):
                for line in numbers:
                    start, end = block.place_of(line)
                    yield _line(line, content[start:end].to_pybytes())
            return
        with self.path.open("rb") as file:
            for block, numbers in blocks:
                for line in numbers:
                    start, end = block.place_of(line)
                    file.seek(block.offset + start)
                    yield _line(line, file.read(end - start))

    def _open(self) -> BufferedReader | gzip.GzipFile:
        return gzip.GzipFile(self.path, "rb") if self.is_gzip else self.path.open("rb")

    def _read_blocks(self) -> Iterator[pa.Buffer]:
        """The file in blocks of whole lines; a last line that nothing ends is ended."""
        rest = pa.py_buffer(b"")
        is_over = False
        size = self._block_bytes or _FIRST_BLOCK
        with self._open() as file:
            while not is_over:
                block = pa.allocate_buffer(rest.size + size + 1)
                view = memoryview(block).cast("B")
                view[: rest.size] = memoryview(rest).cast("B")
                filled, is_over = self._fill(file, view, rest.size)
                end = _after_last_newline(block, filled)
                if is_over and end < filled:
                    view[filled] = _NEWLINE
                    end = filled = filled + 1
                rest = block.slice(end, filled - end)
                if end:
                    yield block.slice(0, end)
                    size = self._block_bytes or max(size, _fitting(block.slice(0, end)))

    def _fill(self, file: BufferedReader | gzip.GzipFile, view: memoryview, start: int) -> tuple[int, bool]:
        """Read until the buffer is full but for one byte; where it is filled to, and whether the file ends there."""
        filled, last = start, len(view) - 1
        while filled < last:
            try:
                taken = file.readinto(view[filled:last]) if not self.is_gzip else file.readinto1(view[filled:last])
            except (EOFError, zlib.error, gzip.BadGzipFile):
                self.is_cut_off = True
                return filled, True
            if not taken:
                return filled, True
            filled += taken
        return filled, False


def _line(number: int, text: bytes) -> Line:
    return Line(ordinal=number, line=number, text=text.strip())


def _read(file: BufferedReader | gzip.GzipFile, size: int) -> tuple[bytes, bool]:
    """What could be read in one go, and whether a gzip stream broke off there."""
    try:
        return file.read1(size), False
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return b"", True


def _fitting(block: pa.Buffer) -> int:
    """Bytes of about as many lines as are best taken at once, if all are as long as where this block begins."""
    start = np.frombuffer(block, dtype=np.uint8)[:_FIRST_BLOCK]
    lines = int(np.count_nonzero(start == _NEWLINE))
    return min(_LONGEST_BLOCK, len(start) * _LINES_AT_ONCE // max(lines, 1))


def _after_last_newline(block: pa.Buffer, filled: int) -> int:
    """A line may be longer than the block: then nothing of it ends here."""
    content = np.frombuffer(block, dtype=np.uint8)[:filled]
    for start in range(filled - _PEEK, -_PEEK, -_PEEK):
        found = np.flatnonzero(content[max(0, start) : start + _PEEK] == _NEWLINE)
        if len(found):
            return max(0, start) + int(found[-1]) + 1
    return 0


def _newlines(content: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Where lines end; a part at a time, so that what is compared stays in the processor's cache."""
    parts = [np.flatnonzero(content[at : at + _PART] == _NEWLINE) + at for at in range(0, len(content), _PART)]
    return np.concatenate(parts)


def _batch(
    block: pa.Buffer, content: npt.NDArray[np.uint8], starts: npt.NDArray[np.int32], line: int
) -> pa.RecordBatch:
    count = len(starts) - 1
    text = pa.StringArray.from_buffers(count, pa.py_buffer(starts), block)
    numbers = np.arange(line, line + count, dtype=np.int64)
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        text = pa.array([_utf8(each.as_buffer().to_pybytes()) for each in text.cast(pa.binary())], pa.string())
    batch = pa.record_batch([pa.array(numbers), text], schema=SCHEMA)
    is_blank = np.zeros(count, dtype=np.bool_)
    for index in np.flatnonzero(np.isin(content[starts[:-1]], _SPACES)):
        is_blank[index] = not bytes(content[starts[index] : starts[index + 1]]).strip()
    return cast(pa.RecordBatch, batch.filter(pa.array(~is_blank))) if is_blank.any() else batch


def _utf8(text: bytes) -> str | None:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return None
