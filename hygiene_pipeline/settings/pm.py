"""Where the practice management system's patients, coverage and appointments come from."""

from typing import Annotated, Literal

from pydantic import Field

from hygiene_pipeline.settings.part import Part


class PmFiles(Part):
    """CSV extracts that something else drops into `landing/pm`."""

    kind: Literal["files"] = "files"


class Tebra(Part):
    """Tebra's SOAP service."""

    kind: Literal["tebra"]
    wsdl_url: Annotated[str, Field(pattern=r"^https?://")]

    @property
    def agreement_with(self) -> str:
        """Tebra, wherever its service answers."""
        return "tebra"


Pm = Annotated[PmFiles | Tebra, Field(discriminator="kind")]
