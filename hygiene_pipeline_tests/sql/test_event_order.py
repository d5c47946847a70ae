"""Any order and any repetition of the same messages gives the same patients, events and visits, so the same states."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hygiene_pipeline.landing import ehr_events, fhir_ndjson
from hygiene_pipeline.landing.file import LandingFile
from hygiene_pipeline_tests.bed import SQL, Bed, models_of
from hygiene_pipeline_tests.ehr.test_hl7_v2 import message
from hygiene_pipeline_tests.landing.fhir_desk import ndjson, patient
from hygiene_pipeline_tests.sql.cases import DECISIONS, IDENTITY, LINK_NIGHT, RECONCILED, STATUS

TAKEN = datetime(2026, 3, 1, 7, tzinfo=UTC)
NUMBERS = ("A", "B", "C")
NAMES = ("merge", "taken_back", "telecom", "patient", "mrn", "appointment", "care_event")
COMPARED = tuple(f"staging.ehr_{name}" for name in NAMES)
UNCHANGED = tuple(name for name in models_of(SQL) if name.startswith("staging.ehr_") and name not in COMPARED)


@cache
def warehouse() -> Bed:
    """Three patients in EHR and CRM, and what follows from no message; made once, since only the messages differ."""
    bed = Bed()
    bed.declare("history.identity_patient_link", LINK_NIGHT)
    bed.clock(TAKEN.isoformat())
    bed.policies()
    bed.raw()
    ehr_events.create_tables(bed.con)
    record = [{"type": {"coding": [{"code": "MR"}]}, "value": number} for number in NUMBERS]
    old = {"lastUpdated": "2025-01-01T00:00:00Z"}
    resources = [patient(f"p{each['value']}", identifier=[each], meta=old) for each in record]
    with TemporaryDirectory() as folder:
        fhir_ndjson.load_fhir(bed.con, [file(Path(folder), "ehr", ndjson(*resources))], extracted_at=TAKEN)
    contacts = [
        {"contact_id": f"c{number}", "mrn": number, "care_status": "active", "segments": [], "is_active": True}
        for number in NUMBERS
    ]
    bed.table("staging.crm_contact", contacts)
    raw = [
        {"raw": f"(617)253-000{digit}", "e164": f"+1617253000{digit}", "digits": f"617253000{digit}"} for digit in "12"
    ]
    bed.table("staging.phone_number", raw)
    bed.build(*UNCHANGED)
    return bed


def file(folder: Path, place: str, content: bytes) -> LandingFile:
    path = folder / ("events.hl7" if place == "ehr_events" else "export.ndjson")
    path.write_bytes(content)
    return LandingFile(file_id="0" * 16, place=place, name=f"{place}/{path.name}", path=path, take_seq=1)


def taken(files: Sequence[bytes]) -> dict[str, list[dict[str, Any]]]:
    """What the tables hold once these files were taken, one after the other, by one run."""
    bed = warehouse()
    bed.con.execute("delete from raw.ehr_event; delete from quarantine.record")
    with TemporaryDirectory() as folder:
        for content in files:
            ehr_events.load_ehr_events(
                bed.con, [file(Path(folder), "ehr_events", content)], extracted_at=TAKEN, timezone="America/New_York"
            )
    assert bed.rows("from quarantine.record") == []
    bed.build(*COMPARED)
    return {name: bed.rows(f"from {name} order by all") for name in COMPARED}


def adt(kind: str, number: str, at: str, **segments: str) -> str:
    text = message(kind, "X", **{"EVN": f"EVN||{at}", **segments})
    # The control id follows from what is said, so that the same message is the same message.
    return text.replace("MRN1", number).replace("|X|P|", f"|{kind[-3:]}{number}{at}{len(segments)}|P|")


def visit(number: str) -> str:
    return "PV1|1|I" + "|" * 17 + number + "|" * 17 + "01"


@st.composite
def said(draw: st.DrawFn) -> str:
    """One message about one of three patients, at one of four times."""
    number = draw(st.sampled_from(NUMBERS))
    other = draw(st.sampled_from([each for each in NUMBERS if each != number]))
    at = f"2026020{draw(st.integers(1, 4))}120000"
    kind = draw(st.sampled_from(["A03", "A13", "A01", "A11", "A08", "A40", "A37", "S12", "S15", "S26", "I12", "I14"]))
    pid = f"PID|1||{number}^^^HOSP^MR" + "|" * 10 + f"(617)253-000{draw(st.sampled_from('12'))}"
    if kind in ("A40", "A37"):
        second = f"MRG|{other}^^^HOSP^MR" if kind == "A40" else f"PID|2||{other}^^^HOSP^MR"
        text = adt(f"ADT^{kind}", number, at, PID=pid, PV1="", MRG=second)
        return text.replace(f"|{kind}{number}", f"|{kind}{other}{number}")
    if kind.startswith("S"):
        text = adt(f"SIU^{kind}", number, at, EVN="", PID=pid, PV1="", SCH="SCH|P1|F" + number)
        return text.replace("20260105103100-0500", at)
    if kind.startswith("I"):
        text = adt(f"REF^{kind}", number, at, EVN="", PID=pid, PV1="", RF1="RF1|A|||||R1")
        return text.replace("20260105103100-0500", at)
    death = draw(st.sampled_from(["", "|Y", "|N"])) if kind == "A08" else ""
    named = draw(st.sampled_from(["", "V1"]))
    text = adt(f"ADT^{kind}", number, at, PID=pid + ("|" * 16 + death if death else ""), PV1=visit(named))
    return text.replace("|P|2.5", f"{named}|P|2.5")


# Every example builds the real models twice: to make a failure smaller would take minutes.
@settings(
    max_examples=5,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(st.data())
def test_order_and_repetition_change_nothing(data: st.DataObject) -> None:
    messages = data.draw(st.lists(said(), min_size=4, max_size=12, unique=True))
    shuffled = data.draw(st.permutations(messages))
    again = data.draw(st.lists(st.sampled_from(messages), max_size=6))
    cut = data.draw(st.integers(0, len(messages)))
    files = ["".join(shuffled[:cut] + again), "".join(shuffled[cut:]), "".join(again)]
    expected = taken(["".join(messages).encode()])
    found = taken([each.encode() for each in files if each])
    for name in COMPARED:
        assert found[name] == expected[name], name


def test_what_follows_sees_of_messages_only_the_tables_compared() -> None:
    models = models_of(SQL)
    readers = {name for name, model in models.items() if "raw.ehr_event" in model.dependencies}
    assert readers
    assert readers <= set(COMPARED)
    for name in UNCHANGED:
        assert not {"raw.ehr_event", *COMPARED} & set(models[name].dependencies), f"{name} follows from messages too"


def test_a_message_changes_the_state_of_its_contact() -> None:
    bed = warehouse()
    discharge = adt("ADT^A03", "A", "20260201120000", PV1=visit("V1")).encode()
    for files in ([], [discharge]):
        taken(files)
        bed.build(*IDENTITY, *RECONCILED, *DECISIONS, *STATUS)
        rows = bed.rows("select care_evidence_ref from hygiene.contact_status where contact_id = 'cA'")
        assert [str(row["care_evidence_ref"]).startswith("ADT^A03/") for row in rows] == [bool(files)]
