"""Whole files: what loads, what goes to quarantine and why."""

import pyarrow as pa
import pytest

from hygiene_pipeline.failures import PracticeFileError
from hygiene_pipeline.landing import tabular
from hygiene_pipeline.landing.file import Loaded
from hygiene_pipeline_tests.landing.desk import FIRST_NIGHT, ZONE, Desk

PATIENTS = "pm/patients.csv"
HEADER = "pm_patient_id,first_name,last_updated"


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


FILES = {
    "a plain file": (f"{HEADER}\n1,Ann,\n2,Bo,\n", {"1": "Ann", "2": "Bo"}, []),
    "a byte-order mark and CRLF": (f"\ufeff{HEADER}\r\n1,Ann,\r\n2,Bo,\r\n", {"1": "Ann", "2": "Bo"}, []),
    "lone carriage returns": (f"{HEADER}\r1,Ann,\r2,Bo,\r", {"1": "Ann", "2": "Bo"}, []),
    "no newline at the end": (f"{HEADER}\n1,Ann,\n2,Bo,", {"1": "Ann", "2": "Bo"}, []),
    "blank lines": (f"\n{HEADER}\n\n1,Ann,\n  \n2,Bo,\n\n", {"1": "Ann", "2": "Bo"}, []),
    "quoted commas, quotes and newlines": (
        f'{HEADER}\n1,"Ann, ""A""\nMay",\n2,Bo,\n',
        {"1": 'Ann, "A"\nMay', "2": "Bo"},
        [],
    ),
    "a quote within a plain field": (f'{HEADER}\n1,An"n,\n2,Bo,\n', {"1": 'An"n', "2": "Bo"}, []),
    "a quote nobody closed costs its own line": (
        f'{HEADER}\n1,"Ann,\n2,Bo,\n3,"Cy\nX",\n4,Di,\n',
        {"2": "Bo", "4": "Di"},
        [(2, None, "unclosed_quote"), (4, None, "unclosed_quote"), (5, None, "missing_fields")],
    ),
    "a line with too few fields": (f"{HEADER}\n1\n2,Bo,\n", {"2": "Bo"}, [(2, None, "missing_fields")]),
    "a line with too many fields": (f"{HEADER}\n1,Ann,,x\n2,Bo,\n", {"2": "Bo"}, [(2, None, "surplus_fields")]),
    "empty fields beyond the header": (f"{HEADER}\n1,Ann,,,\n2,Bo,\n", {"1": "Ann", "2": "Bo"}, []),
    "a last line cut off": (f"{HEADER}\n1,Ann,\n2,B", {"1": "Ann"}, [(3, None, "truncated_line")]),
    "a last line cut off within quotes": (f'{HEADER}\n1,Ann,\n2,"B', {"1": "Ann"}, [(3, None, "truncated_line")]),
    "reordered, extra and oddly spelt columns": (
        " First_Name ,favourite,PM_PATIENT_ID\nAnn,blue,1\n",
        {"1": "Ann"},
        [],
    ),
    "a missing optional column": ("pm_patient_id\n1\n", {"1": None}, []),
    "a missing key column refuses the file": (
        "first_name,last_updated\nAnn,\n",
        {},
        [(1, "pm_patient_id", "missing_column")],
    ),
    "a file without header is refused": ("1,Ann,\n2,Bo,\n", {}, [(1, "pm_patient_id", "missing_column")]),
    "a column given twice refuses the file": (
        "pm_patient_id,first_name,first_name\n1,Ann,Bo\n",
        {},
        [(1, "first_name", "doubled_column")],
    ),
    "an empty file": ("", {}, [(None, None, "empty_file")]),
    "a header only": (f"{HEADER}\n", {}, []),
    "a missing key": (f"{HEADER}\n,Ann,\n2,Bo,\n", {"2": "Bo"}, [(2, "pm_patient_id", "missing_key")]),
    "UTF-16 from a spreadsheet": (f"{HEADER}\n1,Ann,\n".encode("utf-16"), {}, [(None, None, "not_utf8")]),
    "UTF-16 without mark": (f"{HEADER}\n1,Ann,\n".encode("utf-16-le"), {}, [(None, None, "not_utf8")]),
    "one line in Latin-1": (
        f"{HEADER}\n1,Ann,\n".encode() + "2,René,\n".encode("latin-1") + "3,Zoë,\n".encode(),
        {"1": "Ann", "3": "Zoë"},
        [(3, None, "not_utf8")],
    ),
    "equal lines collapse": (f"{HEADER}\n1,Ann,\n1,Ann,\n", {"1": "Ann"}, []),
    "of two records with one key the later one counts": (
        f"{HEADER}\n1,New,2026-02-02T00:00:00Z\n1,Old,2026-02-01T00:00:00Z\n1,None,\n",
        {"1": "New"},
        [(3, "pm_patient_id", "duplicate_key"), (4, "pm_patient_id", "duplicate_key")],
    ),
    "of two equally old ones the later line counts": (
        f"{HEADER}\n1,First,\n1,Last,\n",
        {"1": "Last"},
        [(2, "pm_patient_id", "duplicate_key")],
    ),
}


@pytest.mark.parametrize(("content", "loaded", "quarantined"), FILES.values(), ids=FILES.keys())
def test_a_file_loads_as_far_as_it_can(desk, content, loaded, quarantined):
    result = desk.take(PATIENTS, content)
    rows = desk.rows("select pm_patient_id, first_name from raw.pm_patients where not is_removed order by all")
    assert {row["pm_patient_id"]: row["first_name"] for row in rows} == loaded
    assert desk.quarantined() == quarantined
    assert result == Loaded(rows=len(loaded), quarantined=len(quarantined))


def test_every_row_says_where_it_is_from(desk):
    desk.take(PATIENTS, f'{HEADER}\n1,"A\nnn",\n2,Bo,\n')
    row = desk.rows("select * exclude (row_hash) from raw.pm_patients where pm_patient_id = '2'")[0]
    assert (row["source_file"], row["source_line"], row["take_seq"]) == (PATIENTS, 4, 1)
    assert (row["extracted_at"], len(row["file_id"])) == (FIRST_NIGHT, 16)


def test_the_quarantine_keeps_the_original_text(desk):
    desk.take(PATIENTS, f"{HEADER}\n".encode() + "2,René,\n".encode("latin-1") + b"3\n")
    kept = desk.rows(
        "select place, source, source_file, original, taken_at from quarantine.record order by source_line"
    )
    assert [row["original"] for row in kept] == ["2,René,", "3"]
    assert {(row["place"], row["source"], row["source_file"]) for row in kept} == {(PATIENTS, "pm", PATIENTS)}
    assert {row["taken_at"] for row in kept} == {FIRST_NIGHT}


def test_other_column_names_and_date_formats_are_mapped(desk):
    mapping = {
        "PatientID": "pm_patient_id",
        "DOB": {"as": "birth_date", "format": "%m/%d/%Y"},
        "Changed": {"as": "last_updated", "format": "%m/%d/%Y %H:%M"},
    }
    desk.take(PATIENTS, "PATIENTID,DOB,Changed\n1,2/9/1944,01/05/2026 10:00\n2,1944-02-09,\n", mapping=mapping)
    rows = desk.rows(
        "select pm_patient_id, birth_date::varchar as born, last_updated::varchar as at from raw.pm_patients"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("1", "1944-02-09", "2026-01-05 15:00:00+00"),
        ("2", None, None),
    ]
    assert desk.quarantined() == [(3, "birth_date", "bad_date")]


def test_two_digit_years_of_birth_are_in_the_past(desk):
    mapping = {"birth_date": {"as": "birth_date", "format": "%m/%d/%y"}}
    desk.take(PATIENTS, "pm_patient_id,birth_date\n1,02/09/44\n2,02/09/20\n", mapping=mapping)
    rows = desk.rows("select birth_date::varchar as born from raw.pm_patients order by pm_patient_id")
    assert [row["born"] for row in rows] == ["1944-02-09", "2020-02-09"]


def test_a_mapping_to_an_unknown_column_is_refused_by_name(desk):
    with pytest.raises(PracticeFileError, match=r"pm/patients\.csv: DOB: birthday is not a column"):
        desk.take(PATIENTS, f"{HEADER}\n", mapping={"DOB": "birthday"})


def test_a_date_format_that_is_none_is_refused_by_name(desk):
    with pytest.raises(PracticeFileError, match=r"pm/patients\.csv: birth_date: '%Q' is not a date format"):
        desk.take(PATIENTS, "pm_patient_id,DOB\n1,x\n", mapping={"DOB": {"as": "birth_date", "format": "%Q"}})


def test_rows_of_an_adapter_pass_the_same_checks(desk):
    table = pa.table(
        {"contact_id": ["c1", None], "is_active": ["maybe", "true"], "segments": [" diabetes;copd ", None]}
    )
    loaded = tabular.load_rows(
        desk.con,
        "crm/contacts.csv",
        table,
        source_file="hubspot",
        file_id="0123456789abcdef",
        take_seq=7,
        extracted_at=FIRST_NIGHT,
        timezone=ZONE,
        mapping={},
    )
    assert loaded == Loaded(rows=1, quarantined=2)
    row = desk.rows("select contact_id, is_active, segments, source_file, source_line from raw.crm_contacts")[0]
    assert tuple(row.values()) == ("c1", None, "diabetes;copd", "hubspot", 1)
    assert desk.quarantined() == [(1, "is_active", "bad_boolean"), (2, "contact_id", "missing_key")]
    original = desk.rows("select original from quarantine.record where source_line = 2")[0]["original"]
    assert original == '{"contact_id":null,"is_active":"true","segments":null}'


PLACES = {
    "pm/coverage.csv": "pm_patient_id,payer_id,effective_date\np1,aetna,2026-01-01\np1,aetna,2025-01-01\n",
    "pm/appointments.csv": "appointment_id,status,booked_at\na1,No-Show,2026-01-01T09:00:00-05:00\na2,Booked,\n",
    "pm/referral_network.csv": "npi,status,end_date\n1234567893,active,\n1003000126,INACTIVE,2025-12-31\n",
    "crm/contacts.csv": "contact_id,care_status,sms_opt_out\nc1,active,yes\nc2,none,0\n",
    "crm/interactions.csv": "interaction_id,contact_id,score\ni1,c1,4.5\ni2,c1,\n",
    "phone/lookups.csv": "phone,checked_at,valid\n+16172530000,2026-01-01,true\n+16172530000,2026-01-02,f\n",
}


@pytest.mark.parametrize(("place", "content"), PLACES.items(), ids=PLACES.keys())
def test_every_place_loads_and_a_second_delivery_adds_nothing(desk, place, content):
    table = tabular.EXTRACTS[place].table
    assert desk.take(place, content) == Loaded(rows=2, quarantined=0)
    assert desk.take(place, content) == Loaded(rows=2, quarantined=0)
    assert desk.rows(f"select count(*) as n from {table}")[0]["n"] == 2
