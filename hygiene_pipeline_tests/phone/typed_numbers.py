"""Texts that people (and other systems) type as phone numbers: examples of every region, and seeded variations."""

import json
import random
from functools import cache
from pathlib import Path

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

AWKWARD: list[str] = json.loads(Path(__file__).with_name("awkward_texts.json").read_text())

_FORMATS = (PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.NATIONAL)
_MARKS = " -.()/+#x,;~*:_\u00a0\u2013\t\n12345678900\u0665\uff15abcE"
_WRAPPINGS = (
    "{}",
    "+{}",
    "1{}",
    "1-{}",
    "0{}",
    "00{}",
    "011{}",
    "({})",
    "tel:{}",
    "Home: {}",
    "{} x12",
    "{} ext. 3",
    "{};ext=4",
    "{} #5",
    "{} ",
    " {}",
    "{}.",
)


@cache
def examples() -> list[str]:
    """The library's example of every type in every region, and an invalid one, as written at home and abroad."""
    numbers = [
        phonenumbers.example_number_for_type(region, kind)
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
        for kind in PhoneNumberType.values()
    ]
    numbers += [phonenumbers.invalid_example_number(region) for region in sorted(phonenumbers.SUPPORTED_REGIONS)]
    numbers += [
        phonenumbers.example_number_for_non_geo_entity(code)
        for code in sorted(phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS)
    ]
    return sorted(
        {phonenumbers.format_number(number, form) for number in numbers if number is not None for form in _FORMATS}
    )


def north_american(draw: random.Random, exchanges: int) -> list[str]:
    """Ten digits from every area code there could be."""
    return [
        f"{area}{draw.randint(0, 999):03}{draw.randint(0, 9999):04}"
        for area in range(200, 1000)
        for _ in range(exchanges)
    ]


def variations(texts: list[str], draw: random.Random, count: int) -> list[str]:
    """Texts with a few characters added, dropped or changed, and something put around them."""
    made = []
    for text in draw.choices(texts, k=count):
        letters = list(text)
        for _ in range(draw.randint(0, 3)):
            place = draw.randint(0, len(letters))
            letters[place : place + draw.randint(0, 1)] = draw.choices(_MARKS, k=draw.randint(0, 2))
        made.append(draw.choice(_WRAPPINGS).format("".join(letters)))
    return made
