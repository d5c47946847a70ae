"""Writing into the landing folder: whole files only, by a rename that readers see at once."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def write_text(path: Path, text: str) -> None:
    """Put a file in place under its final name only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8", newline="")
    part.replace(path)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]], *, tail: str = "") -> None:
    """A CSV with a header row; `tail` is appended as it is."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, out.getvalue() + tail)


def write_ndjson(path: Path, records: Iterable[Mapping[str, object]], *, tail: str = "") -> None:
    """One JSON object a line; no file if there is none."""
    text = "".join(f"{_encode(record)}\n" for record in records) + tail
    if text:
        write_text(path, text)


def json_text(record: Mapping[str, object]) -> str:
    """Compact JSON of one object."""
    return _encode(record)
