"""Takes EHR events (`ehr_events/*.hl7`, `*.json`) into `raw.ehr_event`, each event once however often it is sent.

A sound FHIR resource that came in an event is also a version of that resource and goes to its raw FHIR table.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import count

import duckdb
import pyarrow as pa

from hygiene_pipeline.ehr import fhir_events, hl7_v2
from hygiene_pipeline.ehr.event import EhrEvent, EventFile
from hygiene_pipeline.landing import fhir_ndjson, fhir_versions
from hygiene_pipeline.landing.fhir_lines import screen
from hygiene_pipeline.landing.fhir_schemas import RESOURCES
from hygiene_pipeline.landing.fhir_source import forget, keep_lines
from hygiene_pipeline.landing.file import LandingFile, Loaded
from hygiene_pipeline.landing.ndjson_file import Line

_INSTANT = pa.timestamp("us", tz="UTC")
_PHONE = pa.struct([("value", pa.string()), ("system", pa.string()), ("use", pa.string()), ("equipment", pa.string())])
_COLUMNS: dict[str, pa.DataType] = {
    "event_id": pa.string(),
    "kind": pa.string(),
    "mrn": pa.string(),
    "ehr_patient_id": pa.string(),
    "event_at": _INSTANT,
    "status": pa.string(),
    "pathways": pa.list_(pa.string()),
    "disposition": pa.string(),
    "discharged_at": _INSTANT,
    "is_deceased": pa.bool_(),
    "deceased_at": _INSTANT,
    "visit_number": pa.string(),
    "retired_mrn": pa.string(),
    "scheduled_at": _INSTANT,
    "resource_type": pa.string(),
    "resource_id": pa.string(),
    "evidence_ref": pa.string(),
    "phones": pa.list_(_PHONE),
}
_BATCH_BYTES = 16 << 20


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """The raw events, and the FHIR tables that their resources go to."""
    fhir_ndjson.create_tables(con)
    con.execute(
        """create table if not exists raw.ehr_event (
             event_id varchar, kind varchar, mrn varchar, ehr_patient_id varchar, event_at timestamptz, status varchar,
             pathways varchar[], disposition varchar, discharged_at timestamptz, is_deceased boolean,
             deceased_at timestamptz, visit_number varchar, retired_mrn varchar, scheduled_at timestamptz,
             resource_type varchar, resource_id varchar, evidence_ref varchar,
             phones struct("value" varchar, "system" varchar, "use" varchar, equipment varchar)[],
             source_file varchar, source_line bigint, file_id varchar, take_seq bigint, extracted_at timestamptz,
             row_hash varchar)"""
    )
    # A warehouse from before messages told their pathway.
    con.execute("alter table raw.ehr_event add column if not exists pathways varchar[]")


def load_ehr_events(
    con: duckdb.DuckDBPyConnection, files: Sequence[LandingFile], *, extracted_at: datetime, timezone: str
) -> Loaded:
    """Take whole files; `timezone` is the practice's, for HL7 times that name no offset."""
    create_tables(con)
    total = Loaded(rows=0, quarantined=0)
    for batch in _batches(files):
        parsed = [_parse(file, timezone=timezone) for file in batch]
        _append_resources(con, batch, parsed, extracted_at=extracted_at)
        total += Loaded(
            rows=_append_events(con, batch, parsed, extracted_at=extracted_at),
            quarantined=_quarantine(con, batch, parsed, extracted_at=extracted_at),
        )
    return total


def _batches(files: Sequence[LandingFile]) -> Iterator[list[LandingFile]]:
    """Many small files at once, since each statement costs more than what a notification holds; few large ones."""
    batch: list[LandingFile] = []
    size = 0
    for file in files:
        batch.append(file)
        size += file.path.stat().st_size
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _parse(file: LandingFile, *, timezone: str) -> EventFile:
    content = file.path.read_bytes()
    is_hl7 = file.path.suffix.lower() == ".hl7"
    return hl7_v2.parse(content, timezone=timezone) if is_hl7 else fhir_events.parse(content)


def _append_events(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[LandingFile],
    parsed: Sequence[EventFile],
    *,
    extracted_at: datetime,
) -> int:
    """Add the events that nobody has sent before, the first of each id."""
    if not any(each.events for each in parsed):
        return 0
    con.register("ehr_event_batch", _table(files, parsed))
    names = ", ".join(f'"{name}"' for name in (*_COLUMNS, "source_file", "source_line", "file_id", "take_seq"))
    row = con.execute(
        f"""insert into raw.ehr_event ({names}, extracted_at, row_hash)
            select {names}, ?, row_hash
            from ehr_event_batch
            where event_id not in (select event_id from raw.ehr_event)
            qualify row_number() over (partition by event_id order by position) = 1
            order by position""",
        [extracted_at],
    ).fetchone()
    con.unregister("ehr_event_batch")
    return int(row[0]) if row else 0


def _append_resources(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[LandingFile],
    parsed: Sequence[EventFile],
    *,
    extracted_at: datetime,
) -> None:
    lines = list(_lines(parsed))
    if not lines:
        return
    types = {str(resource["resourceType"]) for each in parsed for resource in each.resources} & RESOURCES.keys()
    keep_lines(con, lines)
    screen(con, types, extracted_at.date())
    con.execute("create or replace temp table fhir_fault (ordinal bigint)")
    fhir_versions.append(con, files, extracted_at=extracted_at)
    forget(con)


def _lines(parsed: Sequence[EventFile]) -> Iterator[Line]:
    """The resources of all files as lines; of a JSON document the place in its bundle says more than a line."""
    ordinal = count()
    for file, each in enumerate(parsed):
        for line, resource in enumerate(each.resources, start=1):
            text = json.dumps(resource, ensure_ascii=False).encode()
            yield Line(ordinal=next(ordinal), line=line, text=text, file=file)


def _quarantine(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[LandingFile],
    parsed: Sequence[EventFile],
    *,
    extracted_at: datetime,
) -> int:
    rows = [
        [file.name, bad.source_line, bad.field, bad.reason, bad.original, file.file_id, extracted_at]
        for file, each in zip(files, parsed, strict=True)
        for bad in each.bad
    ]
    if rows:
        con.executemany(
            """insert into quarantine.record
                 (source, place, source_file, source_line, field, reason, original, file_id, taken_at)
               values ('ehr', 'ehr_events', ?, ?, ?, ?, ?, ?, ?)""",
            rows,
        )
    return len(rows)


def _table(files: Sequence[LandingFile], parsed: Sequence[EventFile]) -> pa.Table:
    pairs = [(file, event) for file, each in zip(files, parsed, strict=True) for event in each.events]
    columns = {
        name: pa.array([_value(event, name) for _, event in pairs], type=kind) for name, kind in _COLUMNS.items()
    }
    columns["source_file"] = pa.array([file.name for file, _ in pairs], pa.string())
    columns["source_line"] = pa.array([event.source_line for _, event in pairs], pa.int64())
    columns["file_id"] = pa.array([file.file_id for file, _ in pairs], pa.string())
    columns["take_seq"] = pa.array([file.take_seq for file, _ in pairs], pa.int64())
    columns["row_hash"] = pa.array([_row_hash(event) for _, event in pairs], pa.string())
    columns["position"] = pa.array(range(len(pairs)), pa.int64())
    return pa.table(columns)


def _value(event: EhrEvent, name: str) -> object:
    value = getattr(event, name)
    if name == "phones":
        return [vars(phone) for phone in value]
    return list(value) if name == "pathways" else value


def _row_hash(event: EhrEvent) -> str:
    spelt = json.dumps([_value(event, name) for name in _COLUMNS], default=str)
    return hashlib.sha256(spelt.encode()).hexdigest()[:16]
