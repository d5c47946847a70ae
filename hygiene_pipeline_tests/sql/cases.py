"""Lays many small patients side by side in one bed, so that a table of cases costs one build of the real SQL."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hygiene_pipeline_tests.bed import Bed

Row = Mapping[str, Any]

AS_OF = "2026-03-01T12:00:00Z"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

IDENTITY = ("identity.record", "identity.mrn_group", "identity.patient_link", "identity.split_review")
RECONCILED = tuple(
    f"reconciled.{name}"
    for name in (
        "crm_value_since",
        "placeholder_phone",
        "phone_number",
        "phone_claim",
        "patient_phone",
        "care_truth",
        "coverage_version",
        "coverage",
        "insurance_truth",
        "postal_address",
    )
)
DECISIONS = ("reconciled.field_candidate", "reconciled.field_decision", "reconciled.patient")
STATUS = tuple(
    f"hygiene.{name}"
    for name in (
        "phone_evidence",
        "insurance_evidence",
        "care_evidence",
        "referring_provider_evidence",
        "contact_status",
    )
)

CRM_VERSION = {
    "care_status": "VARCHAR",
    "segments": "VARCHAR",
    "insurance_payer_id": "VARCHAR",
    "insurance_payer": "VARCHAR",
    "insurance_member_id": "VARCHAR",
    "insurance_status": "VARCHAR",
    "contact_id": "VARCHAR",
    "first_name": "VARCHAR",
    "last_name": "VARCHAR",
    "birth_date": "DATE",
    "sex": "VARCHAR",
    "email": "VARCHAR",
    "address_line": "VARCHAR",
    "city": "VARCHAR",
    "state": "VARCHAR",
    "postal_code": "VARCHAR",
    "last_modified": "TIMESTAMPTZ",
    "is_removed": "BOOLEAN",
    "take_seq": "BIGINT",
    "extracted_at": "TIMESTAMPTZ",
    "row_hash": "VARCHAR",
}
PM_COVERAGE_VERSION = {
    "pm_patient_id": "VARCHAR",
    "payer_id": "VARCHAR",
    "payer_name": "VARCHAR",
    "member_id": "VARCHAR",
    "plan_name": "VARCHAR",
    "effective_date": "DATE",
    "termination_date": "DATE",
    "last_updated": "TIMESTAMPTZ",
    "is_removed": "BOOLEAN",
    "take_seq": "BIGINT",
    "extracted_at": "TIMESTAMPTZ",
    "row_hash": "VARCHAR",
}
LINK_NIGHT = {
    "as_of": "TIMESTAMPTZ",
    "source": "VARCHAR",
    "source_id": "VARCHAR",
    "patient_id": "VARCHAR",
    "method": "VARCHAR",
    "match_probability": "DOUBLE",
}


def ago(days: float) -> datetime:
    """An instant so many days before the clock."""
    return NOW - timedelta(days=days)


def number(case: int, which: int = 0) -> str:
    """A valid number that no other case has: `which` tells the numbers of one case apart."""
    return f"+1617{2530000 + which * 1000 + case}"


def lay(tables: Mapping[str, Sequence[Row]], as_of: str = AS_OF, **policies: Sequence[Row]) -> Bed:
    """A bed with the shipped policies, these tables, and every other table empty."""
    bed = Bed()
    bed.declare("raw.crm_contacts", CRM_VERSION)
    bed.declare("raw.pm_coverage", PM_COVERAGE_VERSION)
    bed.declare("history.identity_patient_link", LINK_NIGHT)
    bed.clock(as_of)
    bed.policies(**policies)
    for table, rows in tables.items():
        bed.table(table, rows)
    return bed


def links(*members: tuple[str, str, str]) -> list[dict[str, str]]:
    """Rows of `identity.patient_link` from (source, source_id, patient_id)."""
    return [{"source": source, "source_id": source_id, "patient_id": patient} for source, source_id, patient in members]
