"""What EHR events say about a patient's care: the shape of that policy, and its tables."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from hygiene_pipeline.policies.strict import Strict

CareStatus = Literal["active", "completed", "referred", "discharged", "deceased"]
# For events of one pathway that shall say nothing although those of others do.
Said = Literal[CareStatus, "unchanged"]
HL7Event = Annotated[str, Field(pattern=r"^[A-Z]{3}\^[A-Z]\d{2}$")]
Table = tuple[str, list[Sequence[object]]]
_STATUSES = ("active", "completed", "referred", "discharged", "deceased")


class CareEvent(Strict):
    """What one kind of EHR event says about the care status, in every pathway or in the named one."""

    kind: str
    event: str
    pathway: str | None = None
    care_status: Said
    rank: int


class Disposition(Strict):
    """What the place that a patient was discharged to says, whatever a discharge says otherwise."""

    code: str
    care_status: Said


class Segment(Strict):
    """A condition code prefix that puts a patient into an outreach segment."""

    segment: str
    system: Literal["icd10", "snomed"]
    code_prefix: str


class CarePolicy(Strict):
    """How EHR events and conditions become care status and segments."""

    events: list[CareEvent]
    more_events: list[CareEvent]
    takes_back: dict[HL7Event, list[HL7Event]]
    referral_ended: list[str]
    dispositions: list[Disposition]
    segments: list[Segment]
    leave_segments: list[CareStatus]

    @property
    def every_event(self) -> list[CareEvent]:
        """The rows that hold: each of `more_events` takes the place of one for the same event and pathway."""
        laid = {(each.kind, each.event, each.pathway): each for each in (*self.events, *self.more_events)}
        return list(laid.values())


def care_tables(care: CarePolicy) -> dict[str, Table]:
    """Columns and rows of the tables that SQL joins."""
    return {
        "care_event_mapping": (
            "kind varchar, event varchar, pathway varchar, care_status varchar, rank integer",
            [(each.kind, each.event, each.pathway, each.care_status, each.rank) for each in care.every_event],
        ),
        "care_event_taken_back": (
            "message varchar, takes_back varchar",
            [(message, taken) for message, all_taken in care.takes_back.items() for taken in all_taken],
        ),
        "referral_ended": ("status varchar", [(status,) for status in care.referral_ended]),
        "discharge_disposition": (
            "code varchar, care_status varchar",
            [(each.code, each.care_status) for each in care.dispositions],
        ),
        "segment": (
            "segment varchar, system varchar, code_prefix varchar",
            [(each.segment, each.system, each.code_prefix) for each in care.segments],
        ),
        "segment_exit": (
            "care_status varchar, leaves boolean",
            [(status, status in care.leave_segments) for status in _STATUSES],
        ),
    }
