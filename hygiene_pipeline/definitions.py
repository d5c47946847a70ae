"""The Dagster entry point: everything in `defs/`, run in one process because DuckDB has one writer."""

from pathlib import Path

import dagster as dg

from hygiene_pipeline import collector


@dg.definitions
def defs() -> dg.Definitions:
    """All assets, checks, jobs, schedules and sensors."""
    with collector.paused():
        loaded = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    collector.spare_what_is_loaded()
    return dg.Definitions.merge(loaded, dg.Definitions(executor=dg.in_process_executor))
