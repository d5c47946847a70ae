"""Where the EHR's resources come from."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, ValidationInfo, field_validator

from hygiene_pipeline.clear_text import sends_in_clear
from hygiene_pipeline.settings.ehr_vendors import EhrVendor, Level, vendor_named
from hygiene_pipeline.settings.part import Part

# What the pipeline reads; a server may hold much more.
READ_TYPES = (
    *("Patient", "Practitioner", "PractitionerRole", "Organization", "Encounter", "Condition", "CarePlan"),
    *("EpisodeOfCare", "ServiceRequest", "Appointment", "Coverage", "Observation", "Procedure", "Immunization"),
    "Consent",
)
_ID = r"^[A-Za-z0-9\-.]{1,64}$"


class EhrFiles(Part):
    """FHIR NDJSON that something else drops into `landing/ehr`."""

    kind: Literal["files"] = "files"


class SmartBulk(Part):
    """A SMART Bulk Data server that is asked for an export each night. What is not set comes from the `vendor`."""

    kind: Literal["smart_bulk"]
    base_url: Annotated[str, Field(pattern=r"^https?://")]
    vendor: Annotated[str, Field(min_length=1)] | None = None

    # Placed after `vendor`, which decides what is allowed in the rest.
    level: Level = Field(default="patient", validate_default=True)
    group: Annotated[str, Field(pattern=_ID)] | None = Field(default=None, validate_default=True)
    types: list[Annotated[str, Field(pattern=r"^[A-Z][A-Za-z]+$")]] = Field(default_factory=lambda: list(READ_TYPES))
    type_filters: list[Annotated[str, Field(pattern=r"^[A-Z][A-Za-z]+\?.+$")]] = Field(default_factory=list)
    parameters: dict[str, str] = Field(default_factory=dict)
    output_format: Literal["application/fhir+ndjson", "application/ndjson", "ndjson"] | None = "application/fhir+ndjson"
    method: Literal["get", "post"] = "get"
    lenient: bool | None = None

    incremental: bool | None = None
    full_every_days: PositiveInt = 30
    on_errors: Literal["repeat", "accept"] = "repeat"
    check_counts: bool = True

    client_id: Annotated[str, Field(min_length=1)] | None = None
    key_id: Annotated[str, Field(min_length=1)] | None = None
    algorithm: Literal["RS384", "ES384"] | None = None
    scopes: list[str] = Field(default_factory=list)
    token_url: Annotated[str, Field(pattern=r"^https?://")] | None = None

    wait_minutes: NonNegativeFloat = 60
    longest_wait_seconds: PositiveFloat | None = None
    attempts: PositiveInt = 6
    parallel: Annotated[int, Field(ge=1, le=16)] = 4

    @property
    def agreement_with(self) -> str:
        """Whoever runs the server: `vendor`, or else the name of its host."""
        return self.vendor or urlsplit(self.base_url).hostname or self.base_url

    @property
    def known(self) -> EhrVendor:
        """What is known of the vendor."""
        return vendor_named(self.vendor)

    @field_validator("base_url", "token_url")
    @classmethod
    def _is_private(cls, value: str | None) -> str | None:
        if value and sends_in_clear(value):
            raise ValueError("would send patients' data in clear; allowed: https")
        return value

    @field_validator("level")
    @classmethod
    def _is_offered(cls, value: Level, info: ValidationInfo) -> Level:
        known = vendor_named(info.data.get("vendor"))
        if value not in known.levels:
            raise ValueError(f"{value!r} is not what {known.called} exports; allowed: {', '.join(known.levels)}")
        return value

    @field_validator("group")
    @classmethod
    def _is_needed(cls, value: str | None, info: ValidationInfo) -> str | None:
        level = info.data.get("level")
        if level is not None and (level == "group") != (value is not None):
            raise ValueError("goes with level: group, and only with it")
        return value

    @field_validator("type_filters")
    @classmethod
    def _are_taken(cls, value: list[str], info: ValidationInfo) -> list[str]:
        known = vendor_named(info.data.get("vendor"))
        if value and not known.takes_type_filter:
            raise ValueError(f"are not taken by {known.called}; allowed: none")
        return value


Ehr = Annotated[EhrFiles | SmartBulk, Field(discriminator="kind")]
