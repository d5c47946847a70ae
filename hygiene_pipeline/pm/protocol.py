"""What every reader of eligibility answers gives, whatever the format. No reading here."""

from dataclasses import dataclass
from typing import Literal

Result = Literal["active", "inactive", "not_found", "payer_error"]


@dataclass(frozen=True, kw_only=True)
class EligibilityAnswer:
    """One payer's answer about one person; every value as text, times in ISO 8601 with offset.

    `position` is where the answer starts in its file: a line, or the number of an X12 segment. An answer that rejects
    the whole inquiry names no person.
    """

    position: int
    check_id: str
    pm_patient_id: str | None
    payer_id: str | None
    payer_name: str | None
    member_id: str | None
    checked_at: str
    result: Result
    message: str
    plan_begin: str | None
    plan_end: str | None
    source_format: Literal["x12", "fhir"]
    evidence_ref: str


@dataclass(frozen=True, kw_only=True)
class Unusable:
    """A part of a file that gives no answer: where it starts, a reason code, and its text."""

    position: int
    reason: str
    original: str
    field: str | None = None
