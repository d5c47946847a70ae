"""What is odd in the text of a FHIR line: said of that very line, in whatever block it stands."""

import gzip
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hygiene_pipeline.landing.fhir_odd_text import marked
from hygiene_pipeline.landing.ndjson_file import BOM, SCHEMA, NdjsonFile

# Whether a line is put out, and whether it has a narrative and identifiers, once.
Mark = tuple[bool, bool, bool]
SOUND, ODD = (False, False, False), (True, False, False)
NARRATED, IDENTIFIED = (False, True, False), (False, False, True)
CASES: dict[bytes, Mark] = {
    b"{}": SOUND,
    b'{"id":"1","active":true,"name":[{"given":["A"],"text":"x"}]}': SOUND,
    b'{"id": "1", "active": null, "name": [{"text": null}]}': SOUND,
    b'{"name":[]}': SOUND,
    b'{"contact":[{"name":{"family":"x"}}]}': SOUND,
    b'{"unknown":5}': SOUND,
    b'{"note":"\\"id\\":5"}': SOUND,
    # A value of the wrong type.
    b'{"id":5}': ODD,
    b'{"id": 5}': ODD,
    b'{"id":-5}': ODD,
    b'{"id":true}': ODD,
    b'{"id":["1"]}': ODD,
    b'{"active":"true"}': ODD,
    b'{"name":5}': ODD,
    b'{"name":["x"]}': ODD,
    b'{"name":[null]}': ODD,
    b'{"name":[[]]}': ODD,
    b'{"name":[NaN]}': ODD,
    b'{"meta":{"lastUpdated":null}}': ODD,
    b'{"telecom":[{"rank":"1"}]}': ODD,
    b'{"unknown":{"value":5}}': ODD,
    # What DuckDB takes for a number.
    b'{"active":nan}': ODD,
    b'{"active": NaN}': ODD,
    b'{"telecom":[{"rank":-Infinity}]}': ODD,
    b'{"unknown":iNF}': ODD,
    # White space that the patterns do not know.
    b'{"id" :"1"}': ODD,
    b'{"id"\t: "1"}': ODD,
    b'{"id"  :"1"}': ODD,
    b'{"id":  "1"}': ODD,
    b'{"id":\t"1"}': ODD,
    b'{"id": \t"1"}': ODD,
    b'{"id":\r"1"}': ODD,
    b'{"name":[ {}]}': ODD,
    b'{"name":[\t"x"]}': ODD,
    b'{ "id":"1" , "active":true }': SOUND,
    # A name spelt with escapes.
    b'{"\\u0069d":5}': ODD,
    b'{"i\\u0064":"1"}': ODD,
    b'{"name":[{"family":"\\u00e4"}]}': SOUND,
    # A narrative and identifiers: where they stand, the typed values tell.
    b'{"text":{"status":"x"}}': NARRATED,
    b'{"name":[{"text": {}}]}': NARRATED,
    b'{"text":{"status":"x"},"name":[{"text":{}}]}': (True, True, False),
    b'{"text":["x"]}': ODD,
    b'{"identifier":[{"value":"1"}]}': IDENTIFIED,
    b'{"identifier": []}': IDENTIFIED,
    b'{"identifier":[{"assigner":{"identifier":{}}}]}': IDENTIFIED,
    b'{"identifier":[{"assigner":{"identifier":[]}}]}': (True, False, True),
    b'{"identifier":"1"}': ODD,
    b'{"text":{},"identifier":[{"value":5}]}': (True, True, True),
    # No JSON at all.
    b'"text":': SOUND,
    b'{"id":': SOUND,
    b"5}": SOUND,
    b'{"name":[': SOUND,
    b'{"text":{"text":{"identifier":[': (True, True, True),
    b'{"id":"\xff"}': ODD,
}


def marks_of(batches: list[pa.RecordBatch]) -> dict[int, Mark]:
    """How each line of the batches of a Patient file is marked, by its number."""
    rows = [row for batch in marked("Patient", batches) for row in batch.to_pylist()]
    return {row["line"]: (row["text"] is None, row["has_narrative"], row["has_identifiers"]) for row in rows}


def batch_of(texts: list[str | None]) -> pa.RecordBatch:
    """The texts as a batch of lines numbered from nought."""
    return pa.record_batch([pa.array(range(len(texts)), pa.int64()), pa.array(texts, pa.string())], schema=SCHEMA)


@pytest.mark.parametrize("line", CASES)
def test_a_line_by_itself(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "export.ndjson"
    path.write_bytes(line + b"\n")
    assert marks_of(list(NdjsonFile(path).batches())) == {1: CASES[line]}


@pytest.mark.parametrize("is_gzip", [False, True])
@pytest.mark.parametrize("block_bytes", [1, 40, 1 << 20])
@settings(max_examples=25)
@given(
    # What breaks off in front of a carriage return has that where a value should be.
    lines=st.lists(st.sampled_from([line for line in [*CASES, b"", b" \t"] if line[-1:] not in b":["]), max_size=30),
    newline=st.sampled_from([b"\n", b"\r\n"]),
    start=st.sampled_from([b"", BOM]),
    is_ended=st.booleans(),
)
def test_neighbours_and_blocks_change_nothing(
    lines: list[bytes], newline: bytes, start: bytes, is_ended: bool, block_bytes: int, is_gzip: bool
) -> None:
    content = start + newline.join(lines) + (newline if is_ended else b"")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "export.ndjson"
        path.write_bytes(gzip.compress(content) if is_gzip else content)
        found = marks_of(list(NdjsonFile(path, block_bytes=block_bytes).batches()))
    assert found == {number: CASES[line] for number, line in enumerate(lines, start=1) if line.strip()}


def test_a_part_of_a_batch_is_marked_as_the_whole() -> None:
    lines = [line.decode() + "\n" for line in CASES if b"\xff" not in line]
    texts: list[str | None] = [None, *lines, None]
    batch = batch_of(texts)
    whole = marks_of([batch])
    assert list(whole.values()) == [ODD, *(CASES[line.rstrip("\n").encode()] for line in lines), ODD]
    for start in range(len(texts)):
        assert marks_of([batch.slice(start, 7)]) == {number: whole[number] for number in list(whole)[start : start + 7]}


def test_texts_that_are_not_there_stay_away() -> None:
    assert marks_of([batch_of([None, None])]) == {0: ODD, 1: ODD}
    assert marks_of([batch_of([None, '{"id":5}', None, "{}"])]) == {0: ODD, 1: ODD, 2: ODD, 3: SOUND}
