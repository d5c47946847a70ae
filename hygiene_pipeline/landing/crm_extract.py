"""The extract of a CRM that is read through its adapter: once an `as_of`, so that a rerun decides on the same.

A night reads every contact, a run between nights those whom it touches. An embedded CRM that is still empty is seeded
from `crm/contacts.csv`, which then is that night's extract.
"""

import hashlib
from collections.abc import Collection
from datetime import datetime

import pyarrow as pa

from hygiene_pipeline.crm.embedded import EmbeddedCrm
from hygiene_pipeline.crm.protocol import CONTACT_COLUMNS
from hygiene_pipeline.folders import PracticeFolders
from hygiene_pipeline.landing.file import LandingFile, Loaded
from hygiene_pipeline.landing.ledger import mark_taken, next_take_seq
from hygiene_pipeline.landing.places import EXTRACTS
from hygiene_pipeline.landing.tabular import load_rows
from hygiene_pipeline.landing.take import Taken, take
from hygiene_pipeline.practice import Practice
from hygiene_pipeline.warehouse import Warehouse

PLACE = "crm/contacts.csv"
EMBEDDED = "crm/embedded"
_TOUCHED = "crm/touched"
_SCHEMA = pa.schema([(column, pa.string()) for column in CONTACT_COLUMNS])


def extract_contacts(
    warehouse: Warehouse, practice: Practice, folders: PracticeFolders, *, as_of: datetime, settle_seconds: float
) -> Taken:
    """Bring the CRM's contacts into `raw.crm_contacts`, from its file or through its adapter."""
    if practice.crm.kind == "files":
        taken = take(warehouse, practice, folders, [PLACE], as_of=as_of, settle_seconds=settle_seconds)
        return taken[PLACE]
    crm = EmbeddedCrm(folders.crm)
    try:
        if next(crm.read_rows(), None) is None:
            return _seed(warehouse, practice, folders, crm, as_of=as_of, settle_seconds=settle_seconds)
        return _extract(warehouse, practice, folders, crm, as_of=as_of)
    finally:
        crm.close()


def _seed(
    warehouse: Warehouse,
    practice: Practice,
    folders: PracticeFolders,
    crm: EmbeddedCrm,
    *,
    as_of: datetime,
    settle_seconds: float,
) -> Taken:
    taken = take(warehouse, practice, folders, [PLACE], as_of=as_of, settle_seconds=settle_seconds)
    crm.seed(_latest_contacts(warehouse))
    return taken[PLACE]


def _latest_contacts(warehouse: Warehouse) -> list[tuple[str | None, ...]]:
    types = {column.name: column.type for column in EXTRACTS[PLACE].columns}
    texts = ", ".join(_as_text(column, types[column]) for column in CONTACT_COLUMNS)
    return warehouse.con.execute(
        f"""select {texts} from raw.crm_contacts where not is_removed
            qualify row_number() over (
              partition by contact_id order by extracted_at desc, take_seq desc, last_modified desc, row_hash desc) = 1
            order by contact_id"""
    ).fetchall()


def _as_text(column: str, kind: str) -> str:
    if kind == "timestamptz":
        return f"strftime({column} at time zone 'UTC', '%Y-%m-%dT%H:%M:%S.%f') || '+00:00'"
    return f"cast({column} as varchar)"


def _batch(rows: list[tuple[str | None, ...]]) -> pa.RecordBatch:
    return pa.record_batch([pa.array(values, pa.string()) for values in zip(*rows, strict=True)], schema=_SCHEMA)


def _extract(
    warehouse: Warehouse, practice: Practice, folders: PracticeFolders, crm: EmbeddedCrm, *, as_of: datetime
) -> Taken:
    done = warehouse.value("select file_id from raw.landing_file where place = $1 and taken_at = $2", [PLACE, as_of])
    if done:
        return Taken(files=0, loaded=Loaded(rows=0, quarantined=0), present=(str(done),))
    table = pa.Table.from_batches(map(_batch, crm.read_rows()), schema=_SCHEMA)
    file = _file(warehouse, folders, PLACE, as_of)
    loaded = _load(warehouse, practice, file, table, as_of=as_of)
    return Taken(files=1, loaded=loaded, present=(file.file_id,))


def extract_touched(
    warehouse: Warehouse, practice: Practice, folders: PracticeFolders, contact_ids: Collection[str], *, as_of: datetime
) -> Loaded:
    """Bring these contacts as the CRM shows them now; of the others it says nothing, nor of one it does not know."""
    taken = "select count(*) > 0 from raw.landing_file where place in ($1, $2) and taken_at = $3"
    if practice.crm.kind == "files" or warehouse.value(taken, [PLACE, _TOUCHED, as_of]):
        return Loaded(rows=0, quarantined=0)
    crm = EmbeddedCrm(folders.crm)
    try:
        found = crm.fetch(contact_ids)
    finally:
        crm.close()
    rows = [tuple(found[contact_id].fields[column] for column in CONTACT_COLUMNS) for contact_id in sorted(found)]
    table = pa.Table.from_batches([_batch(rows)] if rows else [], schema=_SCHEMA)
    return _load(warehouse, practice, _file(warehouse, folders, _TOUCHED, as_of), table, as_of=as_of)


def _file(warehouse: Warehouse, folders: PracticeFolders, place: str, as_of: datetime) -> LandingFile:
    told = EMBEDDED if place == PLACE else place
    file_id = hashlib.sha256(f"{told}@{as_of.isoformat()}".encode()).hexdigest()[:16]
    seq = next_take_seq(warehouse.con)
    return LandingFile(file_id=file_id, place=place, name=EMBEDDED, path=folders.crm, take_seq=seq)


def _load(warehouse: Warehouse, practice: Practice, file: LandingFile, table: pa.Table, *, as_of: datetime) -> Loaded:
    with warehouse.transaction():
        loaded = load_rows(
            warehouse.con,
            PLACE,
            table,
            source_file=EMBEDDED,
            file_id=file.file_id,
            take_seq=file.take_seq,
            extracted_at=as_of,
            timezone=practice.timezone,
            mapping={},
            is_whole=file.place == PLACE,
        )
        mark_taken(warehouse.con, file, table.num_rows, taken_at=as_of)
    return loaded
