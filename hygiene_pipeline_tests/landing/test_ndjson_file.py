"""Lines of NDJSON files: numbered as an editor does, whatever the blocks in which the file is read."""

import gzip
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hygiene_pipeline.landing.ndjson_file import BOM, NdjsonFile

_LINE = st.sampled_from(
    [b"{}", b'{"a": "x"}', b"", b"  ", b"\t\r", b" {} ", b"x" * 40, "{ä}".encode(), b"\xff", b"{}\r"]
)


@pytest.mark.parametrize("is_gzip", [False, True])
@pytest.mark.parametrize("block_bytes", [1, 7, 1 << 20])
@settings(max_examples=40)
@given(lines=st.lists(_LINE, max_size=12), has_bom=st.booleans(), is_ended=st.booleans())
def test_lines_are_those_between_newlines(
    lines: list[bytes], has_bom: bool, is_ended: bool, block_bytes: int, is_gzip: bool
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


def _text(line: bytes) -> str | None:
    return None if line == b"\xff" else line.decode() + "\n"
