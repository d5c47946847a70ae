"""Takes FHIR R4 bulk exports (`ehr/*.ndjson`, plain or gzip) into the raw FHIR tables and the quarantine.

One file at a time. Lines that are known already are passed over, a first export's plainly sound lines go straight into
their raw table, and what is left is screened as a set, the odd ones judged singly, new versions appended. No resource
is parsed in Python unless the screen or the sample names its line.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice

import duckdb
import pyarrow as pa

from hygiene_pipeline.ehr.fhir_judge import Fault
from hygiene_pipeline.landing import fhir_straight, fhir_verdict, fhir_versions
from hygiene_pipeline.landing.fhir_lines import keep_changed, look_again, screen
from hygiene_pipeline.landing.fhir_schemas import RESOURCES
from hygiene_pipeline.landing.fhir_source import forget, keep_lines
from hygiene_pipeline.landing.file import LandingFile, Loaded
from hygiene_pipeline.landing.ndjson_file import Line, NdjsonFile

SAMPLE_SHARE = 0.001
_BATCH = 10_000


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """The raw FHIR tables and the conformance counts."""
    fhir_versions.create_tables(con)
    fhir_verdict.create_tables(con)


def load_fhir(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[LandingFile],
    *,
    extracted_at: datetime,
    sample_share: float = SAMPLE_SHARE,
) -> Loaded:
    """Take whole files; `sample_share` of the resources that look sound are judged by fhir.resources as well."""
    create_tables(con)
    first = fhir_versions.first_types(con)
    total = Loaded(rows=0, quarantined=0)
    for file in files:
        total += _load_file(con, file, first, extracted_at=extracted_at, sample_share=sample_share)
    repeated = sum(fhir_versions.drop_repeated(con, resource) for resource in sorted(first))
    forget(con)
    return total + Loaded(rows=-repeated, quarantined=0)


def _load_file(
    con: duckdb.DuckDBPyConnection,
    file: LandingFile,
    first: Collection[str],
    *,
    extracted_at: datetime,
    sample_share: float,
) -> Loaded:
    ndjson = NdjsonFile(file.path)
    types = ndjson.likely_types() & RESOURCES.keys()
    straight = 0
    if sole := _sole(types & set(first), types):
        straight = fhir_straight.append_plain(con, sole, ndjson, file, extracted_at=extracted_at)
    if sole and straight:
        passed = fhir_straight.sample(con, sole, file, sample_share)
        left = fhir_straight.lines_left(con, sole, ndjson, file) if straight < ndjson.count else []
        keep_lines(con, ndjson.lines(left))
        screen(con, types, extracted_at.date())
    else:
        keep_changed(con, ndjson, types)
        passed = fhir_verdict.sample(con, "fhir_known", sample_share)
        screen(con, types, extracted_at.date())
        if look_again(con, ndjson):
            screen(con, types, extracted_at.date())
    con.execute("create or replace temp table fhir_fault (ordinal bigint)")
    quarantined = _judge(con, ndjson, file, passed, extracted_at=extracted_at, sample_share=sample_share)
    rows = straight + fhir_versions.append(con, [file], extracted_at=extracted_at, first=first)
    return Loaded(rows=rows, quarantined=quarantined)


def _sole(wanted: Collection[str], types: Collection[str]) -> str | None:
    """The one type of a file that likely has one, if it is wanted."""
    return min(wanted) if len(types) == 1 and wanted else None


def _judge(
    con: duckdb.DuckDBPyConnection,
    ndjson: NdjsonFile,
    file: LandingFile,
    passed: Collection[int],
    *,
    extracted_at: datetime,
    sample_share: float,
) -> int:
    """Quarantine what cannot be used of the file; `passed` are sound lines that the judge sees as a sample."""
    verdicts = fhir_verdict.verdicts_of(con, passed, sample_share)
    counts: Counter[tuple[str, str, str]] = Counter()
    quarantined = 0
    for batch in _batches(ndjson.lines(verdicts.wanted) if verdicts.wanted else ()):
        rejected = [(line, fault) for line in batch if (fault := fhir_verdict.final_fault(verdicts, line, counts))]
        quarantined += _quarantine(con, file, rejected, extracted_at=extracted_at)
    if reason := _whole_file_fault(ndjson):
        con.execute(_INSERT_FILE, [file.name, reason, file.file_id, extracted_at])
        quarantined += 1
    fhir_verdict.count_sample(con, file, counts, extracted_at=extracted_at)
    return quarantined


_INSERT_FILE = """
    insert into quarantine.record (source, place, source_file, source_line, field, reason, original, file_id, taken_at)
    values ('ehr', 'ehr', ?, null, '', ?, null, ?, ?)"""


def _whole_file_fault(ndjson: NdjsonFile) -> str | None:
    """What is wrong with a file beside its lines."""
    if ndjson.is_cut_off:
        return "truncated"
    return None if ndjson.count else "empty_file"


def _quarantine(
    con: duckdb.DuckDBPyConnection,
    file: LandingFile,
    rejected: Sequence[tuple[Line, Fault]],
    *,
    extracted_at: datetime,
) -> int:
    """Keep the rejected lines' text, and their ordinals in `fhir_fault`."""
    if not rejected:
        return 0
    table = pa.table(
        {
            "ordinal": pa.array([line.ordinal for line, _ in rejected], pa.int64()),
            "line": pa.array([line.line for line, _ in rejected], pa.int64()),
            "field": pa.array([fault.field for _, fault in rejected], pa.string()),
            "reason": pa.array([fault.reason for _, fault in rejected], pa.string()),
            "original": pa.array([_readable(line.text) for line, _ in rejected], pa.large_string()),
        }
    )
    con.register("fhir_rejected", table)
    con.execute("insert into fhir_fault select ordinal from fhir_rejected")
    con.execute(
        """insert into quarantine.record
             (source, place, source_file, source_line, field, reason, original, file_id, taken_at)
           select 'ehr', 'ehr', ?, line, field, reason, original, ?, ? from fhir_rejected""",
        [file.name, file.file_id, extracted_at],
    )
    con.unregister("fhir_rejected")
    return len(rejected)


def _readable(text: bytes) -> str:
    """The text as it is, with bytes that are not UTF-8 spelt out."""
    return text.decode("utf-8", errors="backslashreplace")


def _batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    every = iter(lines)
    while batch := list(islice(every, _BATCH)):
        yield batch
