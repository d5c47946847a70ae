"""Where the practice management system's patients, coverage and appointments come from."""

from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, NonNegativeInt, field_validator

from hygiene_pipeline.clear_text import sends_in_clear
from hygiene_pipeline.settings.part import Part


class PmFiles(Part):
    """CSV extracts that something else drops into `landing/pm`."""

    kind: Literal["files"] = "files"


class Tebra(Part):
    """Tebra's SOAP service, asked every night for the whole lists of one practice of an account.

    `practice_name` is the practice's name exactly as Tebra shows it, since one account may have several. `timezone` is
    that of the times which Tebra gives without offset, the practice's own unless named. `payer_ids` gives, for an id of
    Tebra's insurance companies, the payer id that the CRM and the payers use.
    """

    kind: Literal["tebra"]
    practice_name: Annotated[str, Field(min_length=1)]
    wsdl_url: Annotated[str, Field(pattern=r"^https?://")] = (
        "https://webservice.kareo.com/services/soap/2.1/KareoServices.svc?wsdl"
    )
    timezone: str | None = None
    payer_ids: dict[str, str] = Field(default_factory=dict)
    batch_size: Annotated[int, Field(ge=1, le=1000)] = 500
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 60
    appointments_back_days: NonNegativeInt = 1100
    appointments_ahead_days: NonNegativeInt = 365

    @property
    def agreement_with(self) -> str:
        """Tebra, wherever its service answers."""
        return "tebra"

    @field_validator("wsdl_url")
    @classmethod
    def _is_private(cls, value: str) -> str:
        if sends_in_clear(value):
            raise ValueError("would send the password in clear; allowed: https, and http on this machine")
        return value

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str | None) -> str | None:
        try:
            ZoneInfo(value or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("is not a time zone; allowed: an IANA name such as America/New_York") from None
        return value


Pm = Annotated[PmFiles | Tebra, Field(discriminator="kind")]
