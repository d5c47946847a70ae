"""Who is asked whether a number still answers."""

from typing import Annotated, Literal

from pydantic import Field

from hygiene_pipeline.settings.part import Part


class LookupFiles(Part):
    """Numbers to ask about go to a file, answers come back as `landing/phone/lookups.csv`."""

    kind: Literal["files"] = "files"


class LookupOff(Part):
    """Nobody is asked."""

    kind: Literal["off"] = "off"


class TwilioLookup(Part):
    """Twilio Lookup v2."""

    kind: Literal["twilio"]

    @property
    def agreement_with(self) -> str:
        """Twilio's agreement covers its lookups and its texts."""
        return "twilio"


class Numverify(Part):
    """Numverify by apilayer."""

    kind: Literal["numverify"]

    @property
    def agreement_with(self) -> str:
        """A number alone is a patient's data too once a practice asks about it."""
        return "numverify"


PhoneLookup = Annotated[LookupFiles | LookupOff | TwilioLookup | Numverify, Field(discriminator="kind")]
