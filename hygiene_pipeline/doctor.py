"""Whether tonight's run of a practice could do its work: file, keys, warehouse, landing, CRM, people."""

import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from hygiene_pipeline.failures import HygieneError
from hygiene_pipeline.finding import Finding
from hygiene_pipeline.folders import Folders
from hygiene_pipeline.landing.fetch_ehr import smart_bulk_findings
from hygiene_pipeline.landing.fetch_pm import tebra_findings
from hygiene_pipeline.landing.ledger import PLACES
from hygiene_pipeline.landing.take import is_replay
from hygiene_pipeline.practice import Practice, load_practice
from hygiene_pipeline.privacy.agreements import require_agreement, vendors_of
from hygiene_pipeline.privacy.keys import WAREHOUSE, environment_name, find_key
from hygiene_pipeline.privacy.roles import load_roles
from hygiene_pipeline.receive_findings import receive_findings
from hygiene_pipeline.sync.lookup_findings import lookup_findings
from hygiene_pipeline.sync.message_findings import message_findings
from hygiene_pipeline.warehouse import open_warehouse

_HAS_RUN = """
select count(*) > 0 from duckdb_tables()
where database_name = current_database() and schema_name = 'history' and table_name = 'night'"""


def examine(practice_id: str, *, at: datetime) -> Iterator[Finding]:
    """Everything that tonight's run needs, in the order in which it would need it; `at` is now."""
    folders = Folders()
    try:
        practice = load_practice(folders.practices, practice_id)
    except HygieneError as error:
        yield Finding(subject="practice file", is_fine=False, told=str(error))
        return
    yield Finding(subject="practice file", is_fine=True, told=f"{practice.name}, {practice.timezone}")
    examinations: tuple[Callable[[Folders, Practice], Iterator[Finding]], ...] = (
        _keys,
        partial(_warehouse, at=at),
        _landing,
        _crm,
        partial(_agreements, at=at),
        partial(_vendors, at=at),
        receive_findings,
        _people,
    )
    for examination in examinations:
        yield from examination(folders, practice)


def _keys(folders: Folders, practice: Practice) -> Iterator[Finding]:
    for name in (WAREHOUSE, *load_roles().roles):
        subject = f"key {name}"
        try:
            key = find_key(folders.keys, practice.practice, name)
        except HygieneError as error:
            yield Finding(subject=subject, is_fine=False, told=str(error))
            continue
        told = "found" if key else f"none yet: made on first use, or set {environment_name(practice.practice, name)}"
        yield Finding(subject=subject, is_fine=True, told=told)


def _warehouse(folders: Folders, practice: Practice, *, at: datetime) -> Iterator[Finding]:
    path = folders.of(practice.practice).warehouse
    if not path.exists():
        yield Finding(subject="warehouse", is_fine=True, told="none yet: made by the first run")
        return
    try:
        key = find_key(folders.keys, practice.practice, WAREHOUSE)
        if key is None:
            name = environment_name(practice.practice, WAREHOUSE)
            told = f"{path}: its key is missing; restore {practice.practice}/{WAREHOUSE}.key or set {name}"
            yield Finding(subject="warehouse", is_fine=False, told=told)
            return
        with open_warehouse(path, key=key, wait_seconds=5) as warehouse:
            yield Finding(subject="warehouse", is_fine=True, told="opens with its key")
            later = bool(warehouse.value(_HAS_RUN)) and is_replay(warehouse, at)
    except HygieneError as error:
        yield Finding(subject="warehouse", is_fine=False, told=str(error))
        return
    if later:
        told = "a run was made for a time to come: until then every run only looks back and takes nothing;"
        yield Finding(subject="clock", is_fine=False, told=f"{told} wait, or restore the warehouse of before that run")


def _landing(folders: Folders, practice: Practice) -> Iterator[Finding]:
    landing = folders.of(practice.practice).landing
    for place in PLACES.values():
        files = place.paths(landing)
        is_needed = place.name == "crm/contacts.csv" and practice.crm.kind == "files"
        told = f"{len(files)} files" if files else f"nothing in landing/{place.folder}"
        yield Finding(subject=f"landing {place.name}", is_fine=bool(files), told=told, is_fatal=is_needed)


def _crm(folders: Folders, practice: Practice) -> Iterator[Finding]:
    own = folders.of(practice.practice)
    if practice.crm.kind != "embedded":
        yield Finding(subject="crm", is_fine=True, told=f"files, sync {practice.crm.sync}")
        return
    if not own.crm.exists():
        has_seed = (own.landing / "crm" / "contacts.csv").exists()
        told = "embedded, to be seeded" if has_seed else "embedded, empty: put contacts.csv into landing/crm"
        yield Finding(subject="crm", is_fine=has_seed, told=told)
        return
    try:
        with sqlite3.connect(f"file:{own.crm}?mode=ro", uri=True) as con:
            contacts = con.execute("select count(*) from contact").fetchone()[0]
    except sqlite3.Error as error:
        told = f"{own.crm}: cannot be read ({type(error).__name__}); restore it from a backup"
        yield Finding(subject="crm", is_fine=False, told=told)
    else:
        yield Finding(subject="crm", is_fine=True, told=f"embedded, {contacts:,} contacts, sync {practice.crm.sync}")


def _agreements(folders: Folders, practice: Practice, *, at: datetime) -> Iterator[Finding]:
    vendors = vendors_of(practice)
    for vendor in vendors:
        try:
            signed_on = require_agreement(practice, vendor, at=at)
        except HygieneError as error:
            yield Finding(subject=f"BAA {vendor}", is_fine=False, told=str(error))
        else:
            yield Finding(subject=f"BAA {vendor}", is_fine=True, told=f"on file, signed on {signed_on}")
    if not vendors:
        yield Finding(subject="BAA", is_fine=True, told="no vendor sees any data of this practice")


def _vendors(folders: Folders, practice: Practice, *, at: datetime) -> Iterator[Finding]:
    """What each vendor's part of the pipeline says of it: secrets and connections, nothing that costs anything."""
    for findings in (smart_bulk_findings, tebra_findings, message_findings):
        yield from findings(practice, folders.keys, at=at)
    yield from lookup_findings(practice, folders, at=at)


def _people(folders: Folders, practice: Practice) -> Iterator[Finding]:
    assignment = practice.policies.assignment
    roles = {person.role for person in practice.staff}
    for kind, role in assignment.roles.items():
        handlers = [person.id for person in practice.staff if kind in person.handles or person.role == role]
        told = ", ".join(handlers) or f"nobody handles {kind}: it goes to {assignment.fallback}"
        is_fine = bool(handlers) or assignment.fallback in roles
        yield Finding(subject=f"people for {kind}", is_fine=is_fine, told=told, is_fatal=False)
