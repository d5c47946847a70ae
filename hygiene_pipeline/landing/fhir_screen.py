"""The set-based screen over a page of FHIR resources: SQL expressions that find what cannot be used.

A page holds every element as minified JSON text, so the first character tells the type. `fault` finds what is certain;
`is_suspicious` finds nested values that look wrong and that the strict judge then decides.
"""

from datetime import date

from hygiene_pipeline.landing.fhir_schemas import PERIOD, TEXT, Element, Kind, Shape, elements

DAY = r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?"
INSTANT = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]\d\d:\d\d)"
ID = r"[A-Za-z0-9\-.]+"
# The days that every month has.
PLAIN_DAY = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])"
PLAIN_TIME = r"T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]\d\d:\d\d)"
_PLAIN = f'"{PLAIN_DAY}({PLAIN_TIME})?"'
_PLAIN_INSTANT = f'"{PLAIN_DAY}{PLAIN_TIME}"'
NUMBER = "-0123456789"
OPENING: dict[Kind, str] = {
    "id": '"',
    "code": '"',
    "string": '"',
    "date": '"',
    "instant": '"',
    "object": "{",
    "list": "[",
}
# Names that FHIR gives to things of different types, so that the name alone proves nothing.
_AMBIGUOUS = frozenset({"type", "code"})
# Elements that have a test of their own, or of which no decision depends on a nested value.
_UNTESTED = frozenset({"meta", "period", "class", "type", "extension", "contained"})


def fault(resource: str, today: date) -> str:
    """An expression over page `p`: 'field|reason' of the first certain fault, or null. Nobody is born after `today`."""
    cases = [
        *_id_cases(),
        *(case for element in elements(resource) if element.name != "id" for case in _cases(element)),
    ]
    if resource == "Patient":
        cases.append((f"""p."birthDate" > '"{today.isoformat()}"'""", "birthDate|invalid_date"))
    return "case " + " ".join(f"when {test} then '{verdict}'" for test, verdict in cases) + " end"


def is_suspicious(resource: str) -> str:
    """An expression over page `p`: whether some nested value has a type that its name does not go with."""
    texts = ", ".join(f'p."{element.name}"' for element in _nested(resource))
    by_opening: dict[str, list[str]] = {}
    for name, opening in leaf_openings(resource).items():
        by_opening.setdefault(opening, []).append(name)
    wrong = "|".join(
        f'"(?:{"|".join(names)})":[^{character_class(opening)}n]' for opening, names in sorted(by_opening.items())
    )
    return f"regexp_matches(concat({texts}), '{wrong}')"


def leaf_openings(resource: str) -> dict[str, str]:
    """The names of nested values that go with one type, and the characters with which a value of that type begins."""
    found: dict[str, set[str]] = {}
    for element in _nested(resource):
        _collect(element.shape, found)
    return {
        name: openings.copy().pop()
        for name, openings in sorted(found.items())
        if len(openings) == 1 and name not in _AMBIGUOUS
    }


def character_class(openings: str) -> str:
    """The characters as a regular expression wants them between its brackets."""
    return openings.replace("[", r"\[").replace("-", r"\-")


def _nested(resource: str) -> list[Element]:
    return [
        element
        for element in elements(resource)
        if not isinstance(element.shape, str) and element.name not in _UNTESTED
    ]


def _id_cases() -> list[tuple[str, str]]:
    return [
        ("p.id is null or p.id = '\"\"'", "id|missing_id"),
        ("not starts_with(p.id, '\"')", "id|wrong_type"),
        # The length apart: a pattern that counts is matched many times slower.
        (f"""length(p.id) > 66 or not regexp_full_match(p.id, '"{ID}"')""", "id|invalid_id"),
    ]


def _cases(element: Element) -> list[tuple[str, str]]:
    column = f'p."{element.name}"'
    cases = [(_wrong_type(element, column), f"{element.name}|wrong_type")]
    if element.codes:
        # Not an IN list: DuckDB makes a join of a long one, and with it the order of lines is lost.
        allowed = "|".join(sorted(element.codes))
        cases.append((f"""not regexp_full_match({column}, '"({allowed})"')""", f"{element.name}|unknown_code"))
    if element.kind in ("date", "instant"):
        cases.append((_impossible(column, element.kind), f"{element.name}|invalid_date"))
    if element.shape == PERIOD:
        is_odd = f"""not regexp_full_match({column}, '{{"(start|end)":{_PLAIN}(,"(start|end)":{_PLAIN})?}}')"""
        ends = [_impossible(f"({column} -> '$.{end}')", "date") for end in ("start", "end")]
        cases.append((f"{is_odd} and ({' or '.join(ends)})", f"{element.name}|invalid_date"))
    if element.name == "meta":
        last_updated = _impossible(f"({column} -> '$.lastUpdated')", "instant")
        is_given = f"""contains({column}, '"lastUpdated":')"""
        is_odd = f"""not regexp_matches({column}, '"lastUpdated":{_PLAIN_INSTANT}')"""
        cases.append((f"{is_given} and {is_odd} and {last_updated}", "meta.lastUpdated|invalid_date"))
    return cases


def _wrong_type(element: Element, column: str) -> str:
    if element.kind == "boolean":
        return f"{column} not in ('true', 'false')"
    if element.kind == "list" and isinstance(element.shape, list) and isinstance(element.shape[0], dict):
        return f"not starts_with({column}, '[{{') and {column} <> '[]'"
    return f"not starts_with({column}, '{OPENING[element.kind]}')"


def _impossible(column: str, kind: Kind) -> str:
    """Not a FHIR date or instant, or a day that no calendar has; the cheap test that most values pass comes first."""
    pattern = f'"{INSTANT}"' if kind == "instant" else f'"({DAY}|{INSTANT})"'
    plain = f"not regexp_full_match({column}, '{_PLAIN}') and " if kind == "date" else ""
    return (
        f"({plain}(not regexp_full_match({column}, '{pattern}')"
        f" or (length({column}) >= 12 and try_cast(substr({column}, 2, 10) as date) is null)))"
    )


def _collect(shape: Shape, found: dict[str, set[str]]) -> None:
    if isinstance(shape, list):
        _collect(shape[0], found)
    elif isinstance(shape, dict):
        for name, part in shape.items():
            found.setdefault(name, set()).add(_leaf_opening(part))
            _collect(part, found)


def _leaf_opening(shape: Shape) -> str:
    if isinstance(shape, dict):
        return "{"
    if isinstance(shape, list):
        return "["
    return '"' if shape == TEXT else NUMBER
