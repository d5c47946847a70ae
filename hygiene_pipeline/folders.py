"""Where a deployment keeps its practice files, data and keys. Read from the environment; creates nothing."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class Folders(BaseSettings):
    """The three folders of a deployment: `HYGIENE_PRACTICES`, `HYGIENE_DATA` and `HYGIENE_KEYS`."""

    model_config = SettingsConfigDict(env_prefix="HYGIENE_", extra="ignore")

    practices: Path = Path("practices")
    data: Path = Path("data")
    keys: Path = Path("keys")

    def of(self, practice: str) -> "PracticeFolders":
        """The folders of one practice below `HYGIENE_DATA`."""
        return PracticeFolders(root=(self.data / practice).absolute())


class PracticeFolders:
    """One practice's files; nothing of another practice is ever below `root`."""

    def __init__(self, *, root: Path) -> None:
        self.root = root
        self.landing = root / "landing"
        self.warehouse = root / "warehouse.duckdb"
        self.published = root / "published"
        self.reports = root / "reports"
        self.outbox = root / "outbox"
        self.crm = root / "crm.sqlite"
        self.spill = root / "spill"
