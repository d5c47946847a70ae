"""Where the EHR's resources come from."""

from typing import Annotated, Literal

from pydantic import Field

from hygiene_pipeline.settings.part import Part


class EhrFiles(Part):
    """FHIR NDJSON that something else drops into `landing/ehr`."""

    kind: Literal["files"] = "files"


class SmartBulk(Part):
    """A SMART Bulk Data server that is asked for an export."""

    kind: Literal["smart_bulk"]
    base_url: Annotated[str, Field(pattern=r"^https?://")]


Ehr = Annotated[EhrFiles | SmartBulk, Field(discriminator="kind")]
