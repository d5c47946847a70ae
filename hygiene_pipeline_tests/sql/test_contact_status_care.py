"""Every row of the table of care reasons: the latest event wins, death always, and segments follow conditions."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from hygiene_pipeline_tests.sql.cases import DECISIONS, RECONCILED, STATUS, Row, ago, lay, links


@dataclass(frozen=True, kw_only=True)
class Case:
    """What the CRM shows and what happened in the EHR, so many days ago."""

    name: str
    reason: str
    state: str
    status: str | None = "active"
    segments: list[str] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)
    event: Row = field(default_factory=dict)
    conditions: list[Row] = field(default_factory=list)
    patient: Row = field(default_factory=dict)
    in_ehr: bool = True
    decided: str | None = None
    decided_segments: str = ""


def stale(name: str, reason: str, **given: Any) -> Case:
    return Case(name=name, reason=reason, state="stale", **given)


def in_sync(name: str, **given: Any) -> Case:
    return Case(name=name, reason="in_sync", state="current", **given)


def condition(code: str, system: str = "http://hl7.org/fhir/sid/icd-10-cm", **given: Any) -> Row:
    return {"code": code, "system": system, "clinical_status": "active", "recorded_at": ago(50), **given}


DIABETES = condition("E11.9")
ACTIVE = [(9.0, "active")]

CASES = [
    Case(name="a contact without an EHR record is not judged", reason="no_ehr_record", state="unknown", in_ehr=False,
        segments=["diabetes"], decided="active", decided_segments="diabetes"),
    stale("a death that the CRM does not show", "deceased_not_marked", events=[(1, "deceased")], decided="deceased"),
    stale("an event after a death does not undo it", "deceased_not_marked", events=[(9, "deceased"), (1, "active")],
        decided="deceased"),
    stale("a death that only the patient record tells", "deceased_not_marked", patient={"is_deceased": True},
        decided="deceased"),
    in_sync("a death that the CRM shows", status="deceased", events=[(1, "deceased")], decided="deceased"),
    in_sync("a death after the clock has not happened", events=ACTIVE, decided="active",
        patient={"is_deceased": True, "deceased_at": ago(-1)}),
    stale("a death is told before a wrong segment", "deceased_not_marked", events=[(1, "deceased")],
        segments=["diabetes"], decided="deceased"),
    stale("a discharge that the CRM does not show", "outdated_status", events=[(9, "active"), (1, "discharged")],
        decided="discharged"),
    stale("a completed pathway", "outdated_status", events=[(1, "completed")], decided="completed"),
    stale("a referral", "outdated_status", status="none", events=[(1, "referred")], decided="referred"),
    stale("the CRM shows a death that the EHR does not know", "outdated_status", status="deceased", events=ACTIVE,
        decided="active"),
    stale("the CRM shows care that the EHR does not know", "outdated_status", status="referred", decided="none"),
    in_sync("an event that came late to us counts by its own time", status="discharged", decided="discharged",
        events=[(5, "discharged"), (9, "active")]),
    in_sync("a cancelled event never happened", events=ACTIVE, event={"is_cancelled": True}, status="none",
        decided="none"),
    in_sync("an event after the clock has not happened", status="none", events=[(-1, "active")], decided="none"),
    in_sync("at the same instant the higher rank of the policy wins", status="discharged", decided="discharged",
        events=[(1, "discharged"), (1, "active"), (1, "referred")]),
    in_sync("no status in the CRM is none", status=None, decided="none"),
    in_sync("the spelling of the CRM's status is free", status="Active", events=ACTIVE, decided="active"),
    stale("an outdated status is told before a wrong segment", "outdated_status", events=[(1, "completed")],
        segments=["diabetes"], decided="completed"),
    stale("a segment is missing", "wrong_segment", events=ACTIVE, conditions=[DIABETES], decided="active",
        decided_segments="diabetes"),
    stale("a segment whose condition is gone", "wrong_segment", events=ACTIVE, segments=["diabetes"],
        conditions=[condition("E11.9", clinical_status="resolved")], decided="active"),
    stale("one segment of two", "wrong_segment", events=ACTIVE, segments=["diabetes"],
        conditions=[DIABETES, condition("I10")], decided="active", decided_segments="diabetes;hypertension"),
    stale("a completed patient leaves the condition's segment", "wrong_segment", status="completed",
        events=[(1, "completed")], segments=["diabetes"], conditions=[DIABETES], decided="completed"),
    in_sync("a completed patient has left it", status="completed", events=[(1, "completed")], conditions=[DIABETES],
        decided="completed"),
    in_sync("a referred patient stays in it", status="referred", events=[(1, "referred")], conditions=[DIABETES],
        segments=["diabetes"], decided="referred", decided_segments="diabetes"),
    in_sync("segments that no condition decides are the CRM's own", events=ACTIVE,
        segments=["diabetes", "newsletter"], conditions=[DIABETES], decided="active",
        decided_segments="diabetes;newsletter"),
    stale("and stay when the others go", "wrong_segment", events=ACTIVE, segments=["diabetes", "newsletter"],
        decided="active", decided_segments="newsletter"),
    in_sync("a condition of no policy makes no segment", events=ACTIVE, conditions=[condition("Z00.0")],
        decided="active"),
    in_sync("a code counts only within its own system", events=ACTIVE, decided="active",
        conditions=[condition("E11.9", "http://snomed.info/sct")]),
    in_sync("two codes of one segment are one segment", events=ACTIVE, conditions=[DIABETES, condition("E10")],
        segments=["diabetes"], decided="active", decided_segments="diabetes"),
    in_sync("a relapse is active", events=ACTIVE, conditions=[condition("J45.909", clinical_status="relapse")],
        segments=["asthma"], decided="active", decided_segments="asthma"),
    in_sync("a condition recorded after the clock is not known yet", events=ACTIVE,
        conditions=[condition("I10", recorded_at=ago(-1))], decided="active"),
    in_sync("a condition without a date is known", events=ACTIVE, segments=["hypertension"], decided="active",
        conditions=[condition("I10", recorded_at=None)], decided_segments="hypertension"),
]  # fmt: skip


def tables() -> dict[str, list[dict[str, Any]]]:
    contacts, patients, events, conditions, members = [], [], [], [], []
    for index, case in enumerate(CASES):
        name = f"c{index:03}"
        contacts.append({"contact_id": name, "care_status": case.status, "segments": case.segments, "is_active": True})
        members.append(("crm", name, f"p-{name}"))
        if not case.in_ehr:
            continue
        members.append(("ehr", name, f"p-{name}"))
        patients.append({"ehr_patient_id": name, "is_deceased": False, "last_updated": ago(60), **case.patient})
        events += [
            {"ehr_patient_id": name, "event_id": f"{turn}", "event_at": ago(days), "received_at": ago(0), "kind": "ADT",
             "care_status": status, "evidence_ref": f"Event/{name}-{turn}", "is_cancelled": False, **case.event}
            for turn, (days, status) in enumerate(case.events)
        ]  # fmt: skip
        conditions += [
            {"ehr_patient_id": name, "condition_id": f"{name}-{turn}", **row}
            for turn, row in enumerate(case.conditions)
        ]
    return {
        "staging.crm_contact": contacts,
        "staging.ehr_patient": patients,
        "staging.ehr_care_event": events,
        "staging.ehr_condition": conditions,
        "identity.patient_link": links(*members),
    }


@pytest.fixture(scope="module")
def verdicts() -> dict[str, dict[str, Any]]:
    bed = lay(tables())
    bed.build(*RECONCILED, *DECISIONS, *STATUS)
    rows = bed.rows(
        """select status.*, patient.care_status as decided, array_to_string(patient.segments, ';') as decided_segments
           from hygiene.contact_status as status
           inner join reconciled.patient as patient on patient.patient_id = status.patient_id"""
    )
    return {row["contact_id"]: row for row in rows}


@pytest.mark.parametrize(("index", "case"), list(enumerate(CASES)), ids=[case.name for case in CASES])
def test_care(verdicts: dict[str, dict[str, Any]], index: int, case: Case) -> None:
    row = verdicts[f"c{index:03}"]
    assert (row["care_reason"], row["care_state"]) == (case.reason, case.state)
    assert ("care" in row["stale_fields"]) == (case.state == "stale")
    assert (row["decided"], row["decided_segments"]) == (case.decided, case.decided_segments)


def test_cases_cover_every_reason() -> None:
    assert {case.reason for case in CASES} == {
        "deceased_not_marked", "outdated_status", "wrong_segment", "in_sync", "no_ehr_record",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "ref", "at"),
    [
        ("a discharge that the CRM does not show", "Event/{id}-1", ago(1)),
        ("an event after a death does not undo it", "Event/{id}-0", ago(9)),
        ("a death that only the patient record tells", "Patient/{id}", ago(60)),
        ("the CRM shows care that the EHR does not know", "Patient/{id}", ago(60)),
        ("a segment is missing", "Condition/{id}-0", ago(50)),
        ("a completed patient leaves the condition's segment", "Event/{id}-0", ago(1)),
        ("a contact without an EHR record is not judged", None, None),
    ],
)
def test_evidence_is_what_decided(verdicts: dict[str, dict[str, Any]], name: str, ref: str | None, at: object) -> None:
    contact_id = f"c{[case.name for case in CASES].index(name):03}"
    row = verdicts[contact_id]
    expected = ref and ref.format(id=contact_id)
    assert (row["care_evidence_ref"], row["care_evidence_at"]) == (expected, at)
