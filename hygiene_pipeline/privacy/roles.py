"""The roles that get a published database, and what each may see. Read from policies/roles.yaml; no DuckDB here."""

from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field

from hygiene_pipeline.policies.strict import Strict

Treatment = Literal["keep", "hash", "month", "year", "coded"]


class PublishedTable(Strict):
    """Which columns of a table a role sees and how; `where` cuts the rows."""

    columns: Literal["all"] | dict[str, Treatment]
    where: str | None = None


class Role(Strict):
    """A reader of published data; an unencrypted role holds nothing that identifies anybody."""

    description: str
    is_encrypted: bool
    tables: dict[str, PublishedTable]
    expectations: dict[str, list[dict[str, dict[str, Any]]]] = Field(default_factory=dict)


class Roles(Strict):
    """All roles, and the fields whose values are codes and identify nobody."""

    coded_fields: list[str]
    roles: dict[str, Role]


@cache
def load_roles() -> Roles:
    """The shipped roles, checked."""
    path = Path(__file__).parent.parent / "policies" / "roles.yaml"
    return Roles.model_validate(yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))
