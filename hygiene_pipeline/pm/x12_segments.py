"""From the text of an X12 file to interchanges of segments, whatever delimiters and line breaks it was written with.

The segments are read by pyx12's tokenizer, an interchange at a time. It wants one interchange of fixed columns and
unbroken segments, reads no further at an empty segment or at one longer than its buffer, and drops a last segment
without terminator. Files have several interchanges, each with its own delimiters; lines wrapped at 80 columns; headers
without padding; text in between. So each interchange is cut out, unwrapped, and given to it behind a header of its own
kind; where it stops early it is set on again. Its reader of envelopes is not used: it fails on trailers without a
header, and after one lost trailer blames the wrong envelope.
"""

import re
from collections.abc import Iterator
from io import StringIO
from itertools import pairwise
from typing import NamedTuple

from pyx12.rawx12file import RawX12File

from hygiene_pipeline.pm.protocol import Unusable

# "ISA" can stand in a name; followed by a qualifier, ten characters and a qualifier it cannot.
_START = re.compile(r"ISA([^A-Za-z0-9 \r\n])\s?\d\s?\d\s?\1(?s:.){0,12}?\1\s?\d\s?\d\s?\1")
_LINE_BREAKS = str.maketrans("", "", "\r\n")
_HEADER_ELEMENTS = 16
_HEADER_WIDTHS = (2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1)


class Segment(NamedTuple):
    """One segment: its number in the file, from 1, and its elements, the first of them its name."""

    position: int
    elements: list[str]

    @property
    def name(self) -> str:
        """NM1, EB, AAA and so on."""
        return self.elements[0]

    def element(self, number: int) -> str:
        """NM109 is element 9; an element that is not there is empty."""
        return self.elements[number].strip() if number < len(self.elements) else ""


class Interchange(NamedTuple):
    """From one ISA to the next: its control number (ISA13), delimiters, and segments as texts including the ISA.

    A file may be one interchange of a million segments: they are taken apart one after the other, not all at once.
    """

    control: str
    separator: str
    repetition: str
    first: int
    lines: list[str]

    def segments(self) -> Iterator[Segment]:
        """All segments in order."""
        separator = self.separator
        for number, line in enumerate(self.lines, start=self.first):
            yield Segment(number, line.split(separator))

    def last(self) -> Segment:
        """The last segment."""
        return Segment(self.first + len(self.lines) - 1, self.lines[-1].split(self.separator))

    def text(self, segments: list[Segment]) -> str:
        """The segments as a text to keep in the quarantine, a line each."""
        return "\n".join(self.separator.join(each.elements) for each in segments)


def interchanges(text: str) -> Iterator[Interchange | Unusable]:
    """All interchanges of a file in order, and what is not part of any."""
    starts = [match.start() for match in _START.finditer(text)]
    before = text[: starts[0]] if starts else text
    if before.strip():
        yield Unusable(position=1, reason="outside_interchange", original=before)
    position = 1
    for start, end in pairwise([*starts, len(text)]):
        interchange = _interchange(text[start:end], position)
        if isinstance(interchange, Interchange):
            position += len(interchange.lines)
        else:
            position += 1
        yield interchange


def _interchange(chunk: str, position: int) -> Interchange | Unusable:
    separator = chunk[3]
    compact = chunk.translate(_LINE_BREAKS)
    header = compact.split(separator, _HEADER_ELEMENTS)
    # ISA16 is one character, and the one after it ends every segment.
    last = header[_HEADER_ELEMENTS][:2] if len(header) > _HEADER_ELEMENTS else ""
    if not last or last[1:] == separator:
        return Unusable(position=position, reason="malformed_interchange", original=chunk)
    terminator = last[1:]
    if not terminator or terminator.isalnum():
        lines = _lines(chunk.replace("\r", "\n"), separator, "\n")
    else:
        lines = _lines(compact, separator, terminator)
    repetition = header[11].strip()
    return Interchange(
        control=header[13].strip(),
        separator=separator,
        repetition=repetition if len(repetition) == 1 and not repetition.isalnum() else "^",
        first=position,
        lines=[each for line in lines if (each := line.strip(" \t\r\n"))],
    )


def _lines(text: str, separator: str, terminator: str) -> Iterator[str]:
    """Every segment as a text, by the library; what it leaves is the segment that it could not take, and the rest."""
    end = re.escape(terminator)
    left = re.sub(f"{end}(?:\\s*{end})+", lambda _: terminator, text)
    while left.strip():
        source = StringIO(_header(separator, terminator) + left)
        tokenizer = RawX12File(source)
        lines = iter(tokenizer)
        next(lines)
        yield from lines
        too_long, _, left = (tokenizer.buffer + source.read()).partition(terminator)
        yield too_long


def _header(separator: str, terminator: str) -> str:
    """An ISA that says nothing but the delimiters, in the columns where the library looks for them."""
    filled = ["ISA", *("0" * width for width in _HEADER_WIDTHS), "00501", "0" * 9, "0", "0"]
    return separator.join([*filled, separator + terminator])
