"""Payers, plans and the coverages that people really have."""

import datetime as dt
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Payer:
    """An insurer as billing knows it; `member_shape` is how its member ids look (`#` digit, `@` letter)."""

    payer_id: str
    name: str
    plans: tuple[str, ...]
    member_shape: str
    weight: int


PAYERS = (
    Payer("BSBMA", "Bay State Blue", ("PPO Preferred", "HMO Select", "High Deductible 3000"), "XXP#########", 30),
    Payer("HPHC1", "Harbor Pilgrim Care", ("HMO Core", "PPO Plus"), "HP########", 16),
    Payer("TFTS2", "Tuftwood Health", ("Navigator", "Direct Silver"), "T#######-##", 12),
    Payer("AETN6", "Aetheria", ("Choice POS II", "Open Access"), "W### ######", 12),
    Payer("UNTD8", "Unison Health", ("Options PPO", "Navigate HMO"), "#########", 12),
    Payer("MCARE", "Federal Medicare", ("Part A and B",), "#@#@-@@#-@@##", 10),
    Payer("MHLTH", "MassCommon Medicaid", ("Standard", "CarePlus"), "############", 8),
)
BY_ID = {payer.payer_id: payer for payer in PAYERS}
LETTERS = "ACDEFGHJKMNPQRTUVWXY"


@dataclass(slots=True)
class Coverage:
    """A policy of a person: in force from `effective` to `terminated`, both days included."""

    payer: Payer
    member_id: str
    plan: str
    effective: dt.date
    terminated: dt.date | None = None

    def in_force(self, date: dt.date) -> bool:
        """Whether it covers a date."""
        return self.effective <= date and (self.terminated is None or date <= self.terminated)

    @property
    def key(self) -> str:
        """Payer and member id as they are compared: without case, spaces and punctuation."""
        return policy_key(self.payer.payer_id, self.member_id)


def policy_key(payer_id: str | None, member_id: str | None) -> str:
    """Payer and member id of any record, ready to be compared."""
    member = "".join(char for char in (member_id or "").upper() if char.isalnum())
    return f"{(payer_id or '').strip().upper()}|{member}"


def new_coverage(rng: Random, effective: dt.date, *, age: int, but_not: Payer | None = None) -> Coverage:
    """A policy with a payer that fits the age, with another payer than `but_not`."""
    while True:
        payer = rng.choices(PAYERS, [_weight(payer, age) for payer in PAYERS])[0]
        if payer is not but_not:
            return Coverage(payer, member_id(payer, rng), rng.choice(payer.plans), effective)


def member_id(payer: Payer, rng: Random) -> str:
    """A member id in the payer's shape."""
    digits = f"{rng.randrange(10**13):013d}"
    text = []
    for place, char in enumerate(payer.member_shape):
        text.append(digits[place] if char == "#" else LETTERS[int(digits[place]) * 2] if char == "@" else char)
    return "".join(text)


def retyped_member_id(member: str, rng: Random) -> str:
    """The same id with the punctuation and case of whoever typed it; it is still the same id."""
    shape = rng.randrange(4)
    if shape == 0:
        return member.lower()
    if shape == 1:
        return member.replace("-", "").replace(" ", "")
    return member


def _weight(payer: Payer, age: int) -> int:
    if payer.payer_id == "MCARE":
        return 150 if age >= 65 else 0
    return payer.weight
