"""Single values: what each type accepts, and that a bad one costs its field only."""

import pytest

from hygiene_pipeline_tests.landing.desk import Desk

DATES = {
    "an ISO date": ("1980-02-29", "1980-02-29"),
    "the first day of 1900": ("1900-01-01", "1900-01-01"),
    "a date with a time": ("1980-02-29T00:00:00Z", "1980-02-29"),
    "the clock's day": ("2026-03-01", "2026-03-01"),
    "no date": ("", None),
    "a 29th of February that was not": ("1900-02-29", "bad_date"),
    "a month 13": ("1980-13-01", "bad_date"),
    "an American date without mapping": ("02/09/1944", "bad_date"),
    "a day after the clock": ("2026-03-02", "bad_date"),
    "antiquity": ("0044-02-09", "bad_date"),
    "words": ("infinity", "bad_date"),
}
TIMES = {
    "an offset": ("2026-01-05T10:00:00-05:00", "2026-01-05 15:00:00+00"),
    "Zulu": ("2026-01-05T10:00:00Z", "2026-01-05 10:00:00+00"),
    "an offset without colon and a fraction": ("2026-01-05 10:00:00.250+0530", "2026-01-05 04:30:00.25+00"),
    "no offset: the practice's winter": ("2026-01-05T10:00:00", "2026-01-05 15:00:00+00"),
    "no offset: the practice's summer": ("2025-07-05 10:00", "2025-07-05 14:00:00+00"),
    "a date alone is local midnight": ("2026-01-05", "2026-01-05 05:00:00+00"),
    "an hour that the clocks skip": ("2026-03-08T02:30:00", "2026-03-08 07:30:00+00"),
    "hour 25": ("2026-01-05T25:00:00Z", "bad_timestamp"),
    "a day that is not": ("2026-02-30T10:00:00Z", "bad_timestamp"),
    "an American time": ("1/5/2026 10:00 AM", "bad_timestamp"),
    "words": ("now", "bad_timestamp"),
}
BOOLEANS = {
    **{f"{word} is true": (word, True) for word in ("true", "TRUE", "1", "Yes", "y", "t")},
    **{f"{word} is false": (word, False) for word in ("false", "0", "no", "N", "F")},
    "nothing is not known": ("", None),
    "maybe is neither": ("maybe", "bad_boolean"),
    "2 is neither": ("2", "bad_boolean"),
}
CODES = {
    "a code": ("active", "active"),
    "a code in capitals and spaces": (" ACTIVE ", "active"),
    "no code": ("", None),
    "an unknown code": ("gone", "unknown_code"),
}
SEXES = {"M": ("M", "male"), "female": ("Female", "female"), "X": ("x", "other"), "unknown": ("U", "unknown")}
NUMBERS = {"a number": ("4.5", 4.5), "not a number": ("NaN", "bad_number"), "words": ("high", "bad_number")}

COLUMNS = {
    ("pm/patients.csv", "birth_date"): DATES,
    ("pm/patients.csv", "last_updated"): TIMES,
    ("pm/patients.csv", "sex"): SEXES,
    ("crm/contacts.csv", "sms_opt_out"): BOOLEANS,
    ("crm/contacts.csv", "insurance_status"): CODES,
    ("crm/interactions.csv", "score"): NUMBERS,
}
KEYS = {"pm/patients.csv": "pm_patient_id", "crm/contacts.csv": "contact_id", "crm/interactions.csv": "interaction_id"}
CASES = {
    f"{column}: {name}": (place, column, f"{column}: {name}", expected)
    for (place, column), cases in COLUMNS.items()
    for name, (_, expected) in cases.items()
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """Every case of a column in one file, keyed by its sentence."""
    filled = Desk(tmp_path_factory.mktemp("landing"))
    for (place, column), cases in COLUMNS.items():
        lines = [f'"{column}: {name}","{text}"' for name, (text, _) in cases.items()]
        filled.nights = 0
        filled.take(place, f"{KEYS[place]},{column}\n" + "\n".join(lines) + "\n")
    return filled


@pytest.mark.parametrize(("place", "column", "key", "expected"), CASES.values(), ids=CASES.keys())
def test_a_value_is_read_or_costs_its_field_only(desk, place, column, key, expected):
    value = f"{column}::varchar" if column in ("birth_date", "last_updated") else column
    table = "raw." + place.replace("/", "_").removesuffix(".csv")
    row = desk.rows(f"select {value} as value, source_line, file_id from {table} where {KEYS[place]} = ?", key)[0]
    bad = desk.rows(
        "select reason from quarantine.record where field = ? and source_line = ? and file_id = ?",
        column,
        row["source_line"],
        row["file_id"],
    )
    if isinstance(expected, str) and expected.startswith(("bad_", "unknown_code")):
        assert (row["value"], [each["reason"] for each in bad]) == (None, [expected])
    else:
        assert (row["value"], bad) == (expected, [])


def test_an_unreadable_part_of_a_key_costs_the_record(tmp_path):
    desk = Desk(tmp_path)
    desk.take("phone/lookups.csv", "phone,checked_at\n+16172530000,yesterday\n+16172530000,2026-01-01\n")
    assert desk.rows("select count(*) as n from raw.phone_lookups")[0]["n"] == 1
    assert desk.quarantined() == [(2, "checked_at", "bad_timestamp"), (2, "checked_at", "unusable_key")]
