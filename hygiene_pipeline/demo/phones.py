"""Telephone numbers: who owns which, how people type them, how they get them wrong, what the carrier would say."""

import datetime as dt
import hashlib
from dataclasses import dataclass
from random import Random

# All are assigned area codes; a number is drawn so that libphonenumber calls it valid, and never has exchange 555.
HOME_AREAS = ("617", "857", "781", "339", "508", "774", "978")
FAR_AREAS = (
    "413",
    "401",
    "603",
    "207",
    "802",
    "860",
    "203",
    "212",
    "646",
    "917",
    "347",
    "202",
    "305",
    "312",
    "415",
    "919",
)
LINE_TYPES = ("mobile", "landline", "nonFixedVoip", "fixedVoip")
LINE_WEIGHTS = (80, 12, 5, 3)
CARRIERS = {
    "mobile": ("Bay State Wireless", "Northern Cellular", "Beacon Mobile"),
    "landline": ("Commonwealth Telephone", "Harbor Cable"),
    "nonFixedVoip": ("Cloudline",),
    "fixedVoip": ("Harbor Cable",),
}
PLACEHOLDERS = (
    "0000000000", "000-000-0000", "123-456-7890", "(617) 123-4567", "1234567890", "999-999-9999", "1111111111",
    "617-555-0134", "(555) 555-0199", "857-555-0112", "617-555-0100", "123-4567",
)  # fmt: skip
NOT_NUMBERS = ("{0}-{1}", "({0}) {1}-{3}", "{0} 0{1} {2}", "+1 {0} 1{1} {2}", "call wife", "{1}-{2}", "0{0}{1}{2}9")


class NumberPool:
    """Hands out ten-digit US numbers, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def draw(self, rng: Random) -> str:
        """A valid number that nobody in this world has had."""
        while True:
            area = rng.choice(HOME_AREAS if rng.random() < 0.85 else FAR_AREAS)
            number = f"{area}{rng.randrange(200, 990)}{rng.randrange(10_000):04d}"
            if is_dialable(number) and number not in self._taken:
                self._taken.add(number)
                return number


def is_dialable(number: str) -> bool:
    """Whether ten digits follow the North American plan, service codes and fictional exchanges left out."""
    exchange = number[3:6]
    return "2" <= exchange[0] <= "9" and exchange[1:] != "11" and exchange not in {"555"} and len(set(number)) > 2


def e164(number: str) -> str:
    """Ten digits as E.164."""
    return "+1" + number


def digits_of(text: str | None) -> str:
    """The ten national digits in a typed US number, or an empty string."""
    body = (text or "").split("x", maxsplit=1)[0]
    digits = "".join(char for char in body if char.isdigit())
    if len(digits) == 11 and digits[0] == "1":
        digits = digits[1:]
    return digits if len(digits) == 10 else ""


def as_typed(number: str, rng: Random) -> str:
    """A number as somebody in a hurry types it."""
    area, exchange, line = number[:3], number[3:6], number[6:]
    shape = rng.randrange(12)
    if shape < 4:
        return f"({area}) {exchange}-{line}"
    if shape < 7:
        return f"{area}-{exchange}-{line}"
    dashed = f"1-{area}-{exchange}-{line}"
    return (number, f"+1{number}", f"{area}.{exchange}.{line}", dashed, f" {area} {exchange} {line} ")[shape - 7]


def mistyped(number: str, rng: Random) -> str:
    """The number with one digit wrong or two neighbours swapped; still a dialable number, but not this one."""
    while True:
        at = rng.randrange(3, 9)
        if rng.random() < 0.5:
            wrong = number[:at] + number[at + 1] + number[at] + number[at + 2 :]
        else:
            wrong = number[:at] + str(rng.randrange(10)) + number[at + 1 :]
        if wrong != number and is_dialable(wrong):
            return wrong


def not_a_number(number: str, rng: Random) -> str:
    """Something in the phone field that libphonenumber does not accept."""
    return rng.choice(NOT_NUMBERS).format(number[:3], number[3:6], number[6:], number[6:9])


@dataclass(slots=True)
class Subscription:
    """What the carriers know of a number: who carries it, when its subscriber left, when somebody else got it."""

    line_type: str
    carrier: str
    ended_at: dt.datetime | None = None
    reassigned_at: dt.datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Lookup:
    """One carrier answer, as `phone/lookups.csv` holds it."""

    number: str
    checked_at: dt.datetime
    valid: bool
    line_type: str
    line_status: str
    reassigned: str

    @property
    def verdict(self) -> str:
        """What the answer proves: `not` (no way to the patient), `landline`, `ok`, or `silent` (no data)."""
        if not self.valid or self.line_status == "inactive" or self.reassigned == "yes":
            return "not"
        if self.line_type == "landline":
            return "landline"
        return "silent" if self.reassigned == "no_data_available" else "ok"


class Carriers:
    """Every carrier at once: the subscriptions of the world, and an answer for numbers that nobody here ever had."""

    def __init__(self) -> None:
        self.subscriptions: dict[str, Subscription] = {}

    def subscribe(self, number: str, line_type: str, rng: Random) -> None:
        """Give a number to a subscriber."""
        self.subscriptions[number] = Subscription(line_type, rng.choice(CARRIERS[line_type]))

    def end(self, number: str, at: dt.datetime, rng: Random) -> None:
        """A subscriber leaves a number; two of five go to somebody else after the carriers' ageing period."""
        subscription = self.subscriptions[number]
        subscription.ended_at = at
        if rng.random() < 0.4:
            subscription.reassigned_at = at + dt.timedelta(days=rng.uniform(50, 240))

    def line_type(self, number: str) -> str:
        """The line type of a number; strangers' lines are mobile."""
        subscription = self.subscriptions.get(number)
        return subscription.line_type if subscription else "mobile"

    def answer(self, number: str, at: dt.datetime) -> Lookup:
        """What a lookup at that instant would say."""
        chance = _chance(f"{number}:{at.date().isoformat()}")
        subscription = self.subscriptions.get(number)
        if subscription is None:
            return self._stranger(number, at)
        if subscription.ended_at is not None and at >= subscription.ended_at:
            if subscription.reassigned_at is None or at < subscription.reassigned_at:
                return _gone(number, at, subscription.line_type)
            return _live(number, at, subscription.line_type, reassigned="yes", chance=chance)
        reassigned = "no_data_available" if chance > 0.985 else "no"
        return _live(number, at, subscription.line_type, reassigned=reassigned, chance=chance)

    def _stranger(self, number: str, at: dt.datetime) -> Lookup:
        if is_unassigned(number):
            return _gone(number, at, "mobile")
        return _live(number, at, "mobile", reassigned="no", chance=0.5)


def is_unassigned(number: str) -> bool:
    """Whether a number outside this world has no subscriber: two thirds of mistyped numbers have none."""
    return _chance(number) < 0.66


def _chance(text: str) -> float:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest()) / 2**32


def _gone(number: str, at: dt.datetime, line_type: str) -> Lookup:
    valid = _chance(number + "range") > 0.3
    return Lookup(
        number=number, checked_at=at, valid=valid, line_type=line_type if valid else "unknown", line_status="inactive",
        reassigned="no_data_available",
    )  # fmt: skip


def _live(number: str, at: dt.datetime, line_type: str, *, reassigned: str, chance: float) -> Lookup:
    reachable = "unreachable" if chance < 0.006 else "reachable" if chance < 0.6 else "active"
    status = reachable if line_type == "mobile" else "active"
    return Lookup(
        number=number, checked_at=at, valid=True, line_type=line_type, line_status=status, reassigned=reassigned
    )
