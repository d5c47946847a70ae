"""A warehouse in memory and a landing folder, into which a test drops files that the real loaders take."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from hygiene_pipeline.landing import eligibility, ledger, replies, tabular
from hygiene_pipeline.landing.file import LandingFile, Loaded
from hygiene_pipeline.policies.load import load_policies
from hygiene_pipeline_tests.bed import Bed

FIRST_NIGHT = datetime(2026, 3, 1, 7, tzinfo=UTC)
ZONE = "America/New_York"


class Desk(Bed):
    """Takes one file a night; the nights follow each other."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        # A handful of rows is read faster without a second thread.
        self.con.execute("set threads = 1")
        self.folder = folder
        self.nights = 0
        self.outcomes = load_policies().x12_outcomes
        ledger.create_tables(self.con)
        for loader in (tabular, eligibility, replies):
            loader.create_tables(self.con)

    def take(self, place: str, content: str | bytes, *, mapping: Mapping[str, Any] | None = None) -> Loaded:
        """Load a tabular file as the next night's."""
        return self._taken(
            place,
            place,
            content,
            lambda file, at: tabular.load_tabular(
                self.con, [file], extracted_at=at, timezone=ZONE, mapping={place: mapping or {}}
            ),
        )

    def take_eligibility(self, name: str, content: str | bytes) -> Loaded:
        """Load a file of eligibility answers by its name."""
        return self._taken(
            "pm/eligibility",
            f"pm/eligibility/{name}",
            content,
            lambda file, at: eligibility.load_eligibility(
                self.con, [file], extracted_at=at, timezone=ZONE, outcomes=self.outcomes
            ),
        )

    def take_replies(self, content: str | bytes) -> Loaded:
        """Load a file of replies."""
        return self._taken(
            "replies",
            "replies/night.ndjson",
            content,
            lambda file, at: replies.load_replies(self.con, [file], extracted_at=at),
        )

    def quarantined(self) -> list[tuple[Any, ...]]:
        """Line, field and reason of everything in quarantine, in order."""
        rows = self.rows("select source_line, field, reason from quarantine.record order by all")
        return [(row["source_line"], row["field"], row["reason"]) for row in rows]

    def _taken(
        self, place: str, name: str, content: str | bytes, load: Callable[[LandingFile, datetime], Loaded]
    ) -> Loaded:
        data = content if isinstance(content, bytes) else content.encode()
        self.nights += 1
        path = self.folder / f"{self.nights}-{Path(name).name}"
        path.write_bytes(data)
        file_id = sha256(data).hexdigest()[:16]
        file = LandingFile(file_id=file_id, place=place, name=name, path=path, take_seq=self.nights)
        return load(file, FIRST_NIGHT + timedelta(days=self.nights - 1))
