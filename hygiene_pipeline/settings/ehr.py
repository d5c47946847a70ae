"""Where the EHR's resources come from."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from hygiene_pipeline.settings.part import Part


class EhrFiles(Part):
    """FHIR NDJSON that something else drops into `landing/ehr`."""

    kind: Literal["files"] = "files"


class SmartBulk(Part):
    """A SMART Bulk Data server that is asked for an export."""

    kind: Literal["smart_bulk"]
    base_url: Annotated[str, Field(pattern=r"^https?://")]
    vendor: Annotated[str, Field(min_length=1)] | None = None

    @property
    def agreement_with(self) -> str:
        """Whoever runs the server: `vendor`, or else the name of its host."""
        return self.vendor or urlsplit(self.base_url).hostname or self.base_url


Ehr = Annotated[EhrFiles | SmartBulk, Field(discriminator="kind")]
