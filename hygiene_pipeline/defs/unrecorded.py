"""An instance for runs whose events nobody will look at: it knows the run and how it ended, and keeps no more of it.

Dagster writes down every event of a run in SQL, in memory too, and looks earlier ones up to say what a table was made
from. For a night of a small practice that is more work than the night. The run itself hands its events to whoever runs
it in process, and that is all an unrecorded run needs.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Never

import dagster as dg


class UnrecordedInstance(dg.DagsterInstance):
    """Keeps how a run began and ended; forgets what its steps tell, and says so to who asks."""

    def should_store_event(self, event: dg.EventLogEntry) -> bool:
        """Only what the state of the run depends on."""
        is_of_the_run = event.is_dagster_event and event.get_dagster_event().is_job_event
        return is_of_the_run and super().should_store_event(event)

    def get_asset_records(self, asset_keys: Sequence[dg.AssetKey] | None = None) -> Sequence[Never]:
        """None, whichever are asked for."""
        return []

    def fetch_materializations(
        self,
        records_filter: dg.AssetKey | dg.AssetRecordsFilter,
        limit: int,
        cursor: str | None = None,
        ascending: bool = False,
    ) -> dg.EventRecordsResult:
        """None, whichever are asked for."""
        return dg.EventRecordsResult([], cursor=cursor or "", has_more=False)

    fetch_observations = fetch_materializations


@contextmanager
def unrecorded_runs() -> Iterator[dg.DagsterInstance]:
    """An instance in memory that lives as long as the context."""
    with dg.DagsterInstance.ephemeral() as instance:
        # Dagster makes its instances itself: that this one is of our kind can only be said of it once it is there.
        instance.__class__ = UnrecordedInstance
        yield instance
