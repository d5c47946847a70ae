"""A desk for tests of the EHR loaders: lays files into a folder, loads them, shows what came of it."""

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from hygiene_pipeline.landing import ledger
from hygiene_pipeline.landing.ehr_events import load_ehr_events
from hygiene_pipeline.landing.fhir_ndjson import load_fhir
from hygiene_pipeline.landing.file import LandingFile, Loaded

FIRST_NIGHT = datetime(2026, 3, 1, 7, tzinfo=UTC)


def ndjson(*resources: dict[str, Any]) -> bytes:
    """Resources, one a line."""
    return b"".join(json.dumps(each).encode() + b"\n" for each in resources)


def patient(own_id: str, **elements: Any) -> dict[str, Any]:
    """A patient with as little as there may be."""
    return {"resourceType": "Patient", "id": own_id, **elements}


class Desk:
    """Loads contents as files, a night apart, into an in-memory warehouse."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.con = duckdb.connect(config={"threads": 1})
        self.con.execute("set timezone = 'UTC'")
        for schema in ("raw", "quarantine"):
            self.con.execute(f"create schema {schema}")
        ledger.create_tables(self.con)
        self.taken = 0

    def fhir(self, content: bytes, name: str = "export.ndjson", **options: Any) -> Loaded:
        """Take one bulk export."""
        return self._take(
            "ehr", name, content, lambda files, at: load_fhir(self.con, files, extracted_at=at, **options)
        )

    def events(self, content: bytes, name: str = "feed.hl7") -> Loaded:
        """Take one file of events."""
        zone = "America/New_York"
        return self._take(
            "ehr_events",
            name,
            content,
            lambda files, at: load_ehr_events(self.con, files, extracted_at=at, timezone=zone),
        )

    def events_of(self, contents: Sequence[bytes], *, at_once: bool) -> list[Loaded]:
        """Take several JSON files of events of one night, in one go or one after the other."""
        takes = self._takes("ehr_events", "json", contents, at_once=at_once)
        return [load_ehr_events(self.con, take, extracted_at=FIRST_NIGHT, timezone="UTC") for take in takes]

    def fhir_of(self, contents: Sequence[bytes], *, at_once: bool) -> list[Loaded]:
        """Take several bulk exports of one night, in one go or one after the other."""
        takes = self._takes("ehr", "ndjson", contents, at_once=at_once)
        return [load_fhir(self.con, take, extracted_at=FIRST_NIGHT) for take in takes]

    def _takes(self, place: str, suffix: str, contents: Sequence[bytes], *, at_once: bool) -> list[list[LandingFile]]:
        files = []
        for number, content in enumerate(contents, start=1):
            path = self.folder / f"{number}.{suffix}"
            path.write_bytes(content)
            name = f"{place}/{path.name}"
            files.append(LandingFile(file_id=f"{number}", place=place, name=name, path=path, take_seq=number))
        return [files] if at_once else [[file] for file in files]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The result of a query."""
        return self.con.execute(query).fetchall()

    def quarantined(self) -> list[tuple[Any, ...]]:
        """Line, field and reason of everything in quarantine."""
        return self.rows("select source_line, field, reason from quarantine.record order by source_file, source_line")

    def _take(
        self, place: str, name: str, content: bytes, load: Callable[[list[LandingFile], datetime], Loaded]
    ) -> Loaded:
        self.taken += 1
        path = self.folder / f"{self.taken}" / name
        path.parent.mkdir()
        path.write_bytes(content)
        file_id = hashlib.sha256(content).hexdigest()[:16]
        file = LandingFile(file_id=file_id, place=place, name=f"{place}/{name}", path=path, take_seq=self.taken)
        self.con.execute("begin")
        loaded = load([file], FIRST_NIGHT + timedelta(days=self.taken - 1))
        self.con.execute("commit")
        return loaded
