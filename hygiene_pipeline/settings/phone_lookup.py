"""Who is asked whether a number still answers, and how hard."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from hygiene_pipeline.settings.part import Part, PrivateUrl

LookupPackage = Literal["line_type_intelligence", "line_status", "reassigned_number"]


class LookupFiles(Part):
    """Numbers to ask about go to a file, answers come back as `landing/phone/lookups.csv`."""

    kind: Literal["files"] = "files"

    @property
    def asked_packages(self) -> tuple[LookupPackage, ...]:
        """None: whoever buys the lookups decides what to ask."""
        return ()


class LookupOff(Part):
    """Nobody is asked."""

    kind: Literal["off"] = "off"

    @property
    def asked_packages(self) -> tuple[LookupPackage, ...]:
        """None."""
        return ()


class LookupVendor(Part):
    """How fast a vendor is asked: calls at a time, calls a second, and seconds to wait for one answer."""

    concurrency: Annotated[PositiveInt, Field(le=100)] = 10
    per_second: Annotated[PositiveFloat, Field(le=1000)] = 20
    timeout_seconds: Annotated[PositiveFloat, Field(le=120)] = 10
    attempts: Annotated[PositiveInt, Field(le=10)] = 4

    @property
    def asked_packages(self) -> tuple[LookupPackage, ...]:
        """What is asked of each number; none if the vendor sells one kind of lookup."""
        return ()


class TwilioLookup(LookupVendor):
    """Twilio Lookup v2. The secret of the API key, or the auth token of the account, is the key `twilio`."""

    kind: Literal["twilio"]
    account_sid: Annotated[str, Field(pattern=r"^AC[0-9A-Za-z]{8,64}$")]
    api_key_sid: Annotated[str, Field(pattern=r"^SK[0-9A-Za-z]{8,64}$")] | None = None
    packages: list[LookupPackage] = Field(default=["line_type_intelligence", "line_status"], min_length=1)
    region: Annotated[str, Field(pattern=r"^[a-z]{2}[0-9]$")] | None = None
    edge: Annotated[str, Field(pattern=r"^[a-z-]+$")] | None = None
    base_url: PrivateUrl = "https://lookups.twilio.com"

    @property
    def agreement_with(self) -> str:
        """Twilio's agreement covers its lookups and its texts."""
        return "twilio"

    @property
    def asked_packages(self) -> tuple[LookupPackage, ...]:
        """The packages that are switched on, each once."""
        return tuple(dict.fromkeys(self.packages))


class Numverify(LookupVendor):
    """Numverify by apilayer. The API key is the key `numverify`; `key_in` says how this address takes it."""

    kind: Literal["numverify"]
    base_url: PrivateUrl = "https://api.apilayer.com/number_verification"
    key_in: Literal["header", "query"] = "header"

    @property
    def agreement_with(self) -> str:
        """A number alone is a patient's data too once a practice asks about it."""
        return "numverify"


PhoneLookup = Annotated[LookupFiles | LookupOff | TwilioLookup | Numverify, Field(discriminator="kind")]
