"""HL7 v2 text as events: framing, fields, times, phones, and what makes a message unusable."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hygiene_pipeline.ehr.hl7_text import instant, phone
from hygiene_pipeline.ehr.hl7_v2 import parse

ZONE = "America/New_York"


def message(kind: str = "ADT^A03", control: str = "M1", **segments: str) -> str:
    parts = {
        "EVN": "EVN||20260105103000",
        "PID": "PID|1||MRN1^^^HOSP^MR~123456789^^^USSSA^SS||Doe^Jane||19700301|F|||||(617)253-0001^PRN^PH",
        "PV1": "PV1|1|I" + "|" * 17 + "V1" + "|" * 17 + "01" + "|" * 9 + "20260105101500",
        **segments,
    }
    header = f"MSH|^~\\&|EPIC|CLINIC|CRM|CLINIC|20260105103100-0500||{kind}|{control}|P|2.5"
    return "\r".join([header, *(text for text in parts.values() if text)]) + "\r"


def one(text: str):
    file = parse(text.encode(), timezone=ZONE)
    assert not file.bad, file.bad
    return file.events[0]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda a, b: a + b, id="carriage returns"),
        pytest.param(lambda a, b: (a + b).replace("\r", "\n"), id="line feeds"),
        pytest.param(lambda a, b: (a + b).replace("\r", "\r\n"), id="both"),
        pytest.param(lambda a, b: f"\x0b{a}\x1c\r\x0b{b}\x1c\r", id="MLLP frames"),
        pytest.param(lambda a, b: f"FHS|^~\\&\rBHS|^~\\&\r{a}{b}BTS|2\rFTS|1\r", id="a batch"),
        pytest.param(lambda a, b: f"\ufeff{a}\r\r{b}", id="a byte-order mark and blank lines"),
    ],
)
def test_every_framing_gives_the_same_two_events(content) -> None:
    file = parse(content(message(control="M1"), message(control="M2")).encode(), timezone=ZONE)
    assert [event.evidence_ref for event in file.events] == ["ADT^A03/M1", "ADT^A03/M2"]
    assert not file.bad


def test_a_discharge_tells_who_when_and_where_to() -> None:
    event = one(message())
    assert (event.kind, event.mrn, event.visit_number, event.disposition) == ("ADT^A03", "MRN1", "V1", "01")
    assert event.event_at == datetime(2026, 1, 5, 15, 30, tzinfo=UTC)
    assert event.discharged_at == datetime(2026, 1, 5, 15, 15, tzinfo=UTC)
    assert [(each.value, each.system) for each in event.phones] == [("(617)253-0001", "phone")]
    assert event.is_deceased is None


def test_the_same_event_sent_again_has_the_same_id_and_a_reused_control_id_has_not() -> None:
    first, again = one(message()), one(message())
    later = one(message(EVN="EVN||20260106103000"))
    assert first.event_id == again.event_id
    assert later.event_id != first.event_id


def test_a_death_is_read_from_indicator_or_time() -> None:
    died = "PID|1||MRN1^^^HOSP^MR" + "|" * 26
    assert one(message(PID=died + "|Y")).is_deceased is True
    assert one(message(PID=died + "20260104|")).is_deceased is True
    assert one(message(PID=died + "|N")).is_deceased is False


def test_a_merge_names_the_retired_number() -> None:
    event = one(message("ADT^A40", PV1="", MRG="MRG|OLD9^^^HOSP^MR"))
    assert (event.mrn, event.retired_mrn) == ("MRN1", "OLD9")


def test_a_merge_message_may_hold_several_patients() -> None:
    pairs = "PID|1||A^^^H^MR\rMRG|B^^^H^MR\rPID|2||C^^^H^MR\rPD1|\rMRG|D^^^H^MR\rPV1|1|N"
    file = parse(message("ADT^A40", PID=pairs, PV1="").encode(), timezone=ZONE)
    assert [(event.mrn, event.retired_mrn) for event in file.events] == [("A", "B"), ("C", "D")]
    assert len({event.event_id for event in file.events}) == 2


def test_a_merge_message_with_one_broken_patient_is_set_aside_whole() -> None:
    pairs = "PID|1||A^^^H^MR\rMRG|B^^^H^MR\rPID|2||C^^^H^MR"
    file = parse(message("ADT^A40", PID=pairs, PV1="").encode(), timezone=ZONE)
    assert (file.events, [bad.field for bad in file.bad]) == ([], ["MRG"])


def test_an_unlink_names_both_patients() -> None:
    event = one(message("ADT^A37", PID="PID|1||A^^^H^MR\rPID|2||B^^^H^MR", PV1=""))
    assert (event.mrn, event.retired_mrn) == ("A", "B")


def test_the_same_control_id_with_another_content_is_another_event() -> None:
    assert one(message()).event_id != one(message(PID="PID|1||MRN2^^^HOSP^MR")).event_id


@pytest.mark.parametrize("kind", ["ORU^R01", "MFN^M02", "SIU^S23"])
def test_a_message_about_no_patient_is_no_event_and_no_fault(kind: str) -> None:
    file = parse(message(kind, PID="", PV1="", EVN="").encode(), timezone=ZONE)
    assert (file.events, file.bad) == ([], [])


def test_what_one_frame_holds_is_no_part_of_the_next() -> None:
    framed = "".join(f"\x0b{text}\x1c\r" for text in (message(control="M1"), "what is this", message(control="M2")))
    file = parse(framed.encode(), timezone=ZONE)
    assert [event.evidence_ref for event in file.events] == ["ADT^A03/M1", "ADT^A03/M2"]
    assert [(bad.source_line, bad.reason) for bad in file.bad] == [(6, "not_hl7")]


@pytest.mark.parametrize(
    "segments",
    [
        pytest.param({"SCH": "SCH|P1|F1" + "|" * 9 + "^^^20260201090000"}, id="in SCH"),
        pytest.param({"SCH": "SCH|P1|F1", "TQ1": "TQ1|1||||||20260201090000"}, id="in TQ1"),
        pytest.param({"SCH": "SCH|P1|F1", "AIS": "AIS|1|A|X|20260201090000"}, id="in AIS"),
    ],
)
def test_an_appointment_message_tells_the_time_of_the_visit(segments: dict[str, str]) -> None:
    event = one(message("SIU^S12", EVN="", PV1="", **segments))
    assert (event.resource_id, event.scheduled_at) == ("F1", datetime(2026, 2, 1, 14, 0, tzinfo=UTC))


def test_a_referral_tells_its_id_status_and_pathway() -> None:
    event = one(message("REF^I12", EVN="", PV1="PV1|1|O||||||||CAR", RF1="RF1|P||Specialty||Inpatient|R7"))
    assert (event.resource_id, event.status) == ("R7", "P")
    assert event.pathways == ("O", "CAR", "Specialty", "Inpatient")


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        pytest.param(message(PID=""), "PID", "missing_segment", id="no patient"),
        pytest.param(message(PV1=""), "PV1", "missing_segment", id="a discharge without a visit"),
        pytest.param(message("ADT^A40", PV1=""), "MRG", "missing_segment", id="a merge without the retired one"),
        pytest.param(message("ADT^A40", PV1="", MRG="MRG|"), "MRG-1", "missing_id", id="a merge of nobody"),
        pytest.param(message(control=""), "MSH-10", "missing_field", id="no control id"),
        pytest.param(message(EVN="EVN||20260231"), "EVN-2", "invalid_date", id="the thirty-first of February"),
        pytest.param(message(PID="PID|1||123^^^USSSA^SS"), "PID-3", "missing_id", id="only a social security number"),
        pytest.param(message().replace("|P|2.5", "|P|3.0"), "MSH-12", "unsupported_version", id="another version"),
        pytest.param(message("ADT^A37", PV1=""), "PID-3", "missing_id", id="an unlink of one"),
        pytest.param("what is this\r", "MSH", "not_hl7", id="no HL7 at all"),
    ],
)
def test_an_unusable_message_is_set_aside_and_the_next_one_survives(text: str, field: str, reason: str) -> None:
    file = parse((text + message(control="M9")).encode(), timezone=ZONE)
    assert [(bad.field, bad.reason) for bad in file.bad] == [(field, reason)]
    assert [event.evidence_ref for event in file.events] == ["ADT^A03/M9"]


def test_a_bad_message_is_found_by_the_line_it_starts_on() -> None:
    file = parse((message() + "\r" + message(PID="")).encode(), timezone=ZONE)
    assert [bad.source_line for bad in file.bad] == [6]


def test_text_that_is_not_what_msh_18_says_is_set_aside() -> None:
    latin = message().replace("Doe^Jane", "Muñoz^Jane")
    assert [bad.reason for bad in parse(latin.encode("latin-1"), timezone=ZONE).bad] == ["not_utf8"]
    for declared in ("8859/1", "ISO-8859-1", "8859/15~UNICODE UTF-8"):
        named = latin.replace("|P|2.5", f"|P|2.5||||||{declared}")
        assert not parse(named.encode("latin-1"), timezone=ZONE).bad
    unknown = message().replace("|P|2.5", "|P|2.5||||||KLINGON")
    assert [bad.reason for bad in parse(unknown.encode(), timezone=ZONE).bad] == ["not_utf8"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("20260105103000-0800", datetime(2026, 1, 5, 18, 30, tzinfo=UTC), id="its own offset"),
        pytest.param("20260705103000", datetime(2026, 7, 5, 14, 30, tzinfo=UTC), id="local summer time"),
        pytest.param("202601051030", datetime(2026, 1, 5, 15, 30, tzinfo=UTC), id="without seconds"),
        pytest.param("20260105", datetime(2026, 1, 5, 5, 0, tzinfo=UTC), id="a day"),
        pytest.param("20260105103000.1234", datetime(2026, 1, 5, 15, 30, tzinfo=UTC), id="fractions of a second"),
    ],
)
def test_a_time_is_read_in_its_own_zone_or_the_practices(value: str, expected: datetime) -> None:
    assert instant(value, ZoneInfo(ZONE)) == expected


@pytest.mark.parametrize(
    ("components", "expected"),
    [
        pytest.param(["", "PRN", "CP", "", "1", "617", "2530001", "12"], "+1 617 2530001 x12", id="in parts"),
        pytest.param(["(617)253-0001", "PRN", "PH"], "(617)253-0001", id="formatted"),
        pytest.param(
            ["old", "PRN", "PH", "", "", "", "", "", "", "", "", "6172530001"], "6172530001", id="unformatted"
        ),
        pytest.param(["", "NET", "Internet", "jane@example.com"], "jane@example.com", id="an email"),
        pytest.param(['""'], None, id="deleted"),
        pytest.param(["", "PRN", "PH"], None, id="nothing"),
    ],
)
def test_a_phone_is_read_from_its_best_component(components: list[str], expected: str | None) -> None:
    found = phone(components)
    assert (found.value if found else None) == expected


@given(st.binary(max_size=200))
def test_any_bytes_give_events_or_reasons_and_no_error(content: bytes) -> None:
    file = parse(b"MSH|^~\\&|" + content, timezone=ZONE)
    assert file.events or file.bad
