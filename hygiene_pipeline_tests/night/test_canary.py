"""Nothing that identifies a patient gets out of the warehouse: not into an event, a log, a report or a file name."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from hygiene_pipeline_tests.night import formats
from hygiene_pipeline_tests.night.bed import TinyPractice
from hygiene_pipeline_tests.night.systems import LONG_AGO, PAYER, phone_of

TOKEN = "xyzzyq"
NUMBERS = ("6172538461", "253-8461", "6172528461", "252-8461")
BIRTH_DATES = ("1931-11-17", "19311117", "11/17/1931")
CANARIES = (TOKEN, *NUMBERS, *BIRTH_DATES)
PROBLEMS = (
    "raw/pm_patients: brought_enough: pm/patients.csv: brought nothing; it had records before",
    "staging/crm_contact: contract: accepted_values_insurance_status: 5 of 5 rows",
    "staging.pm_coverage: ConversionException while it ran",
    "the key does not open it; restore the key file it was made with",
)


@dataclass
class Aftermath:
    bed: TinyPractice
    home: Path
    said: bytes


def person(key: str, **changed: str) -> dict[str, str]:
    """A patient each of whose words is unmistakable."""
    return {
        "mrn": f"MXYZZYQ{key}", "first_name": f"Xyzzyqa{key}", "last_name": f"O'Xyzzyqo{key}", "sex": "female",
        "birth_date": "1931-11-17", "phone": "+16172538461", "email": f"xyzzyq{key}@example.org",
        "address_line": f"{key} Xyzzyq Lane", "city": "Xyzzyqville", "state": "MA", "postal_code": "01970", **changed,
    }  # fmt: skip


def spread(bed: TinyPractice) -> None:
    """Canaries in good and in broken records of every format; a file may be named after a patient, too."""
    systems = bed.systems
    for number in range(1, 5):
        systems.add_person(number)
        ids = {"contact_id": f"CXYZZYQ{number}", "pm_patient_id": f"PXYZZYQ{number}"}
        systems.contacts[f"C{number:02}"].update(
            person(str(number)), **ids, insurance_member_id=f"MBRXYZZYQ{number}", phone="(617) 253-8461"
        )
        systems.patients[f"P{number:02}"].update(person(str(number), phone="617.252.8461"), **ids)
        systems.patients[f"P{number:02}"].update(last_updated="2026-02-25T12:00:00Z")
        systems.coverage[f"P{number:02}"].update(member_id=f"MBRXYZZYQ{number}", **ids)
    systems.resources = [chart(str(number)) for number in range(1, 5)]
    systems.answers = [answer(str(number)) for number in range(1, 5)]
    systems.messages = [formats.discharge("MXYZZYQ1", stamp="20260228140000-0500", control="A1", name="XYZZYQO^XYZZYQA",
                                          phone="^PRN^PH^^1^617^2538461")]  # fmt: skip
    systems.replies = [reply(kind="stop"), reply(contact_id="CXYZZYQ2", kind="change_phone", value="617 252 8461")]
    files = systems.files("day0")
    files["replies/Xyzzyqa Xyzzyqo.ndjson"] = b'{"contact_id": "CXYZZYQ1", "kind": ' + formats.ndjson_bytes([reply()])
    for name, content in broken().items():
        files[name] = files.get(name, b"") + content
    bed.write(files)


def chart(key: str) -> formats.Resource:
    return formats.patient({**person(key), "ehr_patient_id": f"EXYZZYQ{key}"}, updated=LONG_AGO)


def answer(key: str) -> dict[str, str]:
    return {
        **PAYER, "check_id": f"KXYZZYQ{key}", "pm_patient_id": f"PXYZZYQ{key}", "member_id": f"MBRXYZZYQ{key}",
        "result": "inactive", "checked_at": "2026-02-26T15:00:00Z", "stamp": "20260226T1000", "name": "XYZZYQO*XYZZYQA",
    }  # fmt: skip


def reply(**said: str) -> dict[str, str]:
    row = {"contact_id": "CXYZZYQ1", "received_at": "2026-02-26T15:00:00Z", "channel": "sms", "kind": "Xyzzyq"}
    return {**row, "value": "Xyzzyq, +1 617 253 8461", **said}


def broken() -> dict[str, bytes]:
    """The same words where they make a record unusable."""
    bad_chart = {**chart("7"), "gender": "Xyzzyq", "birthDate": "1931-11-17-Xyzzyq"}
    cut = formats.x12_271([answer("8")], control=8)
    bad_plan = formats.care_plan("CPXYZZYQ", "EXYZZYQ1", "Xyzzyq", start="Xyzzyq")
    message = formats.discharge("MXYZZYQ9", stamp="Xyzzyq", control="XYZZYQ", name="XYZZYQO^XYZZYQA")
    row = {**person("7"), "birth_date": "Xyzzyq", "sex": "Xyzzyq", "is_active": "Xyzzyq", "last_modified": "Xyzzyq"}
    contacts = formats.csv_bytes(formats.CONTACTS, [{**row, "contact_id": "CXYZZYQ7"}])
    patients = formats.csv_bytes(formats.PATIENTS, [{**row, "pm_patient_id": "PXYZZYQ7"}])
    return {
        "crm/contacts.csv": contacts.partition(b"\n")[2],
        "pm/patients.csv": patients.partition(b"\n")[2] + b'PXYZZYQ8,"Xyzzyq,6172538461\n',
        "pm/coverage.csv": b"PXYZZYQ1,Xyzzyq,Xyzzyq,MBRXYZZYQ1,Xyzzyq,1931-11-17-Xyzzyq,Xyzzyq,Xyzzyq\n",
        "phone/lookups.csv": b"+16172538461,Xyzzyq,Xyzzyq,Xyzzyq,Xyzzyq,Xyzzyq,Xyzzyq\n",
        "ehr/Xyzzyqa.ndjson": formats.ndjson_bytes([bad_chart, bad_plan]) + b'{"resourceType":"Patient","id":"EXYZZYQ',
        "ehr_events/Xyzzyqo.hl7": message.encode(),
        "ehr_events/Xyzzyqo.json": json.dumps(bad_chart).encode()[:200],
        "pm/eligibility/Xyzzyqo.271": cut[: cut.index("EB*")].encode(),
        "pm/eligibility/Xyzzyqo.ndjson": b'{"id": "Xyzzyq"\n',
        "pm/eligibility/Xyzzyqo.csv": formats.csv_bytes(formats.ANSWERS, [{**answer("9"), "result": "Xyzzyq"}]),
    }  # fmt: skip


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    bed = TinyPractice(tmp_path_factory.mktemp("loud"))
    spread(bed)
    home = bed.root / "dagster_home"
    home.mkdir()
    process = subprocess.run(
        [sys.executable, "-m", "hygiene_pipeline_tests.night.loud_nights", str(bed.root)],
        env={**os.environ, "DAGSTER_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert process.returncode == 0, process.stdout.decode()[-4000:]
    return Aftermath(bed, home, process.stdout)


def found_in(text: bytes) -> list[str]:
    lowered = text.lower()
    return [canary for canary in CANARIES if canary.encode() in lowered]


def leaks_in_folder(folder: Path) -> Iterator[str]:
    """Where below a folder a canary is: in a name, in the bytes of a file, or in a value of an SQLite table."""
    for path in sorted(folder.rglob("*")):
        yield from (f"{canary} in the name of {path}" for canary in found_in(str(path.relative_to(folder)).encode()))
        if path.is_file():
            content = path.read_bytes()
            yield from (f"{canary} in {path}" for canary in found_in(content))
            if content.startswith(b"SQLite format 3"):
                yield from (f"{canary} in a table of {path}" for canary in found_in(_sqlite_values(path)))


def _sqlite_values(path: Path) -> bytes:
    """Every value of a database: a long text may lie on several pages of the file."""
    with closing(sqlite3.connect(path)) as con:
        tables = [name for (name,) in con.execute("select name from sqlite_master where type = 'table'")]
        return repr([con.execute(f'select * from "{table}"').fetchall() for table in tables]).encode()


def test_the_nights_went_as_they_were_meant_to(aftermath: Aftermath) -> None:
    said = aftermath.said.decode()
    assert "hygiene run --as-of 2026-03-02T07:00:00+00:00: 0" in said
    for problem in PROBLEMS:
        assert problem in said
    assert said.count("failure sensor: ") == 2
    events = b"".join(path.read_bytes() for path in aftermath.home.rglob("*.db"))
    assert b"ConversionException at hygiene_pipeline/landing/record_versions.py" in events
    assert "a wrong key opened the warehouse" not in said


def test_the_canaries_are_in_the_warehouse(aftermath: Aftermath) -> None:
    rows = aftermath.bed.rows(
        """select 'contact' as place, cast(contact as varchar) as words from staging.crm_contact as contact
           union all select 'patient', cast(patient as varchar) from reconciled.patient as patient
           union all select 'quarantine', cast(record as varchar) from quarantine.record as record
           union all select 'failure', key from quality.check_failure"""
    )
    for place in ("contact", "patient", "quarantine"):
        assert any(found_in(row["words"].encode()) for row in rows if row["place"] == place), place


def test_dagster_knows_none(aftermath: Aftermath) -> None:
    assert list(leaks_in_folder(aftermath.home)) == []


def test_nothing_that_was_said_or_logged_tells_one(aftermath: Aftermath) -> None:
    leaks = [line for line in aftermath.said.splitlines() if found_in(line)]
    assert leaks == []


def test_files_tell_none(aftermath: Aftermath) -> None:
    folders = aftermath.bed.folders
    assert list(leaks_in_folder(folders.reports)) == []
    assert list(leaks_in_folder(folders.published)) == []
    assert found_in(folders.warehouse.read_bytes()) == []
    names = [path.relative_to(folders.root) for path in folders.root.rglob("*") if folders.landing not in path.parents]
    assert not [name for name in names if found_in(str(name).encode())]


def test_analysts_see_none(aftermath: Aftermath) -> None:
    with duckdb.connect(str(aftermath.bed.folders.published / "analyst.duckdb"), read_only=True) as con:
        tables = con.execute("select schema_name || '.' || table_name from duckdb_tables()").fetchall()
        assert len(tables) > 5
        for (table,) in tables:
            rows = con.execute(f"from {table}").fetchall()
            assert found_in(repr(rows).encode()) == [], table
        assert con.execute("select count(*) > 0 from hygiene.issue").fetchall() == [(True,)]


def test_the_search_finds_what_is_there(aftermath: Aftermath, tmp_path: Path) -> None:
    (tmp_path / "run-Xyzzyq.log").write_text("call (617) 253-8461")
    with closing(sqlite3.connect(tmp_path / "events.db")) as con:
        con.execute("create table event (body text)")
        con.execute("insert into event values (?)", ["." * 4000 + "born 1931-11-17" + "." * 4000])
        con.commit()
    leaks = "\n".join(leaks_in_folder(tmp_path))
    assert "xyzzyq in the name of" in leaks
    assert "253-8461 in" in leaks
    assert "1931-11-17 in a table of" in leaks
    assert found_in(phone_of(1).encode()) == []
    assert found_in(aftermath.bed.folders.crm.read_bytes())
