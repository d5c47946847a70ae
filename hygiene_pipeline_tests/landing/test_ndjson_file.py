"""Lines of NDJSON files: numbered as an editor does, whatever the blocks in which the file is read."""

import gzip
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hygiene_pipeline.landing.ndjson_file import BOM, NdjsonFile
from hygiene_pipeline.warehouse import ROW_GROUP_ROWS

_LINE = st.sampled_from(
    [b"{}", b'{"a": "x"}', b"", b"  ", b"\t\r", b" {} ", b"x" * 40, "{ä}".encode(), b"\xff", b"{}\r"]
)


@pytest.mark.parametrize("is_gzip", [False, True])
@pytest.mark.parametrize("block_bytes", [1, 7, None])
@settings(max_examples=40)
@given(lines=st.lists(_LINE, max_size=12), has_bom=st.booleans(), is_ended=st.booleans())
def test_lines_are_those_between_newlines(
    lines: list[bytes], has_bom: bool, is_ended: bool, block_bytes: int | None, is_gzip: bool
) -> None:
    content = b"\n".join(lines) + (b"\n" if is_ended else b"")
    expected = {number: text for number, text in enumerate(content.split(b"\n"), start=1) if text.strip()}
    content = (BOM if has_bom and content else b"") + content
    with TemporaryDirectory() as folder:
        path = Path(folder) / "export.ndjson"
        path.write_bytes(gzip.compress(content) if is_gzip else content)
        file = NdjsonFile(path, block_bytes=block_bytes)
        batches = list(file.batches())
        found = {row["line"]: row["text"] for batch in batches for row in batch.to_pylist()}
        fetched = {line.line: line.text.removeprefix(BOM) for line in file.lines(sorted(expected))}
    assert found == {number: _text(text) for number, text in expected.items()}
    assert {number: text.strip() for number, text in fetched.items()} == {
        number: text.strip() for number, text in expected.items()
    }
    assert file.count == len(expected)


@pytest.mark.parametrize("is_gzip", [False, True])
@pytest.mark.parametrize("lengths", [(100, 100), (1000, 1000), (100, 1000)])
def test_batches_fill_row_groups_however_long_the_lines_are(
    tmp_path: Path, lengths: tuple[int, int], is_gzip: bool
) -> None:
    half = 3 * ROW_GROUP_ROWS
    content = b"".join((b"x" * (length - 1) + b"\n") * half for length in lengths)
    path = tmp_path / "export.ndjson"
    path.write_bytes(gzip.compress(content, compresslevel=1) if is_gzip else content)
    file = NdjsonFile(path)
    rows = [batch.num_rows for batch in file.batches()]
    assert sum(rows) == file.count == 2 * half
    # The first tells how long the lines are, and what is left is the last; two more tell that they are longer now.
    assert sum(count < ROW_GROUP_ROWS for count in rows) <= (2 if lengths[0] == lengths[1] else 4)
    assert max(rows) < 1.2 * ROW_GROUP_ROWS
    wanted = [1, half, half + 1, 2 * half]
    assert [(line.line, len(line.text) + 1) for line in file.lines(wanted)] == [
        (number, lengths[number > half]) for number in wanted
    ]


def _text(line: bytes) -> str | None:
    return None if line == b"\xff" else line.decode() + "\n"
