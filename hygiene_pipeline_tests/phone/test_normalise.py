"""The set-based normaliser says of every text what the library says, whichever of the two reads it."""

import random
from collections.abc import Sequence
from dataclasses import fields

import duckdb
import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hygiene_pipeline.phone.normalise import PhoneNumber, normalise_one, normalise_phones
from hygiene_pipeline.phone.plain_text import north_american_sql, plain_text_sql
from hygiene_pipeline_tests.phone.typed_numbers import AWKWARD, examples, north_american, variations

SEED = 20260301

HABITS = [
    "(202) 555-0123",
    "202-555-0123",
    "202.555.0123",
    "202 555 0123",
    "2025550123",
    "12025550123",
    "1-202-555-0123",
    "1 (202) 555-0123",
    "+12025550123",
    "+1 202-555-0123",
    "+1 (202) 555-0123",
    "Home: 202-555-0123",
    "cell 2025550123",
    "tel:+1-202-555-0123",
    " 202-555-0123 ",
    "202-555-0123 x45",
    "(202) 555-0123 ext. 45",
    "202-555-0123, extension 45",
    "2025550123 #45",
]


def normalised(texts: Sequence[str], region: str = "US", worth_a_plan: int = 1) -> dict[str, PhoneNumber]:
    """What the set-based normaliser makes of distinct texts; by default a plan reads all that a plan can read."""
    with duckdb.connect(config={"threads": 1}) as con:
        con.register("typed", pa.table({"raw": pa.array(texts, pa.string())}))
        rows = normalise_phones(
            con, "select raw from typed", "number", default_region=region, worth_a_plan=worth_a_plan
        )
        columns = [field.name for field in fields(PhoneNumber)]
        found = con.execute(f"select {', '.join(columns)} from number").fetchall()
    assert rows == len(found) == len(texts)
    return {row[0]: PhoneNumber(**dict(zip(columns, row, strict=True))) for row in found}


def assert_is_the_librarys(texts: Sequence[str], region: str = "US", worth_a_plan: int = 1) -> None:
    distinct = sorted(set(texts))
    got = normalised(distinct, region, worth_a_plan)
    assert [got[text] for text in distinct] == [normalise_one(text, region) for text in distinct]


def test_the_librarys_examples_of_every_region_and_type() -> None:
    assert_is_the_librarys(examples())


def test_texts_that_are_awkward_on_purpose() -> None:
    assert_is_the_librarys(AWKWARD)


def test_every_area_code_of_north_america() -> None:
    assert_is_the_librarys(north_american(random.Random(SEED), exchanges=4))


def test_each_region_of_north_america_by_its_own_patterns() -> None:
    draw = random.Random(SEED)
    regions = phonenumbers.region_codes_for_country_code(1)
    known = [str(phonenumbers.example_number(region).national_number) for region in regions]
    texts = known + [f"{number[:3]}{draw.randint(0, 9999999):07}" for number in known for _ in range(100)]
    assert_is_the_librarys(texts)
    assert {number.region for number in normalised(known).values()} == set(regions)


def test_texts_with_characters_added_dropped_and_changed() -> None:
    draw = random.Random(SEED)
    assert_is_the_librarys(variations(examples() + AWKWARD, draw, 2000), worth_a_plan=20)
    assert_is_the_librarys(variations(north_american(draw, 1), draw, 3000), worth_a_plan=20)


@pytest.mark.parametrize("region", ["CA", "AG", "GB", "AU", "IT", "SM"])
def test_another_region_to_dial_from(region: str) -> None:
    draw = random.Random(SEED)
    assert_is_the_librarys(AWKWARD + variations(examples(), draw, 300), region, worth_a_plan=20)


@settings(max_examples=15)
@given(st.lists(st.text("0123456789+() -./x#;,ext1\u00a0\u2013\u0660\uff11Aa", max_size=24), unique=True, max_size=40))
def test_whatever_anybody_types(texts: list[str]) -> None:
    assert_is_the_librarys(texts, worth_a_plan=3)


@pytest.mark.parametrize("text", HABITS)
def test_a_common_habit_is_read_at_full_speed(text: str) -> None:
    with duckdb.connect() as con:
        read = con.execute(north_american_sql("select $text as raw", "US"), {"text": text}).fetchall()
    assert read == [(text, "2025550123", "45" if "45" in text else None)]


@pytest.mark.parametrize(
    ("text", "calling_code", "national"),
    [
        ("+44 121 234 5678", 44, "1212345678"),
        ("011 44 121 234 5678", 44, "1212345678"),
        ("+1 268 464 1234", 1, "2684641234"),
        ("555-0123", 1, "5550123"),
        ("+44 (0)121 234 5678", 44, "01212345678"),
        ("1-800-FLOWERS", None, None),
        ("+999 123 456 7890", None, ""),
        ("911", None, None),
    ],
)
def test_plain_text_gives_a_calling_code_and_national_digits(
    text: str, calling_code: int | None, national: str | None
) -> None:
    with duckdb.connect() as con:
        (read,) = con.execute(plain_text_sql("select $text as raw", "US"), {"text": text}).fetchall()
    assert read[:2] == (text, calling_code)
    assert calling_code is None or read[2] == national


def test_the_table_is_replaced_whole() -> None:
    with duckdb.connect() as con:
        con.execute("create schema staging")
        for texts in (["202-555-0123", "N/A"], ["555-0123"]):
            rows = normalise_phones(con, f"select unnest({texts}) as raw", "staging.phone_number")
            assert con.execute("select raw from staging.phone_number order by raw").fetchall() == [
                (text,) for text in sorted(texts)
            ]
            assert rows == len(texts)
        assert con.execute("select table_name from duckdb_tables() where temporary").fetchall() == []


def test_no_text_gives_no_row() -> None:
    with duckdb.connect() as con:
        assert normalise_phones(con, "select null::varchar as raw", "number") == 0
        assert [name for name, *_ in con.execute("describe number").fetchall()] == [f.name for f in fields(PhoneNumber)]


def test_a_rollback_takes_the_table_back() -> None:
    with duckdb.connect() as con:
        normalise_phones(con, "select '202-555-0123' as raw", "number")
        con.execute("begin")
        normalise_phones(con, "select unnest(['+44 121 234 5678', 'ask daughter']) as raw", "number")
        con.execute("rollback")
        assert con.execute("select raw from number").fetchall() == [("202-555-0123",)]


def test_an_unknown_region_is_refused() -> None:
    with duckdb.connect() as con, pytest.raises(ValueError, match="no such region for phone numbers: XX"):
        normalise_phones(con, "select '202-555-0123' as raw", "number", default_region="XX")
