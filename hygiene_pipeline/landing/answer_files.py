"""Reads files of eligibility answers, X12 271 and FHIR NDJSON, into tables; many of them in processes beside this one.

A clearinghouse's year is a million segments, which one core reads in plain Python while the others wait. So a big
delivery is dealt out, a file at a time; whatever a process could not give, for one that ended, is read here.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa

from hygiene_pipeline.landing.csv_text import decoded, is_utf_16
from hygiene_pipeline.landing.places import ELIGIBILITY
from hygiene_pipeline.pm.fhir_eligibility import read_response
from hygiene_pipeline.pm.outcomes import Outcomes
from hygiene_pipeline.pm.protocol import EligibilityAnswer, Unusable
from hygiene_pipeline.pm.x12_271 import read_271
from hygiene_pipeline.process_beside import ProcessBeside, far_end

_X12 = {".271", ".edi", ".x12", ".txt"}
_FHIR = ".ndjson"
_TEXT = pa.string()
_USABLE = pa.schema(
    {"source_line": pa.int64(), "original": _TEXT, **{column.name: _TEXT for column in ELIGIBILITY.columns}}
)
_UNUSABLE = pa.schema({"source_line": pa.int64(), "field": _TEXT, "reason": _TEXT, "original": _TEXT})
WORTH_DEALING_OUT = 8 << 20
"""Bytes. A process takes half a second to start, in which a megabyte is read."""


class Answers(NamedTuple):
    """What a file holds: answers, every column text as in `raw.pm_eligibility`, and what is for the quarantine."""

    usable: pa.Table
    unusable: pa.Table


def has_answers(path: Path) -> bool:
    """Whether the file's ending is one of those that are read here."""
    return path.suffix.lower() in (*_X12, _FHIR)


@contextmanager
def answers_of(
    paths: Sequence[Path], *, outcomes: Outcomes, timezone: str, worth: int = WORTH_DEALING_OUT
) -> Iterator[Iterator[Answers | None]]:
    """The answers of each file that `has_answers`, in this order; None for a file in which there is nothing.

    `outcomes` says what a payer's codes mean; times without offset are in `timezone`.
    """
    chosen = [path for path in paths if has_answers(path)]
    count = min(os.cpu_count() or 1, len(chosen)) if sum(path.stat().st_size for path in chosen) >= worth else 0
    readers = [_Reader(chosen[at::count], outcomes, timezone) for at in range(count)] if count > 1 else []
    try:
        yield (
            (readers[at % count].answers() if readers else None) or read(path, outcomes, timezone)
            for at, path in enumerate(chosen)
        )
    finally:
        for reader in readers:
            reader.leave()


def read(path: Path, outcomes: Outcomes, timezone: str) -> Answers | None:
    """The answers of one file; None if there is nothing in it."""
    text = _text(path.read_bytes())
    if not text.strip():
        return None
    zone = ZoneInfo(timezone)
    is_fhir = path.suffix.lower() == _FHIR
    found = _read_fhir(text, zone, outcomes) if is_fhir else read_271(text, outcomes=outcomes, timezone=zone)
    usable: list[dict[str, object]] = []
    unusable: list[dict[str, object]] = []
    for each in found:
        row = dict(vars(each))
        row["source_line"] = row.pop("position")
        if isinstance(each, Unusable):
            unusable.append(row)
        else:
            usable.append({**row, "original": json.dumps(row)})
    return Answers(pa.Table.from_pylist(usable, _USABLE), pa.Table.from_pylist(unusable, _UNUSABLE))


class _Reader(ProcessBeside):
    """A process that reads some files, one after the other, no further ahead than the pipe holds."""

    def __init__(self, paths: Sequence[Path], outcomes: Outcomes, timezone: str) -> None:
        super().__init__(__name__)
        with suppress(OSError):
            self._connection.send((paths, outcomes, timezone))

    def answers(self) -> Answers | None:
        """Those of its next file; None if there are none, or the process has ended."""
        try:
            found: Answers | None = self._connection.recv()
        except (EOFError, OSError):
            return None
        return found


def main() -> None:
    """Be a reader for whoever holds the other end of the pipe."""
    connection = far_end()
    with suppress(EOFError, OSError):
        paths, outcomes, timezone = connection.recv()
        for path in paths:
            connection.send(read(path, outcomes, timezone))


def _text(data: bytes) -> str:
    """X12 is read in any encoding: all that matters of it is ASCII."""
    if is_utf_16(data):
        return data.decode("utf-16", "replace")
    text, has_marks = decoded(data)
    return data.decode("latin-1") if has_marks else text


def _read_fhir(text: str, zone: ZoneInfo, outcomes: Outcomes) -> Iterator[EligibilityAnswer | Unusable]:
    for line, original in enumerate(text.split("\n"), start=1):
        if not original.strip():
            continue
        try:
            resource = json.loads(original)
        except (ValueError, RecursionError):
            yield Unusable(position=line, reason="not_json", original=original)
            continue
        yield read_response(resource, position=line, original=original, outcomes=outcomes, timezone=zone)


if __name__ == "__main__":
    # By its full name, which the classes that come over the pipe are known by.
    from hygiene_pipeline.landing.answer_files import main as be_a_reader

    be_a_reader()
