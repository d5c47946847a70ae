"""Staging of PM, CRM, lookups and replies: the latest version as of the clock, and since when a value stands."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from hygiene_pipeline_tests.bed import Bed

TODAY = date(2026, 3, 1)
NIGHTS = [datetime(2026, 2, 26, 7, tzinfo=UTC) + timedelta(days=number) for number in range(5)]
AS_OF = "2026-03-01T07:00:00Z"
PHONES = [
    {"raw": "(617) 253-0000", "e164": "+16172530000", "digits": "6172530000"},
    {"raw": "617.253.0000", "e164": "+16172530000", "digits": "6172530000"},
    {"raw": "+16172530001", "e164": "+16172530001", "digits": "6172530001"},
    {"raw": "123", "e164": None, "reason": "invalid_format", "digits": "123"},
]
A, A_AGAIN, B, BAD = "(617) 253-0000", "617.253.0000", "+16172530001", "123"


@pytest.fixture
def bed():
    made = Bed()
    made.con.execute("set threads = 1")
    made.clock(AS_OF)
    made.raw()
    made.table("staging.phone_number", PHONES)
    return made


def version(night: int, **values: Any) -> dict[str, Any]:
    """A raw record as it was read on one of the nights; night 3 is the clock's, night 4 the day after."""
    provenance = {"source_file": "f.csv", "source_line": 2, "file_id": "0" * 16, "row_hash": f"{night}"}
    return {**provenance, "take_seq": night, "extracted_at": NIGHTS[night], "is_removed": False, **values}


def added(bed: Bed, table: str, *rows: dict[str, Any]) -> None:
    known = {row["column_name"] for row in bed.rows(f"describe {table}")}
    bed.add(table, [{name: value for name, value in row.items() if name in known} for row in rows])


VERSIONS = {
    "the latest version counts": ([version(0, first_name="Old"), version(1, first_name="New")], ["New"]),
    "a version after the clock is not known yet": (
        [version(0, first_name="Old"), version(4, first_name="New")],
        ["Old"],
    ),
    "a removed contact is left out": ([version(0, first_name="Old"), version(1, is_removed=True)], []),
    "a removal after the clock is not known yet": (
        [version(0, first_name="Old"), version(4, is_removed=True)],
        ["Old"],
    ),
    "a contact that came back is in": (
        [version(0, first_name="Old"), version(1, is_removed=True), version(2, first_name="Old")],
        ["Old"],
    ),
    "of one night's versions the one taken later": (
        [version(1, first_name="Late", take_seq=9), version(1, first_name="Early", take_seq=8)],
        ["Late"],
    ),
}


@pytest.mark.parametrize(("versions", "names"), VERSIONS.values(), ids=VERSIONS.keys())
def test_a_contact_is_its_latest_version_as_of_the_clock(bed, versions, names):
    added(bed, "raw.crm_contacts", *[{"contact_id": "c1", **each} for each in versions])
    bed.build("staging.crm_contact")
    assert [row["first_name"] for row in bed.rows("select first_name from staging.crm_contact")] == names


@pytest.mark.parametrize(("versions", "names"), VERSIONS.values(), ids=VERSIONS.keys())
def test_a_patient_is_its_latest_version_as_of_the_clock(bed, versions, names):
    added(bed, "raw.pm_patients", *[{"pm_patient_id": "p1", **each} for each in versions])
    bed.build("staging.pm_patient")
    assert [row["first_name"] for row in bed.rows("select first_name from staging.pm_patient")] == names


CONTACT = {
    "a valid phone": ({"phone": A}, {"phone": "+16172530000", "phone_reason": None, "phone_digits": "6172530000"}),
    "no phone": ({}, {"phone": None, "phone_reason": "missing", "phone_raw": None, "phone_since": None}),
    "an invalid phone": ({"phone": BAD}, {"phone": None, "phone_reason": "invalid_format", "phone_raw": BAD}),
    "a second phone": ({"alternate_phone": B}, {"alternate_phone": B, "alternate_phone_raw": B}),
    "an email": ({"email": " Ann@Example.ORG "}, {"email": "ann@example.org"}),
    "segments sorted and once": ({"segments": "b; a;b;;"}, {"segments": ["a", "b"]}),
    "no segments": ({}, {"segments": []}),
    "no opt-out said": ({}, {"sms_opt_out": False, "email_opt_out": False, "call_opt_out": False}),
    "an opt-out": ({"sms_opt_out": True}, {"sms_opt_out": True}),
    "activity not said": ({}, {"is_active": True}),
    "not active": ({"is_active": False}, {"is_active": False}),
    "a name with accents and punctuation": (
        {"first_name": " José-María", "last_name": "O'Neil  Jr."},
        {"name_key": "josemaria oneil jr"},
    ),
    "no name": ({}, {"name_key": None}),
    "a last name only": ({"last_name": "Roe"}, {"name_key": "roe"}),
}


@pytest.mark.parametrize(("given", "expected"), CONTACT.values(), ids=CONTACT.keys())
def test_a_contacts_values_are_normalised(bed, given, expected):
    added(bed, "raw.crm_contacts", version(0, contact_id="c1", **given))
    bed.build("staging.crm_contact")
    row = bed.rows("select * from staging.crm_contact")[0]
    assert {name: row[name] for name in expected} == expected
    assert bed.failures("staging.crm_contact") == {}


SINCE = {
    "one version": ([(0, A)], 0),
    "the same number later": ([(0, A), (2, A)], 0),
    "the same number in another spelling": ([(0, A), (2, A_AGAIN)], 0),
    "a new number": ([(0, A), (2, B)], 2),
    "a number that came back": ([(0, A), (1, B), (2, A)], 2),
    "a number deleted and entered again": ([(0, A), (1, None), (2, A)], 2),
    "the record was away for a night": ([(0, A), (1, "removed"), (2, A)], 0),
    "a number changed after the clock": ([(0, A), (4, B)], 0),
}


def carried(history: list[tuple[int, str | None]], **values: Any) -> list[dict[str, Any]]:
    return [
        version(night, is_removed=True, **values) if phone == "removed" else version(night, phone=phone, **values)
        for night, phone in history
    ]


@pytest.mark.parametrize(("history", "night"), SINCE.values(), ids=SINCE.keys())
def test_a_contact_carries_its_phone_since_a_night(bed, history, night):
    added(bed, "raw.crm_contacts", *carried(history, contact_id="c1"))
    bed.build("staging.crm_contact")
    assert bed.rows("select phone_since from staging.crm_contact") == [{"phone_since": NIGHTS[night]}]


@pytest.mark.parametrize(("history", "night"), SINCE.values(), ids=SINCE.keys())
def test_a_patients_phone_was_confirmed_by_the_edit_that_entered_it(bed, history, night):
    edits = [datetime(2026, 1, 1 + number, tzinfo=UTC) for number in range(5)]
    versions = carried(history, pm_patient_id="p1")
    added(bed, "raw.pm_patients", *[{**each, "last_updated": edits[each["take_seq"]]} for each in versions])
    bed.build("staging.pm_patient")
    assert bed.rows("select phone_confirmed_at from staging.pm_patient") == [{"phone_confirmed_at": edits[night]}]


def test_a_patients_email_was_confirmed_by_the_edit_that_entered_it(bed):
    first, second = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    added(
        bed,
        "raw.pm_patients",
        version(0, pm_patient_id="p1", email="Ann@example.org", last_updated=first),
        version(1, pm_patient_id="p1", email="ann@example.org", phone=A, last_updated=second),
        version(0, pm_patient_id="p2", last_updated=first),
    )
    bed.build("staging.pm_patient")
    rows = bed.rows("select phone_confirmed_at, email_confirmed_at from staging.pm_patient order by pm_patient_id")
    assert [tuple(row.values()) for row in rows] == [(second, first), (None, None)]


def policy(payer: str, begin: date | None, end: date | None = None, **values: Any) -> dict[str, Any]:
    given = {"pm_patient_id": "p1", "payer_id": payer, "effective_date": begin, "termination_date": end}
    return version(0, row_hash=f"{payer}{begin}", **{**given, **values})


DAY = timedelta(days=1)
LAST_YEAR = TODAY - 365 * DAY
PRIMARY = {
    "the only policy, even an ended one": ([policy("old", LAST_YEAR, TODAY - DAY)], ["old"]),
    "in force before ended": ([policy("new", TODAY - DAY, TODAY - DAY), policy("old", LAST_YEAR)], ["old", "new"]),
    "its last day is still in force": (
        [policy("ending", LAST_YEAR, TODAY), policy("old", TODAY - 400 * DAY)],
        ["ending", "old"],
    ),
    "its first day is in force": ([policy("first", TODAY), policy("old", LAST_YEAR)], ["first", "old"]),
    "not begun is not in force": ([policy("next", TODAY + DAY), policy("old", LAST_YEAR)], ["old", "next"]),
    "of two in force the one that began last": ([policy("a", LAST_YEAR), policy("b", TODAY - DAY)], ["b", "a"]),
    "no effective date is the oldest": ([policy("a", None), policy("b", LAST_YEAR)], ["b", "a"]),
    "of two that began together the one edited last": (
        [policy("a", LAST_YEAR, last_updated=NIGHTS[0]), policy("b", LAST_YEAR, last_updated=NIGHTS[1])],
        ["b", "a"],
    ),
    "at last by payer id": ([policy("b", LAST_YEAR), policy("a", LAST_YEAR)], ["a", "b"]),
}


@pytest.mark.parametrize(("policies", "payers"), PRIMARY.values(), ids=PRIMARY.keys())
def test_coverage_is_ranked(bed, policies, payers):
    added(bed, "raw.pm_coverage", *policies)
    bed.build("staging.pm_coverage")
    rows = bed.rows("select payer_id, coverage_rank from staging.pm_coverage order by coverage_rank")
    assert [tuple(row.values()) for row in rows] == [(payer, rank) for rank, payer in enumerate(payers, start=1)]


def test_the_local_day_of_the_clock_decides_what_is_in_force(bed):
    bed.clock("2026-03-02T03:00:00Z")
    added(bed, "raw.pm_coverage", policy("ending", LAST_YEAR, TODAY), policy("next", TODAY + DAY))
    bed.build("staging.pm_coverage")
    assert bed.rows("select payer_id from staging.pm_coverage where coverage_rank = 1") == [{"payer_id": "ending"}]


def test_a_policy_is_its_latest_version_and_a_removed_one_is_out(bed):
    added(
        bed,
        "raw.pm_coverage",
        {**policy("a", LAST_YEAR, member_id="old"), "row_hash": "1"},
        {**policy("a", LAST_YEAR, member_id="ab-12 3"), "take_seq": 1, "extracted_at": NIGHTS[1]},
        policy("b", LAST_YEAR),
        {**policy("b", LAST_YEAR), "take_seq": 1, "extracted_at": NIGHTS[1], "is_removed": True},
    )
    bed.build("staging.pm_coverage")
    rows = bed.rows("select payer_id, member_id, member_key from staging.pm_coverage")
    assert rows == [{"payer_id": "a", "member_id": "ab-12 3", "member_key": "AB123"}]


def answer(check: str, night: int = 0, **values: Any) -> dict[str, Any]:
    given = {"check_id": check, "evidence_ref": f"271/{check}", "result": "active", "checked_at": NIGHTS[0]}
    return version(night, **{**given, "source_format": "x12", **values})


OWNERS = {
    "its own patient id": ({"pm_patient_id": "p9", "payer_id": "acme", "member_id": "M1"}, "p9"),
    "the only patient with payer and member id": ({"payer_id": "acme", "member_id": "m-1"}, "p1"),
    "payer ids without case": ({"payer_id": "ACME", "member_id": "M1"}, "p1"),
    "another payer": ({"payer_id": "other", "member_id": "M1"}, None),
    "a member id that a family shares": ({"payer_id": "acme", "member_id": "F1"}, None),
    "one patient with two policies of one payer": ({"payer_id": "acme", "member_id": "R1"}, "p4"),
    "no payer": ({"member_id": "M1"}, None),
    "no member id": ({"payer_id": "acme"}, None),
}


@pytest.mark.parametrize(("given", "owner"), OWNERS.values(), ids=OWNERS.keys())
def test_an_answer_belongs_to(bed, given, owner):
    members = [("p1", "M 1"), ("p2", "F1"), ("p3", "F-1"), ("p4", "R1")]
    added(
        bed,
        "raw.pm_coverage",
        *[policy("acme", LAST_YEAR, pm_patient_id=patient, member_id=member) for patient, member in members],
        policy("acme", TODAY, pm_patient_id="p4", member_id="R1"),
    )
    added(bed, "raw.pm_eligibility", answer("T1", **given))
    bed.build("staging.pm_coverage", "staging.pm_eligibility")
    assert [row["pm_patient_id"] for row in bed.rows("select pm_patient_id from staging.pm_eligibility")] == [owner]


def test_answers_are_known_as_of_the_clock_and_latest_version(bed):
    added(
        bed,
        "raw.pm_eligibility",
        answer("T1", 0, result="active"),
        answer("T1", 1, result="inactive"),
        answer("T1", 0, evidence_ref="another", result="payer_error"),
        answer("T2", 4),
    )
    bed.build("staging.pm_coverage", "staging.pm_eligibility")
    rows = bed.rows("select check_id, evidence_ref, result from staging.pm_eligibility order by evidence_ref")
    assert [tuple(row.values()) for row in rows] == [("T1", "271/T1", "inactive"), ("T1", "another", "payer_error")]


LATEST = {
    "staging.pm_appointment": ("raw.pm_appointments", {"appointment_id": "a1"}, "status", "booked", "arrived"),
    "staging.pm_referral_network": ("raw.pm_referral_network", {"npi": "1234567893"}, "status", "active", "inactive"),
    "staging.crm_interaction": ("raw.crm_interactions", {"interaction_id": "i1"}, "outcome", "open", "done"),
    "staging.reply": (
        "raw.replies",
        {"contact_id": "c1", "received_at": NIGHTS[0], "kind": "stop"},
        "value_raw",
        "stop",
        "STOP",
    ),
    "staging.phone_lookup": (
        "raw.phone_lookups",
        {"phone": A, "checked_at": NIGHTS[0], "provider": "twilio"},
        "line_status",
        "active",
        "inactive",
    ),
}


@pytest.mark.parametrize(("model", "case"), LATEST.items(), ids=LATEST.keys())
def test_every_other_model_gives_the_latest_version_as_of_the_clock(bed, model, case):
    table, key, column, old, new = case
    field = column.removesuffix("_raw")
    added(bed, table, *[version(night, **key, **{field: value}) for night, value in ((0, old), (1, new), (4, old))])
    bed.build(model)
    assert bed.rows(f"select {column} as value from {model}") == [{"value": new}]
    assert {test: count for test, count in bed.failures(model).items() if "relationships" not in test} == {}


def test_a_provider_taken_off_the_list_is_out(bed):
    added(bed, "raw.pm_referral_network", version(0, npi="1234567893"), version(1, npi="1234567893", is_removed=True))
    bed.build("staging.pm_referral_network")
    assert bed.rows("select npi from staging.pm_referral_network") == []


def test_lookups_of_one_number_in_two_spellings_are_one_and_of_no_number_none(bed):
    for number, text in enumerate((A, A_AGAIN, BAD)):
        added(bed, "raw.phone_lookups", version(number, phone=text, checked_at=NIGHTS[0]))
    bed.build("staging.phone_lookup")
    assert bed.rows("select phone, line_status, reassigned, provider, valid from staging.phone_lookup") == [
        {
            "phone": "+16172530000",
            "line_status": "unknown",
            "reassigned": "no_data_available",
            "provider": "unknown",
            "valid": None,
        }
    ]


REPLIES = {
    "a changed number": ({"kind": "change_phone", "value": A}, (A, "+16172530000")),
    "a number that is none": ({"kind": "change_phone", "value": BAD}, (BAD, None)),
    "a confirmation without number": ({"kind": "confirm_phone"}, (None, None)),
    "a stop": ({"kind": "stop", "value": "STOP"}, ("STOP", "STOP")),
}


@pytest.mark.parametrize(("given", "expected"), REPLIES.values(), ids=REPLIES.keys())
def test_a_reply(bed, given, expected):
    added(bed, "raw.replies", version(0, contact_id="c1", received_at=NIGHTS[0], channel="SMS", **given))
    bed.build("staging.reply")
    row = bed.rows("select value_raw, value, channel, evidence_ref from staging.reply")[0]
    assert tuple(row.values()) == (*expected, "sms", "f.csv:2")
