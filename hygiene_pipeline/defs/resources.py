"""What runs need from outside: when the run is, and the deployment's folders. Folders come from the environment."""

from contextlib import AbstractContextManager
from datetime import UTC, datetime

import dagster as dg
from pydantic import Field

from hygiene_pipeline.failures import PermanentError
from hygiene_pipeline.night import Night, open_night


class Deployment(dg.ConfigurableResource[None]):
    """A run's own time and how thorough it is; opens a practice's warehouse for one step."""

    as_of: str = Field(default="", description="When this run is, ISO 8601 with offset. Empty: the start of the run.")
    settle_seconds: float = Field(default=2.0, description="A landing file younger than this may still be written to.")
    border_checks: bool = Field(default=True, description="Run Great Expectations where data enter and leave.")
    describe: bool = Field(default=True, description="Write column schema and lineage into each materialization.")

    def night(self, practice: str) -> AbstractContextManager[Night]:
        """Open a practice for one step."""
        return open_night(practice)

    def time_of_run(self) -> datetime:
        """When this run is, in UTC; PermanentError if what was given is no time."""
        if not self.as_of:
            return datetime.now(UTC).replace(microsecond=0)
        try:
            as_of = datetime.fromisoformat(self.as_of)
        except ValueError:
            raise PermanentError("as_of: is not a time; allowed: ISO 8601 such as 2026-03-01T07:00:00Z") from None
        if as_of.tzinfo is None:
            raise PermanentError("as_of: has no offset; allowed: ISO 8601 with offset such as 2026-03-01T07:00:00Z")
        return as_of.astimezone(UTC)


@dg.definitions
def resources() -> dg.Definitions:
    """All resources, wired in one place."""
    return dg.Definitions(resources={"deployment": Deployment()})
