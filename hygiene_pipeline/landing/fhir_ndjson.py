"""Takes FHIR R4 bulk exports (`ehr/*.ndjson`, plain or gzip) into the raw FHIR tables and the quarantine.

One file at a time: read into a page by DuckDB, screened as a set, the odd ones judged singly, new versions appended.
No resource is parsed in Python unless the screen or the sample names its line.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice

import duckdb
import pyarrow as pa

from hygiene_pipeline.ehr.fhir_judge import Fault
from hygiene_pipeline.landing import fhir_verdict, fhir_versions
from hygiene_pipeline.landing.fhir_lines import resource_types, screen_file
from hygiene_pipeline.landing.fhir_source import DirectSource, Source, forget, keep_text
from hygiene_pipeline.landing.file import LandingFile, Loaded
from hygiene_pipeline.landing.ndjson_file import Line, NdjsonFile

SAMPLE_SHARE = 0.001
_BATCH = 10_000
# Of a file with more types than this, the text is kept rather than read once a type.
_READS = 2


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
    total = Loaded(rows=0, quarantined=0)
    for file in files:
        total += _load_file(con, file, extracted_at=extracted_at, sample_share=sample_share)
    return total


def append(
    con: duckdb.DuckDBPyConnection, source: Source, files: Sequence[LandingFile], *, extracted_at: datetime
) -> int:
    """Append the new versions among `fhir_line` to the raw tables, but for the lines in `fhir_fault`."""
    rows = 0
    fhir_versions.keep_files(con, files)
    names = resource_types(con)
    if isinstance(source, DirectSource) and _is_better_kept(con, names):
        source = keep_text(con, source)
    for name in names:
        if new := fhir_versions.find_new(con, name):
            fhir_versions.append_new(con, name, source, extracted_at=extracted_at)
            rows += new
    return rows


def _is_better_kept(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> bool:
    """Ids that repeat do not tell lines apart, and many types would have the file read as often."""
    repeated = con.execute("select 1 from fhir_line group by resource_type, id having count(*) > 1 limit 1").fetchone()
    return len(names) > _READS or repeated is not None


def _load_file(
    con: duckdb.DuckDBPyConnection, file: LandingFile, *, extracted_at: datetime, sample_share: float
) -> Loaded:
    ndjson = NdjsonFile(file.path)
    source = screen_file(con, ndjson, extracted_at.date(), sample_share)
    con.execute("create or replace temp table fhir_fault (ordinal bigint)")
    verdicts = fhir_verdict.verdicts_of(con)
    counts: Counter[tuple[str, str, str]] = Counter()
    quarantined = 0
    for batch in _batches(ndjson.lines(verdicts.wanted) if verdicts.wanted else ()):
        rejected = [(line, fault) for line in batch if (fault := fhir_verdict.final_fault(verdicts, line, counts))]
        quarantined += _quarantine(con, file, rejected, extracted_at=extracted_at)
    if reason := _whole_file_fault(con, ndjson):
        con.execute(_INSERT_FILE, [file.name, reason, file.file_id, extracted_at])
        quarantined += 1
    fhir_verdict.count_sample(con, file, counts, extracted_at=extracted_at)
    rows = append(con, source, [file], extracted_at=extracted_at)
    forget(con)
    return Loaded(rows=rows, quarantined=quarantined)


_INSERT_FILE = """
    insert into quarantine.record (source, place, source_file, source_line, field, reason, original, file_id, taken_at)
    values ('ehr', 'ehr', ?, null, '', ?, null, ?, ?)"""


def _whole_file_fault(con: duckdb.DuckDBPyConnection, ndjson: NdjsonFile) -> str | None:
    """What is wrong with a file beside its lines."""
    if ndjson.is_cut_off:
        return "truncated"
    return None if con.execute("select 1 from fhir_line limit 1").fetchone() else "empty_file"


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
