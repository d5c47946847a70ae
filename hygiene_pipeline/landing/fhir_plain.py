"""The cheap test of a resource's text that nearly all plainly sound lines pass; no JSON is taken apart for it.

Whoever passes has no `fault` and is not `is_suspicious` by the screen; whoever does not may still be sound, and the
screen says. A typed read alone would not do: DuckDB reads a number as text and a wrong object as null without a word.
So one regular expression goes over the whole line and looks for a known name before a value of the wrong type,
wherever it stands, and conditions on the typed values do the rest.
"""

from collections.abc import Iterable, Iterator
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hygiene_pipeline.landing.fhir_schemas import PERIOD, TEXT, Element, Shape, elements
from hygiene_pipeline.landing.fhir_screen import (
    DAY,
    ID,
    INSTANT,
    OPENING,
    PLAIN_DAY,
    PLAIN_TIME,
    character_class,
    leaf_openings,
)
from hygiene_pipeline.landing.ndjson_file import SCHEMA
from hygiene_pipeline.sql_spelling import literal

_BOOLEAN = "tf"
# What FHIR also has under the name of an element, in a contact, a coding, a contained resource or a timing.
_ELSEWHERE: dict[str, str] = {
    "name": '"{[',
    "address": '"{[',
    "code": '"{[',
    "type": '"{[',
    "period": r"0-9\-",
    "provision": "[",
}
# Names of a nested value that a resource has once for something else, at its top: a narrative, its own identifiers.
_ONCE = {"text": "{", "identifier": "["}
_PROBES: dict[str, Shape] = {"identifier": [{"use": TEXT}]}
# A narrative at the top of a resource, where FHIR puts it: after its id and meta, and no braces open but the first.
_STRING = r'"(?:[^"\\]|\\.)*"'
_FLAT = rf'[^{{}}"]|{_STRING}'
_NARRATIVE = (
    rf"^\s*\{{(?:\s*{_STRING}\s*:\s*(?:{_STRING}|\{{(?:{_FLAT}|\{{(?:{_FLAT})*\}})*\}})\s*,)*"
    r'\s*"text"\s*:\s*\{'
)
# A name may be spelt with escapes.
_ESCAPED_LETTER = r"\\u00[4-7]"
# To the screen these are wrong even if they are null.
_NEVER_NULL = ("lastUpdated", "start", "end")


def read_as(resource: str) -> dict[str, Shape]:
    """The elements to read of a line so that `is_plain` can be asked: those that are kept, and a few more."""
    kept: dict[str, Shape] = {element.name: element.shape for element in elements(resource)}
    return {"resourceType": TEXT, **_PROBES, **kept}


def only_plain(resource: str, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches of a file with the text of every line put out in which the expression finds something odd."""
    strict, lenient = odd_text(resource, has_narrative=False), odd_text(resource, has_narrative=True)
    for batch in batches:
        text = batch.column("text")
        has_escape = _matches(text, _ESCAPED_LETTER)
        is_odd = _matches(text, strict) | has_escape
        if is_odd.any():
            rest = text if is_odd.all() else text.filter(pa.array(is_odd))
            is_odd[is_odd] = ~_matches(rest, _NARRATIVE) | _matches(rest, lenient)
            text = _without(text, is_odd | has_escape)
        yield pa.record_batch([batch.column("line"), text], schema=SCHEMA)


def _matches(text: pa.StringArray, pattern: str) -> npt.NDArray[np.bool_]:
    """Whether each text matches; one that is not there, because it was not UTF-8, does."""
    found: npt.NDArray[np.bool_] = (
        pc.match_substring_regex(text, pattern).fill_null(True).to_numpy(zero_copy_only=False)
    )
    return found


def _without(text: pa.StringArray, is_out: npt.NDArray[np.bool_]) -> pa.StringArray:
    """The same texts over the same bytes, but for these."""
    _, starts, content = text.buffers()
    return pa.StringArray.from_buffers(len(text), starts, content, pa.array(~is_out).buffers()[1])


def odd_text(resource: str, *, has_narrative: bool) -> str:
    """The regular expression; with a narrative, one object called `text` is allowed.

    Everything it looks for begins with a quote, so that it need not look at what lies between them.
    """
    odd = [
        rf'{name}"\s*:\s*\{opening}.*"{name}"\s*:\s*\{opening}'
        for name, opening in _once(resource, has_narrative=has_narrative).items()
    ]
    by_opening: dict[str, list[str]] = {}
    for name, openings in sorted(_allowed(resource, has_narrative=has_narrative).items()):
        null = "" if name in _NEVER_NULL else "n"
        by_opening.setdefault(character_class(openings) + null, []).append(name)
    odd += [rf'(?:{"|".join(names)})"\s*:\s*[^{opening}\s]' for opening, names in by_opening.items()]
    lists = [element.name for element in elements(resource) if _holds_objects(element)]
    odd.append(rf'(?:{"|".join(lists)})"\s*:\s*\[\s*[^{{\]\s]' if lists else "")
    return f'(?s)"(?:{"|".join(filter(None, odd))})'


def _once(resource: str, *, has_narrative: bool) -> dict[str, str]:
    leaves = leaf_openings(resource)
    return {name: opening for name, opening in _ONCE.items() if name in leaves and (has_narrative or name != "text")}


def _allowed(resource: str, *, has_narrative: bool) -> dict[str, str]:
    """How a value may begin, by its name."""
    allowed = dict.fromkeys((*_NEVER_NULL, "resourceType"), '"')
    for element in elements(resource):
        opening = _BOOLEAN if element.kind == "boolean" else OPENING[element.kind]
        allowed[element.name] = opening + _ELSEWHERE.get(element.name, "")
    allowed |= leaf_openings(resource)
    for name, opening in _once(resource, has_narrative=has_narrative).items():
        allowed[name] += opening
    return allowed


def is_plain(resource: str, today: date) -> str:
    """The condition on the struct `x`, as `read_as` has it read, of a line of `only_plain`."""
    tests = [
        f"x.\"resourceType\" = '{resource}'",
        f"coalesce(length(x.id) <= 64 and regexp_full_match(x.id, '{ID}'), false)",
        *(test for element in elements(resource) for test in _tests(element, resource)),
    ]
    if resource == "Patient":
        tests.append(f"coalesce(x.\"birthDate\" <= '{today.isoformat()}', true)")
    if "identifier" in leaf_openings(resource):
        # An element that is not kept may be missing, and others have an identifier, which is an object.
        is_kept = any(element.name == "identifier" for element in elements(resource))
        elsewhere = r'"identifier"\s*:' if is_kept else r'"identifier"\s*:\s*\['
        tests.append(f"case when x.identifier is not null then true else not regexp_matches(text, '{elsewhere}') end")
    return " and ".join(tests)


def _tests(element: Element, resource: str) -> Iterator[str]:
    column = f'x."{element.name}"'
    if element.codes:
        yield f"coalesce(regexp_full_match({column}, '{'|'.join(sorted(element.codes))}'), true)"
    if element.kind in ("date", "instant"):
        yield _possible(column, is_instant=element.kind == "instant")
    if element.name == "meta":
        yield _possible(f'{column}."lastUpdated"', is_instant=True)
    if element.shape == PERIOD:
        yield from (_possible(f'{column}."{end}"', is_instant=False) for end in ("start", "end"))
    if element.name in _ELSEWHERE and element.name not in leaf_openings(resource):
        yield _is_of_its_kind(element, column)


def _is_of_its_kind(element: Element, column: str) -> str:
    """Where the name may stand before several types, whether here it stood before the right one, or nowhere."""
    if isinstance(element.shape, str):
        return f"coalesce({column}[1] not in ('{{', '['), true)"
    if isinstance(element.shape, dict):
        given = " or ".join(f'{column}."{part}" is not null' for part in element.shape)
    else:
        given = f"{column} is not null"
    others = rf'"{element.name}"\s*:\s*[^{character_class(OPENING[element.kind])}n\s]'
    return f"case when {given} then true else not regexp_matches(text, {literal(others)}) end"


def _possible(column: str, *, is_instant: bool) -> str:
    plain = f"{PLAIN_DAY}{PLAIN_TIME}" if is_instant else f"{PLAIN_DAY}({PLAIN_TIME})?"
    pattern = INSTANT if is_instant else f"{DAY}|{INSTANT}"
    return (
        f"case when {column} is null or regexp_full_match({column}, '{plain}') then true"
        f" else regexp_full_match({column}, '{pattern}')"
        f" and (length({column}) < 10 or try_cast(substr({column}, 1, 10) as date) is not null) end"
    )


def _holds_objects(element: Element) -> bool:
    return isinstance(element.shape, list) and isinstance(element.shape[0], dict)
