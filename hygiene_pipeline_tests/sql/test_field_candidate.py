"""What each source says of each field: who speaks of it, in what words, since when, how strongly, where it stands."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import pytest

from hygiene_pipeline_tests.sql.cases import AS_OF, RECONCILED, Row, ago, lay, links

Tables = Mapping[str, Sequence[Row]]
# patient: field: what is said of it, by source, record and value
Candidates = dict[str, dict[str, list[Row]]]

# Whose id a row bears if its case does not say: the patient's, who is called after the case.
OWN_ID = {
    "staging.crm_contact": "contact_id",
    "staging.pm_patient": "pm_patient_id",
    "staging.ehr_patient": "ehr_patient_id",
    "staging.reply": "contact_id",
    "reconciled.crm_value_since": "contact_id",
    "reconciled.care_truth": "patient_id",
    "reconciled.insurance_truth": "patient_id",
    "reconciled.postal_address": "patient_id",
    "reconciled.phone_claim": "patient_id",
    "reconciled.patient_phone": "patient_id",
    "identity.patient_link": "patient_id",
}
PHONE = "+16172530001"


def crm(**row: Any) -> Tables:
    return {"staging.crm_contact": [row]}


def pm(**row: Any) -> Tables:
    return {"staging.pm_patient": [row]}


def ehr(**row: Any) -> Tables:
    return {"staging.ehr_patient": [row]}


def linked_elsewhere(source: str) -> Tables:
    """A record whose id is linked to the patient, but as the id of records of the other systems."""
    [table] = {"crm": crm, "pm": pm, "ehr": ehr}[source]()
    own = {OWN_ID[table]: f"x-{source}", "sex": "female"}
    others = [{"source": other, "source_id": f"x-{source}"} for other in ("crm", "pm", "ehr") if other != source]
    return {table: [own], "identity.patient_link": others}


def stop(days: float, **row: Any) -> Row:
    return {"kind": "stop", "received_at": ago(days), "evidence_ref": f"replies/{days}", **row}


def care(*own: Sequence[str] | None, **truth: Any) -> Tables:
    """What the EHR stands for, and the segments that each CRM contact of the patient shows."""
    contacts = [{"contact_id": f"{truth['evidence_ref']}-{n}", "segments": segments} for n, segments in enumerate(own)]
    return {
        "reconciled.care_truth": [{"segments": [], "leaves_segments": False, **truth}],
        "staging.crm_contact": contacts,
        "identity.patient_link": [{"source": "crm", "source_id": row["contact_id"]} for row in contacts],
    }


def insurance(**truth: Any) -> Tables:
    return {"reconciled.insurance_truth": [{"pm_patient_id": "m", "is_in_force": False, **truth}]}


def claim(source: str, is_known_bad: bool, days: float | None = 3) -> Tables:
    said = {"source": source, "source_id": "s", "stood_by_at": None if days is None else ago(days)}
    return {
        "reconciled.phone_claim": [{"phone": PHONE, "evidence_ref": f"claims/{source}", **said}],
        "reconciled.patient_phone": [{"phone": PHONE, "is_known_bad": is_known_bad}],
    }


def spoken(cases: Mapping[str, Tables], **policies: Sequence[Row]) -> Candidates:
    """What is said of the patients of all cases, laid side by side."""
    bed = lay({}, AS_OF, **policies)
    # Built of nothing, so that the tables which the model reads have the columns that their own SQL gives them.
    bed.build(*RECONCILED)
    laid: dict[str, list[Row]] = {table: [] for table in OWN_ID}
    for name, tables in cases.items():
        linked = links(*((source, name, name) for source in ("crm", "pm", "ehr")))
        for table, rows in ({"identity.patient_link": linked} | dict(tables)).items():
            laid[table] += [{OWN_ID[table]: name, **row} for row in rows]
    for table, rows in laid.items():
        bed.table(table, rows)
    bed.build("reconciled.field_candidate")
    found: Candidates = {name: {} for name in cases}
    for row in bed.rows("from reconciled.field_candidate order by source, source_id, value"):
        found[row["patient_id"]].setdefault(row["field"], []).append(row)
    return found


def told(found: Candidates, name: str, field: str, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in found[name].get(field, [])]


ALL = "p"
PERSON = {"first_name": "Anna", "last_name": "Keller", "birth_date": date(1980, 5, 4), "sex": "female"}
PLACE = {"city": "Boston", "state": "MA", "postal_code": "02139"}
OPT_OUTS = ("sms_opt_out", "email_opt_out", "call_opt_out")
# Every column of every source is filled and has a time of its own, so that what is said tells where it was taken from.
EVERYTHING: Tables = {
    "staging.crm_contact": [
        {
            **PERSON, **PLACE, "email": "crm@x.org", "address_line": "not from here", "phone": "+16172530009",
            "alternate_phone": "+16172530008", "insurance_payer_id": "A1", "insurance_payer": "Aetna",
            "insurance_member_id": "W1", "insurance_status": "active", "care_status": "active", "segments": ["vip"],
            "referring_provider_npi": "1", "last_phone_verified": ago(1), "preferred_channel": "sms",
            "sms_opt_out": False, "email_opt_out": True, "call_opt_out": False, "last_modified": ago(10),
        }
    ],
    "reconciled.crm_value_since": [
        {
            "first_seen_at": ago(99), "person_since": ago(11), "address_since": ago(12), "email_since": ago(13),
            "care_since": ago(1), "insurance_since": ago(2),
        }
    ],
    "staging.pm_patient": [
        {
            **PERSON, **PLACE, "email": "pm@x.org", "address_line": "not from here", "phone": "+16172530009",
            "referring_provider_npi": "2", "last_updated": ago(20), "phone_confirmed_at": ago(1),
            "email_confirmed_at": ago(21),
        }
    ],
    "staging.ehr_patient": [
        {
            **PERSON, **PLACE, "email": "ehr@x.org", "address_line": "not from here", "phone": "+16172530009",
            "pcp_npi": "3", "last_updated": ago(30), "phone_confirmed_at": ago(1), "email_confirmed_at": ago(31),
        }
    ],
    "reconciled.care_truth": [
        {
            "care_status": "referred", "event_at": ago(40), "received_at": ago(1), "evidence_ref": "Encounter/1",
            "record_updated_at": ago(2), "segments": ["copd"], "leaves_segments": False, "condition_at": ago(41),
            "condition_ref": "Condition/1",
        }
    ],
    "reconciled.insurance_truth": [
        {
            "pm_patient_id": "m2", "payer_id": "B1", "payer_name": "Cigna", "member_id": "W2", "payer_key": "no",
            "member_key": "no", "coverage_updated_at": ago(50), "is_in_force": True, "is_terminated": False,
            "answered_at": ago(51), "answer_ref": "271/1", "asked_at": ago(1), "ask_ref": "271/2",
            "insurance_status": "verify_required", "status_source": "eligibility",
        }
    ],
    "staging.reply": [stop(60)],
    "reconciled.postal_address": [
        {
            "source": source, "source_id": ALL, "address_line": f" {days} Main Street ", "line_key": f"{days} main st",
            "address_key": "no", "said_at": ago(days),
        }
        for source, days in (("crm", 14), ("pm", 22), ("ehr", 32))
    ],
    "reconciled.phone_claim": [
        {
            "phone": PHONE, "source": source, "source_id": f"{source}-1", "confirmed_at": ago(1),
            "stood_by_at": ago(days), "evidence_ref": f"claims/{source}",
        }
        for source, days in (("crm", 15), ("pm", 23), ("ehr", 33), ("patient", 61))
    ],
    "reconciled.patient_phone": [{"phone": PHONE, "stood_by_at": ago(1), "is_known_bad": False}],
}  # fmt: skip


def each(fields: Mapping[str, Any], days: float) -> dict[str, tuple[str, float]]:
    return {field: (str(value), days) for field, value in fields.items()}


# (source, its record, where to look it up, strength): field: value, and days since the source said so
SPEAKERS: dict[tuple[str, str, str, int], dict[str, tuple[str, float]]] = {
    ("crm", ALL, f"contacts/{ALL}", 1): {
        **each(PERSON, 11),
        **each(PLACE, 12),
        "email": ("crm@x.org", 13),
        "address_line": ("14 Main Street", 14),
        **each({"insurance_payer_id": "A1", "insurance_payer": "Aetna", "insurance_member_id": "W1"}, 10),
        **each({"insurance_status": "active", "care_status": "active", "segments": "vip"}, 10),
        **each({"referring_provider_npi": "1", "preferred_channel": "sms"}, 10),
        **each({"sms_opt_out": "false", "email_opt_out": "true", "call_opt_out": "false"}, 10),
    },
    ("pm", ALL, f"patients/{ALL}", 1): {
        **each(PERSON | PLACE | {"referring_provider_npi": "2"}, 20),
        "email": ("pm@x.org", 21),
        "address_line": ("22 Main Street", 22),
    },
    ("ehr", ALL, f"Patient/{ALL}", 1): {
        **each(PERSON | PLACE, 30),
        "email": ("ehr@x.org", 31),
        "address_line": ("32 Main Street", 32),
    },
    ("ehr", "Encounter/1", "Encounter/1", 1): {"care_status": ("referred", 40)},
    ("ehr", "Condition/1", "Condition/1", 1): {"segments": ("copd;vip", 41)},
    ("pm", "m2", "coverage/m2", 1): each(
        {"insurance_payer_id": "B1", "insurance_payer": "Cigna", "insurance_member_id": "W2"}, 50
    ),
    ("eligibility", "271/1", "271/1", 2): {"insurance_status": ("verify_required", 51)},
    ("patient", ALL, "replies/60", 3): each(dict.fromkeys(OPT_OUTS, "true"), 60),
    ("crm", "crm-1", "claims/crm", 1): {"phone": (PHONE, 15)},
    ("pm", "pm-1", "claims/pm", 1): {"phone": (PHONE, 23)},
    ("ehr", "ehr-1", "claims/ehr", 1): {"phone": (PHONE, 33)},
    ("patient", "patient-1", "claims/patient", 3): {"phone": (PHONE, 61)},
}

# What is laid, the field, and every source and value.
VALUES: dict[str, tuple[Tables, str, list[tuple[str, str]]]] = {
    "spaces around a text are nobody's": (crm(first_name="  Mary Ann "), "first_name", [("crm", "Mary Ann")]),
    "an empty text is no value": (crm(first_name=""), "first_name", []),
    "a blank text is no value": (pm(city="   "), "city", []),
    "nothing is no value": (ehr(last_name=None), "last_name", []),
    "an empty list of segments is one": (crm(segments=[]), "segments", [("crm", "")]),
    "no list of segments is none": (crm(segments=None), "segments", []),
    "an opt-out that nobody asked about is none": (crm(sms_opt_out=None), "sms_opt_out", []),
    "a record that the EHR replaced is not heard": (ehr(first_name="Anna", replaced_by="e2"), "first_name", []),
    "two contacts of one patient both speak": (
        {
            "staging.crm_contact": [{"contact_id": "c1", "sex": "male"}, {"contact_id": "c2", "sex": "male"}],
            "identity.patient_link": [{"source": "crm", "source_id": "c1"}, {"source": "crm", "source_id": "c2"}],
        },
        "sex", [("crm", "male"), ("crm", "male")]),
    "a contact that only other systems' links name": (linked_elsewhere("crm"), "sex", []),
    "a PM record that only other systems' links name": (linked_elsewhere("pm"), "sex", []),
    "an EHR record that only other systems' links name": (linked_elsewhere("ehr"), "sex", []),
    "a stop from a contact that only other systems' links name": (
        {"staging.reply": [stop(1, contact_id="x-crm")], **linked_elsewhere("crm")}, "sms_opt_out", []),
    "a stop from a contact that is nobody's": (
        {"staging.reply": [stop(1)], "identity.patient_link": []}, "sms_opt_out", []),
    **{
        f"a stop by email closes {field}": ({"staging.reply": [stop(1, channel="email")]}, field, [("patient", "true")])
        for field in OPT_OUTS
    },
    "a stop at the instant of the clock": ({"staging.reply": [stop(0)]}, "call_opt_out", [("patient", "true")]),
    "a stop after the clock is not known": ({"staging.reply": [stop(-0.001)]}, "call_opt_out", []),
    "a confirmed number is no stop": (
        {"staging.reply": [stop(1, kind="confirm_phone", value=PHONE)]}, "sms_opt_out", []),
    "the payer of a policy not in force": (insurance(payer_name="Cigna"), "insurance_payer", []),
    "the id of a policy not in force": (insurance(payer_id="B1"), "insurance_payer_id", []),
    "the member of a policy not in force": (insurance(member_id="W2"), "insurance_member_id", []),
    "a policy that ended stands for a status still": (
        insurance(insurance_status="lapsed", status_source="pm"), "insurance_status", [("pm", "lapsed")]),
    "a policy in force that no payer vouches for": (insurance(is_in_force=True), "insurance_status", []),
    "a contact's own segments lie under the EHR's": (
        care(["newsletter"], evidence_ref="a", segments=["diabetes"]), "segments",
        [("crm", "newsletter"), ("ehr", "diabetes;newsletter")]),
    "a condition the EHR does not know of is not own": (
        care(["copd", "newsletter"], evidence_ref="b"), "segments",
        [("crm", "copd;newsletter"), ("ehr", "newsletter")]),
    "the own segments of all contacts, each once": (
        care(["vip"], ["newsletter", "vip"], None, evidence_ref="c", segments=["copd"]), "segments",
        [("crm", "vip"), ("crm", "newsletter;vip"), ("ehr", "copd;newsletter;vip")]),
    "a patient whom the CRM does not know": (
        care(evidence_ref="d", segments=["diabetes", "copd"]), "segments", [("ehr", "copd;diabetes")]),
    "the EHR may say that there is none": (care(evidence_ref="e"), "segments", [("ehr", "")]),
}  # fmt: skip

STATUS = {"insurance_status": "lapsed", "coverage_updated_at": ago(5), "answered_at": ago(6), "answer_ref": "271/9"}
TIMES = {"event_at": ago(4), "record_updated_at": ago(2)}
FOUND = {"condition_at": ago(3), "condition_ref": "Condition/1"}
# What is laid, the field, and of each candidate: record, when confirmed, where to look it up.
CONFIRMED: dict[str, tuple[Tables, str, list[tuple[str, datetime | None, str]]]] = {
    "the EHR's own record where it knows no event": (
        care(care_status="none", evidence_ref="Patient/1", record_updated_at=ago(2)), "care_status",
        [("Patient/1", ago(2), "Patient/1")]),
    "segments by the condition": (
        care(evidence_ref="CarePlan/1", **TIMES, **FOUND), "segments", [("Condition/1", ago(3), "Condition/1")]),
    "without a condition by the event": (
        care(evidence_ref="CarePlan/2", **TIMES), "segments", [("CarePlan/2", ago(4), "CarePlan/2")]),
    "without an event by the record": (
        care(evidence_ref="Patient/3", record_updated_at=ago(2)), "segments", [("Patient/3", ago(2), "Patient/3")]),
    "a condition that nobody dated is where to look": (
        care(evidence_ref="CarePlan/4", **TIMES, condition_ref="Condition/4"), "segments",
        [("Condition/4", ago(4), "Condition/4")]),
    "who left their segments left them by the event": (
        care(evidence_ref="Encounter/5", **TIMES, **FOUND, leaves_segments=True), "segments",
        [("Encounter/5", ago(4), "Encounter/5")]),
    "who left them at an hour that nobody knows, by the record": (
        care(evidence_ref="Patient/6", record_updated_at=ago(2), **FOUND, leaves_segments=True), "segments",
        [("Patient/6", ago(2), "Patient/6")]),
    "a status by the payer's answer": (
        insurance(**STATUS, status_source="eligibility"), "insurance_status", [("271/9", ago(6), "271/9")]),
    "a status by the policy, whatever was answered": (
        insurance(**STATUS, status_source="pm"), "insurance_status", [("m", ago(5), "coverage/m")]),
    "of three stops the last": (
        {"staging.reply": [stop(40), stop(5), stop(60)]}, "sms_opt_out",
        [("of three stops the last", ago(5), "replies/5")]),
    "a stop after the clock does not hide an earlier": (
        {"staging.reply": [stop(7), stop(-1)]}, "email_opt_out",
        [("a stop after the clock does not hide an earlier", ago(7), "replies/7")]),
    "a PM email that nobody confirmed": (
        pm(email="a@x.org", last_updated=ago(1)), "email",
        [("a PM email that nobody confirmed", None, "patients/a PM email that nobody confirmed")]),
    "an EHR email that nobody confirmed": (
        ehr(email="a@x.org", last_updated=ago(1)), "email",
        [("an EHR email that nobody confirmed", None, "Patient/an EHR email that nobody confirmed")]),
    "a number that nobody stands by": (claim("crm", False, None), "phone", [("s", None, "claims/crm")]),
}  # fmt: skip

NO_EXTRACT = "a contact of whose extracts nothing is known"
UNKNOWN_SINCE = "a contact of which it is not known since when"
LAST_MODIFIED = {
    NO_EXTRACT: {"staging.crm_contact": EVERYTHING["staging.crm_contact"]},
    UNKNOWN_SINCE: {"staging.crm_contact": EVERYTHING["staging.crm_contact"], "reconciled.crm_value_since": [{}]},
}

# Field, value, and the form in which two spellings of it are equal.
KEYS: dict[str, tuple[str, str, str]] = {
    "a payer id without case and punctuation": ("insurance_payer_id", "bcbs-ma 01", "BCBSMA01"),
    "a member id without case and punctuation": ("insurance_member_id", "w 12.3-a", "W123A"),
    "a first name without accents and case": ("first_name", "José-María", "josemaria"),
    "a last name without punctuation and spaces": ("last_name", "O'Neil  Jr.", "oneiljr"),
    "a name with an accent as a sign of its own": ("last_name", "Nun\u0303ez", "nunez"),
    "a name with a number": ("last_name", "Keller 3", "keller3"),
    "a name with a stroke keeps its letter": ("first_name", "Łukasz", "łukasz"),
    "a Russian name": ("first_name", "Артём", "артем"),
    "another Russian name": ("first_name", "Пётр", "петр"),
    "a Chinese name": ("last_name", "王", "王"),
    "another Chinese name": ("last_name", "李", "李"),
    "a Japanese name with the sign of a variant": ("last_name", "葛\U000e0100城", "葛城"),
    "Hebrew with points": ("first_name", "שָׁלוֹם", "שלום"),
    "a Hindi name": ("first_name", "राम", "राम"),
    "another Hindi name of the same consonants": ("first_name", "रमा", "रमा"),
    "a Hindi letter in one sign": ("first_name", "\u0958ासिम", "\u0915\u093cासिम"),
    "a payer's name": ("insurance_payer", "Blue-Cross, Inc.", "bluecrossinc"),
    "a ZIP code": ("postal_code", "02139", "02139"),
    "a ZIP+4 code": ("postal_code", "02139-1234", "02139"),
    "a ZIP+4 code without its hyphen": ("postal_code", "021391234", "02139"),
    "an email without case": ("email", "Anna.Keller@X.org", "anna.keller@x.org"),
    "a city without case, but with its spaces": ("city", "New York", "new york"),
    "a state without case": ("state", "Ma", "ma"),
    "a sex without case": ("sex", "Female", "female"),
    "a status without case": ("care_status", "Active", "active"),
    "a channel without case": ("preferred_channel", "SMS", "sms"),
}
EMAILS = {
    "anna@x.org": True,
    "anna.keller+crm@mail.x.org": True,
    "anna": False,
    "anna@x": False,
    "@x.org": False,
    "anna@": False,
    "anna@x.": False,
    "anna@keller@x.org": False,
    "anna keller@x.org": False,
    "a@x.org, b@x.org": False,
}


@pytest.fixture(scope="module")
def found() -> Candidates:
    cases: dict[str, Tables] = {ALL: EVERYTHING, **LAST_MODIFIED}
    cases |= {name: tables for name, (tables, *_) in (VALUES | CONFIRMED).items()}
    cases |= {name: crm(**{field: value}) for name, (field, value, _) in KEYS.items()}
    cases |= {email: crm(email=email) for email in EMAILS}
    cases |= {f"{source} {bad}": claim(source, bad) for source in ("crm", "patient") for bad in (True, False)}
    cases["segments"] = crm(segments=["vip", "copd", "VIP"])
    return spoken(cases)


@pytest.mark.parametrize("speaker", SPEAKERS, ids=lambda speaker: f"{speaker[0]} in {speaker[2]}")
def test_each_source_speaks_of_its_fields(found: Candidates, speaker: tuple[str, str, str, int]) -> None:
    said = {
        field: (row["value"], row["confirmed_at"])
        for field, rows in found[ALL].items()
        for row in rows
        if (row["source"], row["source_id"], row["evidence_ref"], row["strength"]) == speaker
    }
    assert said == {field: (value, ago(days)) for field, (value, days) in SPEAKERS[speaker].items()}


def test_nobody_else_speaks(found: Candidates) -> None:
    rows = [row for rows in found[ALL].values() for row in rows]
    speakers = {(row["source"], row["source_id"], row["evidence_ref"], row["strength"]) for row in rows}
    assert speakers == set(SPEAKERS)
    assert len(rows) == sum(map(len, SPEAKERS.values()))
    assert all(row["is_valid"] for row in rows)


@pytest.mark.parametrize("name", VALUES)
def test_what_is_a_value(found: Candidates, name: str) -> None:
    _, field, expected = VALUES[name]
    assert told(found, name, field, "source", "value") == expected


@pytest.mark.parametrize("name", CONFIRMED)
def test_when_it_was_confirmed_and_where_that_stands(found: Candidates, name: str) -> None:
    _, field, expected = CONFIRMED[name]
    assert told(found, name, field, "source_id", "confirmed_at", "evidence_ref") == expected


@pytest.mark.parametrize("name", LAST_MODIFIED)
def test_otherwise_the_crm_says_it_since_it_was_last_modified(found: Candidates, name: str) -> None:
    fields = {field: {row["confirmed_at"] for row in rows} for field, rows in found[name].items()}
    spoken_of = set(SPEAKERS["crm", ALL, f"contacts/{ALL}", 1]) - {"address_line"}
    assert fields == {field: {ago(10)} for field in spoken_of}


@pytest.mark.parametrize("name", KEYS)
def test_a_value_has_its_key(found: Candidates, name: str) -> None:
    field, value, key = KEYS[name]
    assert told(found, name, field, "value", "value_key") == [(value, key)]


def test_the_order_of_segments_is_no_difference_but_their_case_is(found: Candidates) -> None:
    assert told(found, "segments", "segments", "value", "value_key") == [("vip;copd;VIP", "VIP;copd;vip")]


def test_the_keys_of_address_and_phone_are_those_of_their_models(found: Candidates) -> None:
    assert told(found, ALL, "address_line", "source", "value_key") == [
        ("crm", "14 main st"),
        ("ehr", "32 main st"),
        ("pm", "22 main st"),
    ]
    assert {key for (key,) in told(found, ALL, "phone", "value_key")} == {PHONE}


@pytest.mark.parametrize("email", EMAILS)
def test_what_is_no_email_may_not_win(found: Candidates, email: str) -> None:
    is_valid = EMAILS[email]
    assert told(found, email, "email", "value", "is_valid", "strength") == [(email, is_valid, int(is_valid))]


@pytest.mark.parametrize(("source", "strength"), [("crm", 1), ("patient", 3)])
def test_a_number_known_to_be_bad_may_not_win(found: Candidates, source: str, strength: int) -> None:
    assert told(found, f"{source} False", "phone", "value", "is_valid", "strength") == [(PHONE, True, strength)]
    assert told(found, f"{source} True", "phone", "value", "is_valid", "strength") == [(PHONE, False, 0)]


def test_where_no_condition_decides_every_segment_is_the_crms_own() -> None:
    found = spoken({"p": care(["copd", "vip"], evidence_ref="x")}, segment=[])
    assert told(found, "p", "segments", "source", "value") == [("crm", "copd;vip"), ("ehr", "copd;vip")]
