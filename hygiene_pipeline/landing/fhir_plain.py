"""The cheap test of a resource's text that nearly all plainly sound lines pass; no JSON is taken apart for it twice.

Whoever passes has no `fault` and is not `is_suspicious` by the screen; whoever does not may still be sound, and the
screen says. A typed read alone would not do: DuckDB reads a number as text and a wrong object as null without a word.
So `fhir_odd_text` looks for a known name before a value of the wrong type, wherever it stands, and conditions on the
typed values do the rest.
"""

from collections.abc import Iterator
from datetime import date

from hygiene_pipeline.landing.fhir_odd_text import ELSEWHERE
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
from hygiene_pipeline.sql_spelling import literal

# What is at the top of a resource and not kept, but has to be known of.
_PROBES: dict[str, Shape] = {"identifier": [{"use": TEXT}], "text": {"status": TEXT}}


def read_as(resource: str) -> dict[str, Shape]:
    """The elements to read of a line so that `is_plain` can be asked: those that are kept, and a few more."""
    kept: dict[str, Shape] = {element.name: element.shape for element in elements(resource)}
    probes = {name: shape for name, shape in _PROBES.items() if name in leaf_openings(resource)}
    return {"resourceType": TEXT, **probes, **kept}


def is_plain(resource: str, today: date) -> str:
    """The condition on the struct `x`, as `read_as` has it read, of a line as `fhir_odd_text.marked` hands it out."""
    tests = [
        f"x.\"resourceType\" = '{resource}'",
        f"coalesce(length(x.id) <= 64 and regexp_full_match(x.id, '{ID}'), false)",
        *(test for element in elements(resource) for test in _tests(element, resource)),
    ]
    if resource == "Patient":
        tests.append(f"coalesce(x.\"birthDate\" <= '{today.isoformat()}', true)")
    leaves = leaf_openings(resource)
    if "text" in leaves:
        # The one there is stands at the top, for there is one there.
        tests.append("(not has_narrative or x.text.status is not null)")
    if "identifier" in leaves:
        tests.append(_identifiers_are_its_own(resource))
    return " and ".join(tests)


def _identifiers_are_its_own(resource: str) -> str:
    if all(element.name != "identifier" for element in elements(resource)):
        return "(not has_identifiers or x.identifier is not null)"
    # Where they are kept, an object in their place would be a fault. What it refers to may have one: an object.
    return (
        "case when x.identifier is not null then true when has_identifiers then false"
        " when contains(text, '\"identifier\"') then not json_exists(text, '$.identifier') else true end"
    )


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
    if element.name in ELSEWHERE and element.name not in leaf_openings(resource):
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
