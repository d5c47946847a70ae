"""One phone number, read by libphonenumber's own rules.

This is the authority: what the set-based normaliser does in SQL must give the same answer as `normalise_one`, text by
text. No DuckDB and no policy here: whether a valid number is a placeholder is decided later, from its digits.
"""

from dataclasses import dataclass

import phonenumbers

INVALID_FORMAT = "invalid_format"

_PARSE_REASONS: dict[int, str] = {
    phonenumbers.NumberParseException.INVALID_COUNTRY_CODE: "invalid_country_code",
    phonenumbers.NumberParseException.NOT_A_NUMBER: "not_a_number",
    phonenumbers.NumberParseException.TOO_SHORT_AFTER_IDD: "too_short_after_idd",
    phonenumbers.NumberParseException.TOO_SHORT_NSN: "too_short",
    phonenumbers.NumberParseException.TOO_LONG: "too_long",
}

_LENGTH_REASONS: dict[int, str] = {
    phonenumbers.ValidationResult.IS_POSSIBLE: "invalid_but_possible",
    phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "local_only",
    phonenumbers.ValidationResult.INVALID_COUNTRY_CODE: "invalid_country_code",
    phonenumbers.ValidationResult.TOO_SHORT: "too_short",
    phonenumbers.ValidationResult.TOO_LONG: "too_long",
    phonenumbers.ValidationResult.INVALID_LENGTH: "invalid_length",
}


_POSSIBLE_LENGTHS = (phonenumbers.ValidationResult.IS_POSSIBLE, phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY)


@dataclass(frozen=True, kw_only=True)
class PhoneNumber:
    """What a typed text means as a phone number.

    `e164`, `region` and `number_type` are known of a valid number only. `digits` are the national number's in ASCII, or
    all digits of a text that is no number; null when it has none. `parse_reason` says what `invalid_format` was:
    `local_only` is a number without its area code, `invalid_but_possible` one of a right length that nobody can have.
    """

    raw: str
    e164: str | None
    region: str | None
    reason: str | None
    digits: str | None
    number_type: str | None
    is_possible: bool
    extension: str | None
    parse_reason: str | None


def normalise_one(text: str, region: str = "US") -> PhoneNumber:
    """Read one text as somebody in `region` would have dialled it."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        return _not_a_number(text, _PARSE_REASONS[error.error_type])
    length = phonenumbers.is_possible_number_with_reason(number)
    # The library calls a number valid when it has a type; asking for both would match every pattern twice.
    number_type = phonenumbers.number_type(number)
    is_valid = number_type != phonenumbers.PhoneNumberType.UNKNOWN
    return PhoneNumber(
        raw=text,
        e164=phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if is_valid else None,
        region=phonenumbers.region_code_for_number(number) if is_valid else None,
        reason=None if is_valid else INVALID_FORMAT,
        digits=phonenumbers.national_significant_number(number),
        number_type=_type_name(number_type) if is_valid else None,
        is_possible=length in _POSSIBLE_LENGTHS,
        extension=phonenumbers.normalize_digits_only(number.extension) if number.extension else None,
        parse_reason=None if is_valid else _LENGTH_REASONS[length],
    )


def _not_a_number(text: str, parse_reason: str) -> PhoneNumber:
    return PhoneNumber(
        raw=text,
        e164=None,
        region=None,
        reason=INVALID_FORMAT,
        digits=phonenumbers.normalize_digits_only(text) or None,
        number_type=None,
        is_possible=False,
        extension=None,
        parse_reason=parse_reason,
    )


def _type_name(number_type: int) -> str:
    return str(phonenumbers.PhoneNumberType.to_string(number_type)).lower()
