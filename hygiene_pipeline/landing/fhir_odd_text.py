"""Finds the lines of FHIR resources in whose text something is odd, wherever it stands; no JSON is taken apart for it.

Odd is a known name before a value of the wrong type, a name spelt with escapes, and white space other than one space
after a colon, for the patterns know no other. Hyperscan looks for all of it at once, in a whole block of lines. What
is odd need not be wrong; what is not odd, `fhir_plain` takes with a few conditions on the typed values.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Literal

import hyperscan
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hygiene_pipeline.landing.fhir_schemas import Element, elements
from hygiene_pipeline.landing.fhir_screen import NUMBER, OPENING, leaf_openings

MARKED = pa.schema(
    [("line", pa.int64()), ("text", pa.string()), ("has_narrative", pa.bool_()), ("has_identifiers", pa.bool_())]
)
"""A numbered text, put out if it is odd, and whether it has, once, an object `text` and a list `identifier`."""
# What FHIR also has under the name of an element, in a contact, a coding, a contained resource or a timing.
ELSEWHERE: dict[str, str] = {
    "name": '"{[',
    "address": '"{[',
    "code": '"{[',
    "type": '"{[',
    "period": NUMBER,
    "provision": "[",
}
# Names of a nested value that a resource has once for something else, at its top: a narrative, its own identifiers.
ONCE: dict[Literal["text", "identifier"], str] = {"text": "{", "identifier": "["}
_BOOLEAN = "tf"
# To the screen these are wrong even if they are null.
_NEVER_NULL = ("lastUpdated", "start", "end")
# How a value of JSON may begin. Said in full: before the complement of a few characters Hyperscan is much slower.
_OPENINGS = f'"{{[{NUMBER}tfn'
_ODD_ANYWHERE = (
    r'"[ \t\r]+:',
    r'":[\t\r]',
    r'": [ \t\r]',
    # Not a number and infinity, which DuckDB takes for numbers.
    '": ?-?(?:[Nn][Aa]|[Ii][Nn])',
    # A letter spelt as an escape.
    r"\\u00[4-7]",
)
_ODD, _NARRATIVE, _IDENTIFIERS = range(3)
_BY_NAME = {"text": _NARRATIVE, "identifier": _IDENTIFIERS}
_Ends = tuple[list[int], list[int], list[int]]


def marked(resource: str, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches of a file of this resource type as `MARKED`."""
    database = _database(resource)
    # A database may serve several files at once, but not with the one scratch space that it has itself.
    scratch = hyperscan.Scratch(database)
    for batch in batches:
        text = batch.column("text")
        starts = np.frombuffer(text.buffers()[1], dtype=np.int32)[text.offset : text.offset + len(text) + 1]
        ends: _Ends = ([], [], [])
        if starts[0] < starts[-1]:
            content = memoryview(text.buffers()[2])[starts[0] : starts[-1]]
            database.scan(content, match_event_handler=_note, context=ends, scratch=scratch)
        odd, narratives, identifiers = (_per_line(each, starts) for each in ends)
        is_out = (odd > 0) | (narratives > 1) | (identifiers > 1)
        if is_out.any():
            text = _without(text, starts, is_out)
        columns = [batch.column("line"), text, pa.array(narratives > 0), pa.array(identifiers > 0)]
        yield pa.record_batch(columns, schema=MARKED)


def _note(kind: int, _start: int, end: int, _flags: int, ends: _Ends) -> None:
    """Called by Hyperscan for every match: nothing may be done here that can be done for all of them together."""
    ends[kind].append(end)


def _per_line(ends: list[int], starts: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """How many matches end in each line. None reaches over the end of its line: no pattern has a newline in it."""
    last_places = np.array(ends, dtype=np.int32) + (starts[0] - 1)
    lines = np.searchsorted(starts, last_places, side="right") - 1
    return np.bincount(lines, minlength=len(starts) - 1)


def _without(text: pa.StringArray, starts: npt.NDArray[np.int32], is_out: npt.NDArray[np.bool_]) -> pa.StringArray:
    """The same texts over the same bytes, but for these."""
    is_in = text.is_valid().to_numpy(zero_copy_only=False) & ~is_out
    return pa.StringArray.from_buffers(len(text), pa.py_buffer(starts), text.buffers()[2], pa.array(is_in).buffers()[1])


@cache
def _database(resource: str) -> hyperscan.Database:
    patterns = [(pattern, _ODD) for pattern in (*_ODD_ANYWHERE, *_wrong_types(resource))]
    patterns += [(f'"{name}": ?\\{opening}', _BY_NAME[name]) for name, opening in _once(resource).items()]
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[pattern.encode() for pattern, _ in patterns],
        ids=[kind for _, kind in patterns],
        elements=len(patterns),
    )
    return database


def _wrong_types(resource: str) -> Iterator[str]:
    """A pattern for all the names after which the same is wrong.

    A pattern for each name and spacing is found about a tenth faster, but takes so long to compile that only files of
    gigabytes would gain.
    """
    names: dict[str, list[str]] = {}
    for name, openings in sorted(_allowed(resource).items()):
        null = "" if name in _NEVER_NULL else "n"
        names.setdefault(f"[{_complement(openings + null)}]", []).append(name)
    if lists := [element.name for element in elements(resource) if _holds_objects(element)]:
        names[f"\\[[{_complement('{')}NIi \\t\\r]"] = lists
    return (f'"(?:{"|".join(alike)})": ?{wrong}' for wrong, alike in names.items())


def _complement(openings: str) -> str:
    return "".join(f"\\{each}" if each in "[{-" else each for each in _OPENINGS if each not in openings)


def _once(resource: str) -> dict[str, str]:
    return {name: opening for name, opening in ONCE.items() if name in leaf_openings(resource)}


def _allowed(resource: str) -> dict[str, str]:
    """How a value may begin, by its name."""
    allowed = dict.fromkeys((*_NEVER_NULL, "resourceType"), '"')
    for element in elements(resource):
        opening = _BOOLEAN if element.kind == "boolean" else OPENING[element.kind]
        allowed[element.name] = opening + ELSEWHERE.get(element.name, "")
    allowed |= leaf_openings(resource)
    for name, opening in _once(resource).items():
        allowed[name] += opening
    return allowed


def _holds_objects(element: Element) -> bool:
    return isinstance(element.shape, list) and isinstance(element.shape[0], dict)
