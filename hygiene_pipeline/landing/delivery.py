"""One delivery of an extract: what is read, from where, and when. No reading here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hygiene_pipeline.landing.file import LandingFile
from hygiene_pipeline.landing.places import Extract
from hygiene_pipeline.practice import ColumnFormat

ColumnNames = Mapping[str, str | ColumnFormat | Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """An extract as it came: its provenance, the practice's zone for times without offset, and its own column names.

    A snapshot that holds less than `min_share` of the known keys removes none of them: so looks a cut-off export. One
    that is not `is_whole` was asked for some keys only, and removes none either.
    """

    extract: Extract
    source_file: str
    file_id: str
    take_seq: int
    extracted_at: datetime
    timezone: str
    names: ColumnNames = field(default_factory=dict)
    min_share: float = 0.5
    is_whole: bool = True

    @property
    def provenance(self) -> dict[str, object]:
        """The SQL parameters that every raw and quarantined record carries."""
        return {
            "source_file": self.source_file,
            "file_id": self.file_id,
            "take_seq": self.take_seq,
            "extracted_at": self.extracted_at,
        }


def of_file(
    extract: Extract, file: LandingFile, *, extracted_at: datetime, timezone: str, names: ColumnNames
) -> Delivery:
    """The delivery that a landing file is."""
    return Delivery(
        extract=extract,
        source_file=file.name,
        file_id=file.file_id,
        take_seq=file.take_seq,
        extracted_at=extracted_at,
        timezone=timezone,
        names=names,
    )
