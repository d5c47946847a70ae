"""What runs need from outside: when the run is, and the deployment's folders. Folders come from the environment."""

from contextlib import AbstractContextManager

import dagster as dg
from pydantic import Field

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


@dg.definitions
def resources() -> dg.Definitions:
    """All resources, wired in one place."""
    return dg.Definitions(resources={"deployment": Deployment()})
