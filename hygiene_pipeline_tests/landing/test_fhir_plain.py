"""The cheap test of FHIR lines: who passes it has no fault by the screen, whatever is done to a resource."""

import json
from copy import deepcopy
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hygiene_pipeline.landing.fhir_lines import screen
from hygiene_pipeline.landing.fhir_odd_text import MARKED, marked
from hygiene_pipeline.landing.fhir_plain import is_plain, read_as
from hygiene_pipeline.landing.fhir_schemas import RESOURCES, TEXT, Element, Shape, elements
from hygiene_pipeline.landing.fhir_screen import OPENING, leaf_openings
from hygiene_pipeline.landing.fhir_source import keep_lines, optimized_without, parsed, streaming
from hygiene_pipeline.landing.ndjson_file import SCHEMA, Line

TODAY = date(2026, 3, 1)
NARRATIVE = {"status": "generated", "div": "<div>x</div>"}
ODD_VALUES: list[Any] = [
    *(
        5,
        -1.5,
        float("nan"),
        float("-inf"),
        True,
        None,
        "",
        "x",
        "2026-02-30",
        "2999-01-01",
        "a b",
        "[x]",
        "{x}",
        "z" * 65,
    ),
    *([], {}, ["x"], [5], [None], [[]], [{}], [{"system": "s"}, 5], {"system": "s"}, {"identifier": [{"value": "1"}]}),
    *(NARRATIVE, {"status": "generated"}, [{"identifier": {"value": "1"}}], {"start": None}, {"lastUpdated": None}),
]
DECORATIONS: list[dict[str, Any]] = [
    {"text": NARRATIVE},
    {"text": "x"},
    {"text": {"div": "<div>x</div>"}},
    {"contact": [{"name": {"family": "Doe"}, "address": {"city": "Boston"}}]},
    {"contained": [{"resourceType": "Practitioner", "id": "c", "name": "x", "identifier": [{"value": "1"}]}]},
    {"managingOrganization": {"identifier": {"value": "1"}}},
    {"identifier": [{"value": "1", "assigner": {"identifier": [{"value": "2"}]}}]},
    {"note": [{"text": {"status": "x"}}]},
    {"timing": {"repeat": {"period": 1}}},
    {"note": 'text that looks like JSON "value":3'},
]


def value_of(shape: Shape) -> Any:
    """A sound value of a shape."""
    if isinstance(shape, list):
        return [value_of(shape[0]), value_of(shape[0])]
    if isinstance(shape, dict):
        return {name: "2020-02" if name in ("start", "end") else value_of(part) for name, part in shape.items()}
    return "x" if shape == TEXT else 7


def element_of(element: Element) -> Any:
    """A sound value of an element."""
    if element.codes:
        return min(element.codes)
    if element.name == "meta":
        return {"versionId": "1", "lastUpdated": "2026-02-28T10:00:00.5-05:00"}
    by_kind = {"id": "a-1.B", "boolean": True, "date": "1970-03-31", "instant": "2026-02-28T10:00:00Z"}
    return by_kind.get(element.kind, value_of(element.shape))


def sound(resource: str) -> dict[str, Any]:
    """A resource with every element that is kept."""
    return {"resourceType": resource, **{element.name: element_of(element) for element in elements(resource)}}


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container within the value, with each of its keys or indexes."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


@st.composite
def spellings(draw: st.DrawFn, value: dict[str, Any]) -> str:
    """The value as JSON, with white space as some write it."""
    separators = [(",", ":"), (", ", ": "), (" ,\t", " : "), (",\r", ":\t"), (",  ", ":  ")]
    text = json.dumps(value, separators=draw(st.sampled_from(separators)))
    return text if draw(st.integers(0, 9)) else text.replace("[", "[ ").replace("{", "{\t")


@st.composite
def odd_lines(draw: st.DrawFn, resource: str) -> bytes:
    """A sound resource to which up to three things were done, spelt in one of the ways that JSON may be spelt."""
    found = deepcopy(sound(resource))
    for _ in range(draw(st.integers(0, 2))):
        container, key = draw(st.sampled_from(places(found)))
        action = draw(st.sampled_from(["replace", "replace", "wrap", "remove", "add"]))
        if action == "replace":
            container[key] = deepcopy(draw(st.sampled_from(ODD_VALUES)))
        elif action == "wrap":
            container[key] = [container[key]]
        elif action == "remove":
            del container[key]
        else:
            inner = container if isinstance(container, dict) else found
            inner.update(deepcopy(draw(st.sampled_from(DECORATIONS))))
    found.update(deepcopy(draw(st.sampled_from([{}, {}, *DECORATIONS]))))
    text = draw(spellings(found))
    if draw(st.integers(0, 9)) == 0:
        name = draw(st.sampled_from(sorted(found)))
        text = text.replace(f'"{name}"', f'"\\u{ord(name[0]):04x}{name[1:]}"')
    if draw(st.integers(0, 9)) == 0:
        name = draw(st.sampled_from([element.name for element in elements(resource)]))
        text = "{" + f'"{name}":{json.dumps(draw(st.sampled_from(ODD_VALUES)))},' + text[1:]
    if draw(st.integers(0, 19)) == 0:
        text = text[: draw(st.integers(0, len(text)))]
    return text.encode()


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    found = duckdb.connect(":memory:")
    found.execute("set timezone = 'UTC'; set threads = 1")
    return found


def plain_lines(con: duckdb.DuckDBPyConnection, resource: str, lines: list[bytes]) -> set[int]:
    """Which lines pass the cheap test."""
    texts = [line.decode() + "\n" for line in lines]
    batch = pa.record_batch([pa.array(range(len(lines)), pa.int64()), pa.array(texts, pa.string())], schema=SCHEMA)
    with streaming(con, marked(resource, [batch]), MARKED), optimized_without(con, "filter_pushdown"):
        found = con.execute(
            f"""select line from (select *, {parsed(read_as(resource))} as x from fhir_stream)
                where {is_plain(resource, TODAY)}"""
        ).fetchall()
    return {int(row[0]) for row in found}


def sound_lines(con: duckdb.DuckDBPyConnection, resource: str, lines: list[bytes]) -> set[int]:
    """Which lines the screen has nothing to say against."""
    keep_lines(con, (Line(ordinal=number, line=number, text=text) for number, text in enumerate(lines)))
    screen(con, [resource], TODAY)
    found = con.execute(
        "select ordinal from fhir_line where resource_type = ? and fault is null and is_suspicious is not true",
        [resource],
    ).fetchall()
    return {int(row[0]) for row in found}


@pytest.mark.parametrize("resource", RESOURCES)
def test_sound_resources_pass(con: duckdb.DuckDBPyConnection, resource: str) -> None:
    # The identifiers of a contained resource call for a closer look.
    every = {name: value for name, value in sound(resource).items() if name != "contained"}
    tagged = {**every["meta"], "profile": ["x"], "tag": [{"code": "a}"}]}
    narrated = {"resourceType": resource, "id": "x", "meta": tagged, "language": "en", "text": NARRATIVE, **every}
    bare = {"resourceType": resource, "id": "x"}
    lines = [json.dumps(each, separators=(",", ":")).encode() for each in (every, narrated, bare)]
    assert plain_lines(con, resource, [*lines, json.dumps(narrated).encode()]) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("line", "is_plain"),
    [
        pytest.param('{"text":{"status":"x"},"name":[{"text":"y"}]}', True, id="a narrative at the top"),
        pytest.param('{"name":[{"text":"y"}],"text": {"div": "<p/>", "status": "x"}}', True, id="and at the end"),
        pytest.param('{"text":{"div":"<p/>"}}', False, id="a narrative without a status"),
        pytest.param('{"name":[{"text":{"status":"x"}}]}', False, id="an object for the text of a name"),
        pytest.param('{"text":{"status":"x"},"name":[{"text":{"status":"x"}}]}', False, id="both"),
        pytest.param('{"text":"x","name":[{"text":{"status":"x"}}]}', False, id="a text for the narrative"),
        pytest.param('{"text":null,"name":[{"text":{"status":"x"}}]}', False, id="no narrative"),
        pytest.param('{"text":["x"],"name":[{"text":{"status":"x"}}]}', False, id="a list for the narrative"),
        pytest.param('{"Text":{"status":"x"},"name":[{"text":{"status":"x"}}]}', False, id="a name of other letters"),
        pytest.param('{"t\\u0065xt":{"status":"x"},"name":[{"text":{}}]}', False, id="a narrative's name in escapes"),
        pytest.param('{"text" :{"status":"x"},"name":[{"text":{}}]}', False, id="space before the narrative's colon"),
        pytest.param('{"text":{"status":"x"},"name":[{"text":\t{}}]}', False, id="a tab before the second one"),
        pytest.param('{"text":{"status":"x"},"text":{"status":"y"}}', False, id="two narratives"),
        pytest.param('{"identifier":[{"value":"1"}]}', True, id="identifiers"),
        pytest.param('{"link":[{"other":{"identifier":{"value":"1"}}}]}', True, id="only another one's identifier"),
        pytest.param('{"identifier":[],"link":[{"other":{"identifier":{"value":"1"}}}]}', True, id="both identifiers"),
        pytest.param('{"link":[{"other":{"identifier":[]}}]}', False, id="a list for another one's identifier"),
        pytest.param('{"identifier":[],"link":[{"other":{"identifier":[]}}]}', False, id="two lists of identifiers"),
        pytest.param('{"identifier":{},"link":[{"other":{"identifier":[]}}]}', False, id="the other way round"),
        pytest.param('{"identifier":{},"link":[{"other":{"identifier":{}}}]}', False, id="two objects"),
        pytest.param('{"identifier":"1","link":[{"other":{"identifier":{}}}]}', False, id="a text beside an object"),
        pytest.param('{"identifier":{"value":"1"}}', False, id="an object for the identifiers"),
    ],
)
def test_what_stands_once_at_the_top_stands_nowhere_else(
    con: duckdb.DuckDBPyConnection, line: str, is_plain: bool
) -> None:
    text = '{"resourceType":"Patient","id":"x",' + line[1:]
    assert plain_lines(con, "Patient", [text.encode()]) == ({0} if is_plain else set())
    assert not is_plain or sound_lines(con, "Patient", [text.encode()]) == {0}


@pytest.mark.parametrize("resource", RESOURCES)
def test_who_passes_has_no_fault_and_is_not_suspicious(con: duckdb.DuckDBPyConnection, resource: str) -> None:
    @settings(max_examples=3)
    @given(st.lists(odd_lines(resource), min_size=60, max_size=60))
    def check(lines: list[bytes]) -> None:
        wrongly = plain_lines(con, resource, lines) - sound_lines(con, resource, lines)
        assert [lines[number] for number in wrongly] == []

    check()


# Between them they have every kind of element and every name with a rule of its own.
@pytest.mark.parametrize("resource", ["Organization", "Condition", "PractitionerRole", "Consent", "Bundle"])
def test_every_single_odd_value_is_seen_wherever_it_stands(con: duckdb.DuckDBPyConnection, resource: str) -> None:
    lines = []
    for index, _ in enumerate(places(sound(resource))):
        for value in ODD_VALUES:
            changed = sound(resource)
            container, key = places(changed)[index]
            container[key] = value
            lines.append(json.dumps(changed, separators=(",", ":")).encode())
    wrongly = plain_lines(con, resource, lines) - sound_lines(con, resource, lines)
    assert [lines[number] for number in wrongly] == []


@pytest.mark.parametrize("resource", RESOURCES)
def test_no_name_goes_with_two_types_without_a_rule_for_it(resource: str) -> None:
    leaves = leaf_openings(resource)
    both = {element.name for element in elements(resource) if leaves.get(element.name, "") != OPENING.get(element.kind)}
    assert both & leaves.keys() <= {"identifier"}
