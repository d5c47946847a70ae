"""A ledger that lives through nights: each night lays findings, runs the real models, and keeps the history.

The history is kept as the warehouse keeps it: a row is stored only when something but `last_seen` changed.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from hygiene_pipeline_tests.bed import Bed

LEDGER = ["issue_context", "issue_lifecycle", "issue_priority", "issue_assignment", "issue"]
FIRST_NIGHT = datetime.fromisoformat("2026-03-02T07:00:00+00:00")

STAFF = (
    {"staff_id": "coordinator-1", "role": "care_coordinator", "handles": "phone", "capacity_per_day": 40},
    {"staff_id": "coordinator-1", "role": "care_coordinator", "handles": "email", "capacity_per_day": 40},
    {"staff_id": "billing-1", "role": "billing", "handles": "insurance", "capacity_per_day": 40},
    {"staff_id": "manager-1", "role": "practice_manager", "handles": None, "capacity_per_day": 10},
)
TYPES = ["phone", "insurance", "care", "referring_provider", "email", "address", "identity"]
ROLES = {"insurance": "billing", "referring_provider": "referral_coordinator", "identity": "data_steward"}
ASSIGNMENT = [
    {"staleness_type": kind, "role": role, "is_fallback": is_fallback}
    for kind in TYPES
    for role, is_fallback in ((ROLES.get(kind, "care_coordinator"), False), ("practice_manager", True))
]
DUE = ({"tier": 1, "days": 2}, {"tier": 2, "days": 7}, {"tier": 3, "days": 21}, {"tier": 4, "days": 60})
ABSENCE = {"staff_id": "VARCHAR", "absent_from": "DATE", "absent_to": "DATE"}


def night(number: int) -> datetime:
    """The instant of a night, 0 being the first."""
    return FIRST_NIGHT + timedelta(days=number)


def stale(contact_id: str, staleness_type: str = "phone", reason: str = "missing", **more: object) -> dict[str, Any]:
    """A finding."""
    return {"contact_id": contact_id, "staleness_type": staleness_type, "reason": reason, **more}


def ledger_bed(*contact_ids: str) -> Bed:
    """A bed with policies, staff and these active contacts, each linked to the patient `p-<contact>` and PM `pm-…`."""
    bed = Bed()
    bed.con.execute("set threads = 1")
    bed.policies(staff=STAFF, assignment=ASSIGNMENT, due=DUE)
    bed.declare("policy.staff_absence", ABSENCE)
    bed.table("policy.staff_absence", [])
    types = {"opened_at": "TIMESTAMPTZ", "resolved_by": "VARCHAR", "escalated": "BOOLEAN"}
    bed.declare("history.hygiene_issue", {"as_of": "TIMESTAMPTZ", **bed.shapes["hygiene.issue"], **types})
    bed.table("history.hygiene_issue", [])
    bed.table("staging.crm_contact", [{"contact_id": each, "is_active": True} for each in contact_ids])
    bed.table(
        "identity.patient_link",
        [
            {"source": source, "source_id": f"{prefix}{each}", "patient_id": f"p-{each}"}
            for each in contact_ids
            for source, prefix in (("crm", ""), ("ehr", "ehr-"), ("pm", "pm-"))
        ],
    )
    return bed


def run(bed: Bed, number: int, findings: Sequence[Mapping[str, Any]], previous: int | None = None) -> dict[str, Any]:
    """Run one night; returns the ledger by `<contact> <staleness type>`."""
    before = night(number - 1 if previous is None else previous)
    bed.clock(night(number).isoformat(), previous=before.isoformat() if number else None)
    bed.table("hygiene.finding", findings)
    _build(bed)
    keep(bed)
    rows = bed.rows("select * from hygiene.issue order by contact_id, staleness_type")
    return {f"{row['contact_id']} {row['staleness_type']}": row for row in rows}


def _build(bed: Bed) -> None:
    """The ledger's models: the first time with all that a build checks, then the bare SQL, which is faster."""
    if not bed.rows("select 1 from duckdb_tables() where schema_name = 'hygiene' and table_name = 'issue'"):
        bed.build(*(f"hygiene.{name}" for name in LEDGER))
        return
    for name in LEDGER:
        bed.con.execute(f"create or replace table hygiene.{name} as {(bed.root / f'hygiene/{name}.sql').read_text()}")


def keep(bed: Bed) -> None:
    """Store what differs from the latest earlier version, once however often the night is run."""
    columns = [row["column_name"] for row in bed.rows("describe hygiene.issue")]
    compared = ", ".join(name for name in columns if name != "last_seen")
    bed.con.execute("delete from history.hygiene_issue where as_of = (select as_of from policy.clock)")
    bed.con.execute(
        f"""
        insert into history.hygiene_issue by name
        with changed as (
            select {compared} from hygiene.issue
            except all
            select {compared} from (
                select * from history.hygiene_issue where as_of < (select as_of from policy.clock)
                qualify row_number() over (partition by issue_id order by as_of desc) = 1
            )
        )
        select clock.as_of, {", ".join(columns)}
        from hygiene.issue, policy.clock where issue_id in (select issue_id from changed)
        """
    )
