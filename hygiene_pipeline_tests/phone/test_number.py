"""What one typed text means, by the library, and that `normalise_one` adds nothing of its own to it."""

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat

from hygiene_pipeline.phone.number import INVALID_FORMAT, normalise_one
from hygiene_pipeline_tests.phone.typed_numbers import AWKWARD, examples

EITHER = "fixed_line_or_mobile"

# The sentence, the text, E.164, region, type, extension.
VALID = [
    ("a national number is of the default region", "(202) 555-0123", "+12025550123", "US", EITHER, None),
    ("a leading 1 is the calling code", "1-202-555-0123", "+12025550123", "US", EITHER, None),
    ("011 dials abroad from the US", "011 44 121 234 5678", "+441212345678", "GB", "fixed_line", None),
    ("Canada shares the calling code", "604-234-5678", "+16042345678", "CA", EITHER, None),
    ("so does Antigua, whose mobiles are told apart", "268-464-1234", "+12684641234", "AG", "mobile", None),
    ("Italian numbers keep their zero", "+39 06 698 12345", "+390669812345", "VA", "fixed_line", None),
    ("a UK trunk zero is dropped", "+44 (0)121 234 5678", "+441212345678", "GB", "fixed_line", None),
    ("letters are the keys they stand on", "1-800-FLOWERS", "+18003569377", "US", "toll_free", None),
    ("an extension is kept apart", "202-555-0123 ext. 045", "+12025550123", "US", EITHER, "045"),
    ("an extension is written in ASCII digits", "202-555-0123 x\u0664\u0665", "+12025550123", "US", EITHER, "45"),
    (
        "full-width digits are digits",
        "\uff0b\uff11\uff12\uff10\uff12\uff15\uff15\uff15\uff10\uff11\uff12\uff13",
        "+12025550123",
        "US",
        EITHER,
        None,
    ),
    (
        "Arabic-Indic digits are digits",
        "\u0662\u0660\u0662\u0665\u0665\u0665\u0660\u0661\u0662\u0663",
        "+12025550123",
        "US",
        EITHER,
        None,
    ),
    ("RFC 3966 may give the context", "tel:555-0123;phone-context=+1-202", "+12025550123", "US", EITHER, None),
    ("a number may belong to no country", "+800 1234 5678", "+80012345678", "001", "toll_free", None),
]

# The sentence, the text, its digits, why it is no number.
INVALID = [
    ("nothing", "", None, "not_a_number"),
    ("blanks", " \t", None, "not_a_number"),
    ("words", "ask daughter", None, "not_a_number"),
    ("a digit", "0", "0", "not_a_number"),
    ("two numbers in one field", "202-555-0123 or 202-555-0124", "20255501232025550124", "too_long"),
    ("an area code is missing", "555-0123", "5550123", "local_only"),
    ("no area code begins with 1", "123-456-7890", "1234567890", "invalid_but_possible"),
    ("a digit is missing", "202-555-012", "202555012", "too_short"),
    ("a digit too many", "202-555-01234", "20255501234", "too_long"),
    ("far too many digits", "2" * 18, "2" * 18, "too_long"),
    ("more text than anybody parses", "2" * 251, "2" * 251, "too_long"),
    ("no such country", "+999 123 456 7890", "9991234567890", "invalid_country_code"),
    ("nothing after 011", "01144", "01144", "too_short_after_idd"),
]


@pytest.mark.parametrize(
    ("text", "e164", "region", "number_type", "extension"),
    [case[1:] for case in VALID],
    ids=[case[0] for case in VALID],
)
def test_a_valid_number(text: str, e164: str, region: str, number_type: str, extension: str | None) -> None:
    number = normalise_one(text)
    assert (number.e164, number.region, number.number_type, number.extension) == (e164, region, number_type, extension)
    assert (number.reason, number.parse_reason, number.is_possible) == (None, None, True)


@pytest.mark.parametrize(
    ("text", "digits", "parse_reason"), [case[1:] for case in INVALID], ids=[case[0] for case in INVALID]
)
def test_what_is_no_valid_number_says_why(text: str, digits: str | None, parse_reason: str) -> None:
    number = normalise_one(text)
    assert (number.reason, number.parse_reason, number.digits) == (INVALID_FORMAT, parse_reason, digits)
    assert (number.e164, number.region, number.number_type) == (None, None, None)


def test_every_verdict_is_the_librarys() -> None:
    for text in AWKWARD + examples()[::3]:
        number = normalise_one(text)
        try:
            parsed = phonenumbers.parse(text, "US")
        except phonenumbers.NumberParseException:
            assert number.reason == INVALID_FORMAT
            continue
        assert (number.reason is None) == phonenumbers.is_valid_number(parsed), text
        assert number.is_possible == phonenumbers.is_possible_number(parsed), text
        if number.reason is None:
            assert number.e164 == phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
            assert number.e164 == f"+{parsed.country_code}{number.digits}"
            assert number.region == phonenumbers.region_code_for_number(parsed)
