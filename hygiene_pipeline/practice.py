"""The practice file: the one thing a user writes. A wrong one is refused by key, with what is allowed."""

import re
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
import yaml
from pydantic import Field, NonNegativeFloat, PositiveInt, ValidationError, field_validator

from hygiene_pipeline.failures import PracticeFileError
from hygiene_pipeline.policies.load import merged
from hygiene_pipeline.policies.models import Policies, StalenessType
from hygiene_pipeline.settings.ehr import Ehr, EhrFiles
from hygiene_pipeline.settings.messages import Messages
from hygiene_pipeline.settings.part import Part
from hygiene_pipeline.settings.phone_lookup import LookupOff, PhoneLookup
from hygiene_pipeline.settings.pm import Pm, PmFiles
from hygiene_pipeline.settings.receive import Receive
from hygiene_pipeline.settings.refusal import problem

_ID = re.compile(r"^[a-z0-9][a-z0-9_-]{0,62}$")


class Crm(Part):
    """The CRM, and whether corrections are written to it."""

    kind: Literal["files", "embedded"]
    sync: Literal["off", "dry_run", "apply"] = "dry_run"


class Outreach(Part):
    """What outreach costs a month and hygiene a year, in US dollars."""

    monthly_spend: NonNegativeFloat = 0
    hygiene_cost_per_year: NonNegativeFloat = 0


class Absence(Part):
    """Days on which a person gets no work, the last day included."""

    first: date
    last: date


class Staff(Part):
    """A person who works issues: what they handle, how many a day, and when they are away."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    role: str
    handles: list[StalenessType] = Field(default_factory=list)
    capacity_per_day: PositiveInt = 40
    absent: list[Absence] = Field(default_factory=list)


class Baa(Part):
    """A business associate agreement on file."""

    vendor: str
    signed_on: date


class ColumnFormat(Part):
    """Our column for one of an extract's, with its date format (strptime)."""

    as_: Annotated[str, Field(alias="as")]
    format: str | None = None


class Practice(Part):
    """One practice: a partition, a warehouse, a set of keys."""

    practice: str
    name: str
    timezone: str
    phone: str
    ehr: Ehr = EhrFiles()
    pm: Pm = PmFiles()
    crm: Crm
    phone_lookup: PhoneLookup = LookupOff()
    messages: Messages = Messages()
    receive: Receive = Receive()
    outreach: Outreach = Outreach()
    staff: Annotated[list[Staff], Field(min_length=1)]
    baa: list[Baa] = Field(default_factory=list)
    columns: dict[str, dict[str, str | ColumnFormat]] = Field(default_factory=dict)
    policies: Policies

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("is not a time zone; allowed: an IANA name such as America/New_York") from None
        return value

    @field_validator("phone")
    @classmethod
    def _is_a_number(cls, value: str) -> str:
        try:
            number = phonenumbers.parse(value, None)
        except phonenumbers.NumberParseException:
            number = None
        if number is None or not phonenumbers.is_possible_number(number):
            raise ValueError("is not a phone number in E.164; allowed: + and the country code, such as +16175550100")
        return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))

    @property
    def zone(self) -> ZoneInfo:
        """The practice's time zone."""
        return ZoneInfo(self.timezone)


def practice_ids(folder: Path) -> list[str]:
    """The ids of all practice files, sorted; reads no file."""
    return sorted(path.stem for path in folder.glob("*.yaml") if _ID.match(path.stem))


def load_practice(folder: Path, practice: str) -> Practice:
    """Read and check `practices/<practice>.yaml`; every problem in one message, a line each."""
    path = folder / f"{practice}.yaml"
    if not _ID.match(practice):
        raise PracticeFileError("practice: is not an id; allowed: lower-case letters, digits, - and _")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        known = ", ".join(practice_ids(folder)) or "none yet"
        raise PracticeFileError(f"{path}: there is no such practice file; practices here: {known}") from None
    except (OSError, UnicodeDecodeError):
        raise PracticeFileError(f"{path}: is not readable text in UTF-8") from None
    return _read(path, practice, text)


@lru_cache(maxsize=64)
def _read(path: Path, practice: str, text: str) -> Practice:
    """Every step of a run asks for the practice; its text is read each time, but checked once."""
    try:
        content = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place else ""
        raise PracticeFileError(f"{path}{line}: is not readable YAML") from None
    if not isinstance(content, dict):
        raise PracticeFileError(f"{path}: must be a mapping of keys, see practices/riverside.yaml")
    return _checked(path, practice, content)


def _checked(path: Path, practice: str, content: dict[str, Any]) -> Practice:
    overrides = content.get("policies") or {}
    if not isinstance(overrides, dict):
        raise PracticeFileError(f"{path}: policies: must be a mapping of policy names")
    try:
        result = Practice.model_validate({**content, "policies": merged(overrides)})
    except ValidationError as error:
        problems = [problem(Practice, dict(each)) for each in error.errors(include_url=False)]
        raise PracticeFileError("\n".join(f"{path}: {each}" for each in problems)) from None
    if result.practice != practice:
        raise PracticeFileError(f"{path}: practice: must equal the file name; allowed: {practice}")
    return result
