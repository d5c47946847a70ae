"""A tiny practice on disk whose whole nights run through the real nightly job.

    bed = TinyPractice(tmp_path)
    bed.systems.add_person(1, crm={"care_status": "none"})
    bed.deliver()
    bed.night("2026-03-02T07:00:00Z")
    bed.rows("select care_reason from hygiene.contact_status")

The id is that of the shipped practice: the partitions are read once a process, when the definitions are loaded.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from hygiene_pipeline.defs.in_process import Outcome, run_job
from hygiene_pipeline.defs.unrecorded import unrecorded_runs
from hygiene_pipeline.folders import PracticeFolders
from hygiene_pipeline.night import open_night
from hygiene_pipeline_tests.night.systems import Systems

PRACTICE = "riverside"
_SCHEMAS = "raw quarantine staging identity reconciled hygiene sync metrics quality history policy"
SCHEMAS = tuple(_SCHEMAS.split())
FIRST = "2026-03-02T07:00:00+00:00"
SECOND = "2026-03-03T07:00:00+00:00"
THIRD = "2026-03-04T07:00:00+00:00"

_FILE = """\
practice: riverside
name: Riverside Primary Care
timezone: America/New_York
phone: "+16175550100"
crm: {crm}
phone_lookup: {{kind: files}}
messages: {{send: send}}
outreach: {{monthly_spend: 800, hygiene_cost_per_year: 1200}}
staff:
  - {{id: coordinator-1, role: care_coordinator, handles: [phone, email, address, care]}}
  - {{id: billing-1, role: billing, handles: [insurance]}}
  - {{id: referrals-1, role: referral_coordinator, handles: [referring_provider]}}
  - {{id: steward-1, role: data_steward, handles: [identity]}}
  - {{id: manager-1, role: practice_manager}}
policies: {policies}
"""


class TinyPractice:
    """One practice below `root`, with its own practices, data and keys folders."""

    def __init__(
        self, root: Path, *, crm: str = "{kind: embedded, sync: apply}", policies: str = "{}", people: int = 0
    ) -> None:
        self.root = root
        self.folders = PracticeFolders(root=root / "data" / PRACTICE)
        self.systems = Systems()
        self._policies = policies
        self.use_crm(crm)
        for number in range(1, people + 1):
            self.systems.add_person(number)

    def use_crm(self, crm: str) -> None:
        """Write the practice file with this CRM."""
        path = self.root / "practices" / f"{PRACTICE}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_FILE.format(crm=crm, policies=self._policies))

    @contextmanager
    def environment(self) -> Iterator[None]:
        """This practice's folders in the environment."""
        with pytest.MonkeyPatch.context() as patch:
            for name in ("practices", "data", "keys"):
                patch.setenv(f"HYGIENE_{name.upper()}", str(self.root / name))
            yield

    def deliver(self, day: str = "day0") -> None:
        """Everything the systems drop on a day."""
        self.write(self.systems.files(day))

    def write(self, files: Mapping[str, bytes | str]) -> None:
        """Files by path below landing."""
        for name, content in files.items():
            path = self.folders.landing / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def run(
        self, as_of: str, *, job: str = "nightly", instance: dg.DagsterInstance | None = None, is_thorough: bool = False
    ) -> Outcome:
        """Run a job; its outcome may be a failure. Its events are kept only in an `instance` that is given."""
        at = datetime.fromisoformat(as_of)
        with self.environment(), nullcontext(instance) if instance else unrecorded_runs() as used:
            return run_job(job, PRACTICE, as_of=at, instance=used, is_thorough=is_thorough, settle_seconds=0)

    def night(self, as_of: str, *, job: str = "nightly") -> None:
        """Run a job that must succeed."""
        outcome = self.run(as_of, job=job)
        assert outcome.success, "\n".join(outcome.problems)

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """A query's rows as dicts."""
        with self.environment(), open_night(PRACTICE) as night:
            result = night.warehouse.con.execute(sql, list(values))
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def tables(self, *schemas: str, without: tuple[str, ...] = ()) -> dict[str, str]:
        """A digest of each table's sorted rows; columns that end in one of `without` are left out."""
        with self.environment(), open_night(PRACTICE) as night:
            con = night.warehouse.con
            found: dict[str, list[str]] = {}
            for schema, table, column in con.execute(
                "select schema_name, table_name, column_name from duckdb_columns() "
                "semi join duckdb_tables() using (table_oid, database_name) "
                "where database_name = current_database() order by table_oid, column_index"
            ).fetchall():
                if schema in (schemas or SCHEMAS) and not column.endswith(without):
                    found.setdefault(f"{schema}.{table}", []).append(f'"{column}"')
            return {
                table: _digest(con.execute(f"select {', '.join(columns)} from {table}").fetchall())
                for table, columns in sorted(found.items())
            }

    def crm(self) -> dict[str, dict[str, Any]]:
        """The contacts as the embedded CRM shows them."""
        return {row["contact_id"]: row for row in self._sqlite("select * from contact order by contact_id")}

    def crm_log(self) -> list[dict[str, Any]]:
        """Every write that the embedded CRM took, in order."""
        return self._sqlite("select * from write_log order by rowid")

    def _sqlite(self, sql: str) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(self.folders.crm)) as con:
            con.row_factory = sqlite3.Row
            return [dict(row) for row in con.execute(sql)]


def _digest(rows: list[Any]) -> str:
    spelt = "\n".join(sorted(map(repr, rows)))
    return f"{len(rows)} rows {hashlib.sha256(spelt.encode()).hexdigest()[:16]}"
