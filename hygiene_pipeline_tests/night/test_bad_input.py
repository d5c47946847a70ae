"""Every kind of bad file in one night: it succeeds, the good records count, each bad one is told with its place."""

import gzip
import json

import pytest

from hygiene_pipeline_tests.night import formats
from hygiene_pipeline_tests.night.bed import FIRST, TinyPractice
from hygiene_pipeline_tests.night.formats import Resource
from hygiene_pipeline_tests.night.systems import LONG_AGO, PAYER, phone_of

BOM = b"\xef\xbb\xbf"
PEOPLE = 4
SCRIPTS = {
    "E21": ("Zoë", "Nuñez-O'Hara"),
    "E22": ("Владимир", "Ковалёв"),
    "E23": ("明", "王"),
    "E24": ("فاطمة", "الزهراء"),
    "E25": ("आरती", "शर्मा"),
}


def chart(key: str, **changed: object) -> Resource:
    first, last = SCRIPTS.get(key, ("Ann", "Abbot"))
    row = {
        "ehr_patient_id": key, "mrn": f"M{key[1:]}", "first_name": first, "last_name": last, "sex": "female",
        "birth_date": "1956-02-29", "phone": phone_of(int(key[1:])), "email": f"{key}@example.org",
        "address_line": "1 Main St", "city": "Salem", "state": "MA", "postal_code": "01970",
    }  # fmt: skip
    return {**formats.patient(row, updated=LONG_AGO), **changed}


def line(record: Resource) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"


def lay(bed: TinyPractice) -> None:
    """Four good people, and beside them one of each kind of trouble."""
    for number in range(1, PEOPLE + 1):
        bed.systems.add_person(number)
    files = bed.systems.files("day0")
    files["crm/contacts.csv"] += bad_contacts()
    files["pm/patients.csv"] = bad_registrations(files["pm/patients.csv"])
    bed.write({**files, **bad_charts(), **bad_messages(), **bad_answers(), **bad_phones_and_replies()})


def bad_charts() -> dict[str, bytes]:
    good = [line(chart(key)) for key in SCRIPTS]
    whole = gzip.compress(b"".join(line(chart(f"E{number}")) for number in range(31, 36)), mtime=0)
    return {
        "ehr/empty.ndjson": b"",
        "ehr/cut.ndjson.gz": whole[: len(whole) // 2],
        "ehr/whole.ndjson.gz": gzip.compress(line(chart("E36")), mtime=0),
        "ehr/windows.ndjson": BOM + b"".join(good).replace(b"\n", b"\r\n"),
        "ehr/mixed.ndjson": b"".join(
            [
                line(chart("E41")),
                line(chart("E42", gender="woman")),
                line(chart("E43", birthDate="2026-02-29")),
                line({key: value for key, value in chart("E44").items() if key != "id"}),
                b'{"resourceType":"Patient","id":"E45","birthDate":"19\n',
                line(chart("E46")).replace(b"Abbot", b"Abb\xf6t"),
                b"\n",
                line(chart("E47")) * 2,
                line(chart("E48", birthDate="1900-01-01")),
                line({"resourceType": "Pasient", "id": "E49"}),
                line(chart("E50"))[:-1],
            ]
        ),
    }


def bad_messages() -> dict[str, bytes]:
    good = formats.discharge("M01", stamp="20260226120000-0500", control="A1").encode()
    without_patient = b"\r".join(part for part in good.split(b"\r") if not part.startswith(b"PID"))
    return {
        "ehr_events/adt.hl7": good + without_patient.replace(b"|A1|", b"|A2|"),
        "ehr_events/times.hl7": good.replace(b"20260226", b"20260231").replace(b"|A1|", b"|A3|"),
        "ehr_events/empty.hl7": b"",
        "ehr_events/cut.json": line(chart("E51"))[:60],
    }


def bad_registrations(good: bytes) -> bytes:
    """As a Windows program saves it, with one bad line of each kind after the good ones."""
    template = good.splitlines()[1].decode()

    def person(number: int, **replaced: str) -> bytes:
        row = dict(zip(formats.PATIENTS, template.split(","), strict=True))
        row |= {"pm_patient_id": f"P{number}", "mrn": f"M{number}", "phone": phone_of(number), **replaced}
        return ",".join(row.values()).encode() + b"\n"

    lines = [
        good,
        person(61, birth_date="1955-02-29"),
        person(62, sex="lady"),
        person(63, birth_date="1900-01-01"),
        person(64, birth_date="2026-12-31"),
        person(65, last_updated="last week"),
        person(66)[:-1] + b",one,more\n",
        person(67).split(b",", 4)[0] + b"\n",
        person(68, last_name="Müller").decode().encode("latin-1"),
        person(69) * 2,
        person(70, pm_patient_id=""),
        person(71, last_name='"Roe'),
    ]
    return BOM + b"".join(lines).replace(b"\n", b"\r\n")


def bad_contacts() -> bytes:
    base = {"insurance_status": "active", "is_active": "true", "last_modified": LONG_AGO, "first_name": "Ann"}
    rows = [
        {**base, "contact_id": "C81", "care_status": "hibernating"},
        {**base, "contact_id": "C82", "is_active": "perhaps"},
        {**base, "contact_id": "C83", "birth_date": "31/31/1970"},
        {**base, "contact_id": "C84", "birth_date": "1944-02-29"},
    ]
    return formats.csv_bytes(formats.CONTACTS, rows).partition(b"\n")[2]


def bad_answers() -> dict[str, bytes]:
    answer = {
        **PAYER, "check_id": "K91", "pm_patient_id": "P01", "member_id": "ACM0001", "result": "active",
        "checked_at": "2026-02-26T15:00:00Z", "stamp": "20260226T1000",
    }  # fmt: skip
    interchange = formats.x12_271([answer, {**answer, "check_id": "K92"}], control=91)
    rows = [{**answer, "check_id": "K93", "result": "perhaps"}, {**answer, "check_id": "K94"}]
    return {
        "pm/eligibility/cut.271": interchange[: interchange.index("EB*1", interchange.index("K92"))].encode(),
        "pm/eligibility/noise.271": b"this is no interchange",
        "pm/eligibility/rows.csv": formats.csv_bytes(formats.ANSWERS, rows),
        "pm/eligibility/lines.ndjson": b'{"resourceType":\n' + line(formats.eligibility_response(answer)),
        "pm/eligibility/empty.ndjson": b"",
    }


def bad_phones_and_replies() -> dict[str, bytes]:
    lookups = formats.csv_bytes(formats.LOOKUPS, [])
    reply = {"contact_id": "C02", "received_at": "2026-02-26T15:00:00Z", "channel": "sms", "value": phone_of(2)}
    return {
        "phone/lookups.csv": lookups.decode().encode("utf-16"),
        "replies/day0.ndjson": b"".join(
            [
                line({**reply, "kind": "confirm_phone"}),
                line({**reply, "kind": "shrug"}),
                line({**reply, "kind": "stop", "contact_id": ""}),
                b"STOP\n",
            ]
        ),
    }


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> TinyPractice:
    bed = TinyPractice(tmp_path_factory.mktemp("bad"))
    lay(bed)
    bed.night(FIRST, job="bare_night")
    return bed


# Where the record stood, and what is told about it.
QUARANTINED = {
    "a chart with a code that FHIR does not have": ("ehr/mixed.ndjson", 2, "gender", "unknown_code"),
    "a chart born on 29 February of no leap year": ("ehr/mixed.ndjson", 3, "birthDate", "invalid_date"),
    "a chart without an id": ("ehr/mixed.ndjson", 4, "id", "missing_id"),
    "a line that breaks off": ("ehr/mixed.ndjson", 5, None, "truncated"),
    "a line in another encoding": ("ehr/mixed.ndjson", 6, None, "not_utf8"),
    "a resource of no known type": ("ehr/mixed.ndjson", 11, "resourceType", "unknown_resource_type"),
    "an export without a line": ("ehr/empty.ndjson", None, None, "empty_file"),
    "a gzip file that breaks off": ("ehr/cut.ndjson.gz", None, None, "truncated"),
    "a message without a patient": ("ehr_events/adt.hl7", 5, "PID", "missing_segment"),
    "a message of 31 February": ("ehr_events/times.hl7", 1, "EVN-2", "invalid_date"),
    "a notification that breaks off": ("ehr_events/cut.json", 1, None, "truncated"),
    "a registration born on 29 February of no leap year": ("pm/patients.csv", 6, "birth_date", "bad_date"),
    "a registration with an unknown code": ("pm/patients.csv", 7, "sex", "unknown_code"),
    "a registration born in the future": ("pm/patients.csv", 9, "birth_date", "bad_date"),
    "a registration changed at no time": ("pm/patients.csv", 10, "last_updated", "bad_timestamp"),
    "a registration with too many fields": ("pm/patients.csv", 11, None, "surplus_fields"),
    "a registration with too few": ("pm/patients.csv", 12, None, "missing_fields"),
    "a registration in another encoding": ("pm/patients.csv", 13, None, "not_utf8"),
    "a registration without a key": ("pm/patients.csv", 16, "pm_patient_id", "missing_key"),
    "a registration with an open quote": ("pm/patients.csv", 17, None, "unclosed_quote"),
    "a contact with an unknown code": ("crm/contacts.csv", 6, "care_status", "unknown_code"),
    "a contact that is perhaps active": ("crm/contacts.csv", 7, "is_active", "bad_boolean"),
    "a contact born in month 31": ("crm/contacts.csv", 8, "birth_date", "bad_date"),
    "a 271 that breaks off": ("pm/eligibility/cut.271", 20, None, "truncated_transaction"),
    "a 271 that is none": ("pm/eligibility/noise.271", 1, None, "outside_interchange"),
    "an answer with an unknown result": ("pm/eligibility/rows.csv", 2, "result", "unknown_code"),
    "an answer that is no JSON": ("pm/eligibility/lines.ndjson", 1, None, "not_json"),
    "an empty file": ("pm/eligibility/empty.ndjson", None, None, "empty_file"),
    "lookups in UTF-16": ("phone/lookups.csv", None, None, "not_utf8"),
    "a reply of an unknown kind": ("replies/day0.ndjson", 2, "kind", "unknown_code"),
    "a reply of nobody": ("replies/day0.ndjson", 3, "contact_id", "missing_key"),
    "a reply that is no JSON": ("replies/day0.ndjson", 4, None, "not_json"),
}


@pytest.fixture(scope="module")
def quarantine(bed: TinyPractice) -> dict[tuple[object, ...], str | None]:
    """The original text of every quarantined record by its file, line, field and reason."""
    rows = bed.rows("from quarantine.record")
    return {
        (row["source_file"], row["source_line"], row["field"] or None, row["reason"]): row["original"] for row in rows
    }


@pytest.mark.parametrize("case", QUARANTINED)
def test_told_with_file_line_field_and_reason(quarantine: dict[tuple[object, ...], str | None], case: str) -> None:
    assert QUARANTINED[case] in quarantine
    _, number, *_ = QUARANTINED[case]
    assert quarantine[QUARANTINED[case]] or number is None, "the original text is lost"


def test_nothing_else_is_quarantined(quarantine: dict[tuple[object, ...], str | None]) -> None:
    # A record refused for its key says which part of the key was unusable; a file that broke off tells its last line.
    also = {
        place
        for place in quarantine
        if place[3] == "unusable_key" or place == ("ehr/cut.ndjson.gz", 1, None, "truncated")
    }
    assert set(quarantine) - also == set(QUARANTINED.values())


KEPT = {
    "charts of good people, in every script, of leap days, of 1900, twice the same, and without a last line end": (
        "select ehr_patient_id from staging.ehr_patient",
        {"E01", "E02", "E03", "E04", *SCRIPTS, "E36", "E41", "E47", "E48", "E50"},
    ),
    "registrations, those with a bad field too, without that field": (
        "select pm_patient_id from staging.pm_patient",
        {"P01", "P02", "P03", "P04", "P61", "P62", "P63", "P64", "P65", "P69"},
    ),
    "contacts, those with a bad field too": (
        "select contact_id from hygiene.contact_status",
        {"C01", "C02", "C03", "C04", "C81", "C82", "C83", "C84"},
    ),
    "answers before, beside and after a bad one": (
        "select distinct check_id from staging.pm_eligibility",
        {"K01", "K02", "K03", "K04", "K91", "K94"},
    ),
    "the reply beside bad ones": ("select contact_id from staging.reply", {"C02"}),
    "the message beside a bad one": ("select evidence_ref from raw.ehr_event", {"ADT^A03/A1"}),
}


@pytest.mark.parametrize("case", KEPT)
def test_good_records_are_there(bed: TinyPractice, case: str) -> None:
    query, keys = KEPT[case]
    assert sorted(next(iter(row.values())) for row in bed.rows(query)) == sorted(keys)


@pytest.mark.parametrize("key", SCRIPTS)
def test_names_arrive_as_they_are_written(bed: TinyPractice, key: str) -> None:
    [row] = bed.rows("select first_name, last_name, cast(birth_date as varchar) as born from staging.ehr_patient "
                     "where ehr_patient_id = ?", key)  # fmt: skip
    assert (row["first_name"], row["last_name"], row["born"]) == (*SCRIPTS[key], "1956-02-29")
