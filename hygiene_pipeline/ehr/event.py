"""What an EHR event says, whichever format it came in: the one shape that the adapters of this folder produce."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class EventPhone:
    """A telecom value of an event: its text, `phone` or `email`, and what the sender says of its use."""

    value: str
    system: str
    use: str | None = None
    equipment: str | None = None


@dataclass(frozen=True, kw_only=True)
class EhrEvent:
    """One event. `event_id` is the same whenever the same event is sent again.

    `pathways` are the codes that say what kind of care it belongs to, as the sender writes them: class and service of a
    visit, type and category of a referral. `retired_mrn` is the number that a merge retires or an unlink frees.
    """

    event_id: str
    kind: str
    source_line: int
    event_at: datetime | None
    evidence_ref: str
    mrn: str | None = None
    ehr_patient_id: str | None = None
    status: str | None = None
    pathways: tuple[str, ...] = ()
    disposition: str | None = None
    discharged_at: datetime | None = None
    is_deceased: bool | None = None
    deceased_at: datetime | None = None
    visit_number: str | None = None
    retired_mrn: str | None = None
    scheduled_at: datetime | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    phones: tuple[EventPhone, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BadEvent:
    """A message that cannot be used: where it starts, which field is at fault and how, and its text."""

    source_line: int
    field: str
    reason: str
    original: str


@dataclass(frozen=True, kw_only=True)
class EventFile:
    """All that one file of events holds; `resources` are the FHIR resources in it that are sound."""

    events: list[EhrEvent] = field(default_factory=list)
    bad: list[BadEvent] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
