"""The world's numbering plans as SQL: libphonenumber's metadata for one calling code, written as DuckDB expressions.

The patterns are the library's own and only ever see ASCII digits, where DuckDB's RE2 and Python's `re` agree; none uses
a look-around or a back-reference. How a typed text becomes digits is `plain_text`'s business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol, cast

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE
from phonenumbers.phonemetadata import PhoneMetadata

# In the order in which the library asks; a number that is none of these is a fixed line, a mobile, or nobody's.
SPECIAL_TYPES = ("premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail")

# ITU allows 15 digits; the library has seen 17 in Germany and refuses more.
SHORTEST_NATIONAL, LONGEST_NATIONAL = 2, 17


class NumberPattern(Protocol):
    """The numbers of one type in one region, as the library's metadata describes them."""

    national_number_pattern: str | None
    possible_length: tuple[int, ...]
    possible_length_local_only: tuple[int, ...]


class RegionMetadata(Protocol):
    """The part of the library's metadata that reading a number needs."""

    country_code: int
    general_desc: NumberPattern
    fixed_line: NumberPattern
    mobile: NumberPattern
    same_mobile_and_fixed_line_pattern: bool
    international_prefix: str | None
    national_prefix_for_parsing: str | None
    leading_digits: str | None


@dataclass(frozen=True, kw_only=True)
class NumberingPlan:
    """SQL over a column `national` (ASCII digits) for the numbers of one calling code.

    `whole_plan_types` is a column and its expression, in order, for each region that only the whole number tells; an
    expression may use the columns before it. `region` and `number_type` are expressions over those columns, null when
    nobody can have the number.
    """

    calling_code: int
    whole_plan_types: dict[str, str]
    region: str
    number_type: str
    length: str
    is_clear: str


def metadata_of(region: str) -> RegionMetadata:
    """Metadata of a region, refused when the library does not know it."""
    metadata = PhoneMetadata.metadata_for_region(region, None)
    if metadata is None:
        raise ValueError(f"no such region for phone numbers: {region}")
    return cast(RegionMetadata, metadata)


def calling_codes() -> list[int]:
    """Every calling code, one digit before two before three, which is how the library looks for one."""
    return sorted(COUNTRY_CODE_TO_REGION_CODE)


@cache
def numbering_plan(calling_code: int) -> NumberingPlan:
    """Write the plan of one calling code; its regions are tried in the library's order, the main one first."""
    regions: Sequence[str] = COUNTRY_CODE_TO_REGION_CODE[calling_code]
    plans = {region: _metadata(calling_code, region) for region in regions}
    by_leading_digits = {
        region: plan.leading_digits for region, plan in plans.items() if len(regions) > 1 and plan.leading_digits
    }
    columns = {region: f"type_{region.lower()}" for region in regions if region not in by_leading_digits}
    claims = [
        (
            f"{columns[region]} is not null"
            if region in columns
            else f"regexp_matches(national, {quoted(f'^(?:{by_leading_digits[region]})')})",
            quoted(region),
        )
        for region in regions
    ]
    types = [(f"region = {quoted(region)}", columns.get(region) or _number_type(plans[region])) for region in regions]
    main = plans[regions[0]]
    return NumberingPlan(
        calling_code=calling_code,
        whole_plan_types=_whole_plan_types(columns, plans),
        region=_case(claims),
        number_type=_case(types),
        length=_length(main.general_desc),
        is_clear=f"{without_prefix('national', main.national_prefix_for_parsing)}"
        f" and strlen(national) between {SHORTEST_NATIONAL} and {LONGEST_NATIONAL}",
    )


def without_prefix(column: str, prefix: str | None) -> str:
    """The digits do not begin with a national prefix (or carrier code), so the library would strip nothing."""
    return f"not regexp_matches({column}, {quoted(f'^(?:{prefix})')})" if prefix else "true"


def quoted(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _metadata(calling_code: int, region: str) -> RegionMetadata:
    return cast(RegionMetadata, PhoneMetadata.metadata_for_region_or_calling_code(calling_code, region))


def _whole_plan_types(columns: dict[str, str], plans: dict[str, RegionMetadata]) -> dict[str, str]:
    types, earlier = {}, ""
    for region, column in columns.items():
        number_type = _number_type(plans[region])
        # A number that an earlier region claims is never read again.
        types[column] = _case([(earlier, number_type)]) if earlier else number_type
        earlier += f"{' and ' if earlier else ''}{column} is null"
    return types


def _number_type(plan: RegionMetadata) -> str:
    special = {name: cast(NumberPattern | None, getattr(plan, name)) for name in SPECIAL_TYPES}
    fixed_or_mobile = "'fixed_line_or_mobile'"
    is_mobile = _matches(plan.mobile)
    same = plan.same_mobile_and_fixed_line_pattern
    return _case(
        [
            (f"not {_matches(plan.general_desc)}", "null"),
            # One pattern for all of them first: nearly every number is of none.
            (_matches(*special.values()), _case([(_matches(desc), quoted(name)) for name, desc in special.items()])),
            (
                _matches(plan.fixed_line),
                fixed_or_mobile if same else _case([(is_mobile, fixed_or_mobile), ("true", "'fixed_line'")]),
            ),
            ("false" if same else is_mobile, "'mobile'"),
        ]
    )


def _matches(*descriptions: NumberPattern | None) -> str:
    """True when any of the descriptions fits the whole number; those of the same lengths share one pattern."""
    by_lengths: dict[tuple[int, ...], list[str]] = {}
    for description in descriptions:
        if description is not None and description.national_number_pattern:
            lengths = tuple(description.possible_length)
            by_lengths.setdefault(lengths, []).append(description.national_number_pattern)
    tests = [
        (f"strlen(national) in {_in_list(lengths)} and " if lengths else "")
        + f"regexp_full_match(national, {quoted('|'.join(dict.fromkeys(patterns)))})"
        for lengths, patterns in by_lengths.items()
    ]
    return f"({' or '.join(tests)})" if tests else "false"


def _length(general: NumberPattern) -> str:
    possible, local = tuple(general.possible_length), tuple(general.possible_length_local_only)
    return _case(
        [
            (f"strlen(national) in {_in_list(local)}" if local else "false", "'local_only'"),
            (f"strlen(national) in {_in_list(possible)}", "'possible'"),
            (f"strlen(national) < {possible[0]}", "'too_short'"),
            (f"strlen(national) > {possible[-1]}", "'too_long'"),
            ("national is not null", "'invalid_length'"),
        ]
    )


def _in_list(numbers: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, numbers))})"


def _case(branches: Sequence[tuple[str, str]]) -> str:
    written = [(condition, value) for condition, value in branches if condition != "false"]
    if not written:
        return "null::varchar"
    return "case " + " ".join(f"when {condition} then {value}" for condition, value in written) + " end"
