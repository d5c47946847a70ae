"""One run of one practice: its file, folders and open warehouse, and the tables that must exist beforehand."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from hygiene_pipeline import build_marks, model_quality
from hygiene_pipeline.clock import Clock, read_clock
from hygiene_pipeline.failures import KeyProblemError
from hygiene_pipeline.folders import Folders, PracticeFolders
from hygiene_pipeline.landing import ehr_events, eligibility, fhir_ndjson, ledger, replies, tabular, volume
from hygiene_pipeline.model_build import BlockingTestFailedError, ModelFailedError
from hygiene_pipeline.model_contracts import ContractError
from hygiene_pipeline.model_history import ensure_histories
from hygiene_pipeline.policies.tables import write_policy_tables
from hygiene_pipeline.practice import Practice, load_practice
from hygiene_pipeline.privacy.keys import WAREHOUSE, environment_name, find_key, key_for
from hygiene_pipeline.privacy.redaction import redacted
from hygiene_pipeline.sql_models import Model, load_models
from hygiene_pipeline.sync import lookup_tables
from hygiene_pipeline.sync import tables as sync_tables
from hygiene_pipeline.warehouse import Warehouse, open_warehouse

_MODELS = Path(__file__).parent.parent / "dbt_like_sql"


@cache
def models() -> dict[str, Model]:
    """Every SQL model of the project, by name."""
    return load_models(_MODELS)


@dataclass(frozen=True, kw_only=True)
class Night:
    """What every step of a run works with."""

    practice: Practice
    folders: PracticeFolders
    keys: Path
    warehouse: Warehouse

    @property
    def clock(self) -> Clock:
        """When this run is."""
        return read_clock(self.warehouse.con)

    def key(self, name: str) -> str:
        """A key of this practice, made on first use."""
        return key_for(self.keys, self.practice.practice, name)


@contextmanager
def open_night(practice: str, *, wait_seconds: float = 120.0) -> Iterator[Night]:
    """Open a practice for one step. No value of a record leaves through an exception."""
    folders = Folders()
    loaded = load_practice(folders.practices, practice)
    own = folders.of(practice)
    key = _warehouse_key(folders, own, practice)
    with (
        open_warehouse(own.warehouse, key=key, wait_seconds=wait_seconds) as warehouse,
        redacted(ContractError, BlockingTestFailedError, ModelFailedError),
    ):
        yield Night(practice=loaded, folders=own, keys=folders.keys, warehouse=warehouse)


def _warehouse_key(folders: Folders, own: PracticeFolders, practice: str) -> str:
    """A key is made for a new warehouse only: a new one beside an old warehouse would hide that its own is lost."""
    if own.warehouse.exists() and find_key(folders.keys, practice, WAREHOUSE) is None:
        name = environment_name(practice, WAREHOUSE)
        raise KeyProblemError(f"{own.warehouse}: its key is missing; restore {practice}/{WAREHOUSE}.key or set {name}")
    return key_for(folders.keys, practice, WAREHOUSE)


def begin(night: Night, *, as_of: datetime) -> dict[str, int]:
    """Set the clock, write the policies as tables, and make every table that a step may find empty."""
    con = night.warehouse.con
    with night.warehouse.transaction():
        for landing in (ledger, volume, tabular, fhir_ndjson, ehr_events, eligibility, replies):
            landing.create_tables(con)
        for books in (model_quality, build_marks):
            books.create_tables(con)
        sync_tables.create_tables(con)
        lookup_tables.create_tables(con)
        written = write_policy_tables(con, night.practice, as_of=as_of)
        build_marks.heed_practice(con, night.practice)
    ensure_histories(con, models())
    return written
