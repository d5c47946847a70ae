"""A practice that has lived ten days without pipeline, made once, and a CRM in memory."""

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hygiene_pipeline.demo.simulation import Simulation, simulate, simulate_days

PATIENTS = 600
DAYS = 10


class MemoryCrm:
    """Contacts in a dictionary, with a log of who edited what."""

    def __init__(self, rows: Mapping[str, Mapping[str, str]]) -> None:
        self.rows: dict[str, dict[str, str | None]] = {key: dict(row) for key, row in rows.items()}
        self.log: list[tuple[str, str, tuple[str, ...]]] = []

    def read_contacts(self) -> Iterator[dict[str, str | None]]:
        return iter([dict(row) for row in self.rows.values()])

    def edit(self, contact_id: str, changes: Mapping[str, str | None], *, editor: str, at: dt.datetime) -> None:
        self.rows[contact_id].update(changes)
        self.log.append((editor, contact_id, tuple(changes)))

    def add(self, row: Mapping[str, str | None], *, editor: str, at: dt.datetime) -> None:
        self.rows[row["contact_id"] or ""] = dict(row)
        self.log.append((editor, row["contact_id"] or "", ()))


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    """Read only: day 0 and ten days of files."""
    return make_days(tmp_path_factory.mktemp("lived"), seed=7)


@pytest.fixture
def fresh(tmp_path: Path) -> Simulation:
    """A small practice on its first morning."""
    return simulate(landing=tmp_path / "landing", data=tmp_path, practice="riverside", patients=200, days=5, seed=3)


def make_days(root: Path, *, seed: int, patients: int = PATIENTS) -> Simulation:
    return simulate_days(
        landing=root / "landing", data=root, practice="riverside", patients=patients, days=DAYS, seed=seed
    )
