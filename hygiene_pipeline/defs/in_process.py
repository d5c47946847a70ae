"""Runs a job of this project in the calling process: the same assets, checks and events as a scheduled run."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

import dagster as dg

from hygiene_pipeline import expectations
from hygiene_pipeline.defs.unrecorded import unrecorded_runs
from hygiene_pipeline.failures import NightStoppedError, PracticeFileError
from hygiene_pipeline.folders import Folders
from hygiene_pipeline.night import open_night
from hygiene_pipeline.practice import practice_ids

_SHIPPED_SETTINGS = Path(__file__).parent.parent.parent / "dagster.yaml"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended: `problems` has one line for each step or blocking check that failed."""

    run_id: str
    success: bool
    problems: tuple[str, ...]


@cache
def loaded_definitions() -> dg.Definitions:
    """The definitions, loaded once a process."""
    # Imported here, because this module is itself among those that the definitions are loaded from.
    from hygiene_pipeline import definitions

    return definitions.defs()


@contextmanager
def recorded_runs() -> Iterator[dg.DagsterInstance]:
    """The Dagster instance of this machine: `DAGSTER_HOME`, or `.dagster_home` in the working folder."""
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(Path(".dagster_home").absolute())))
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "dagster.yaml"
    if not settings.exists() and _SHIPPED_SETTINGS.exists():
        shutil.copyfile(_SHIPPED_SETTINGS, settings)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with dg.DagsterInstance.get() as instance:
        yield instance


def run_job(
    job: str,
    practice: str,
    *,
    as_of: datetime | None,
    instance: dg.DagsterInstance,
    is_thorough: bool = True,
    settle_seconds: float = 2.0,
) -> Outcome:
    """Run a job for a practice; `is_thorough` adds border checks and descriptions of every column."""
    if practice not in practice_ids(Folders().practices):
        known = ", ".join(practice_ids(Folders().practices)) or "none yet"
        raise PracticeFileError(f"practice: there is no file {practice}.yaml; practices here: {known}")
    if is_thorough:
        expectations.make_ready()
    deployment = {
        "as_of": as_of.isoformat() if as_of else "",
        "border_checks": is_thorough,
        "describe": is_thorough,
        "settle_seconds": settle_seconds,
    }
    # Steps open the warehouse themselves; held open here, it is attached once and not once a step.
    with open_night(practice):
        result = (
            loaded_definitions()
            .resolve_job_def(job)
            .execute_in_process(
                partition_key=practice,
                instance=instance,
                raise_on_error=False,
                run_config={
                    "resources": {"deployment": {"config": deployment}},
                    "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                },
            )
        )
    return Outcome(run_id=result.run_id, success=result.success, problems=tuple(_problems(result)))


def _problems(result: dg.ExecuteInProcessResult) -> Iterator[str]:
    """The failed blocking checks, then what each failed step says; the texts hold no values of records."""
    failed = [each for each in result.get_asset_check_evaluations() if not each.passed and each.blocking]
    for check in failed:
        yield f"{check.asset_key.to_user_string()}: {check.check_name}: {check.description or 'failed'}"
    if failed:
        return
    for event in result.filter_events(lambda event: event.is_step_failure):
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None:
            yield error.message.strip().partition("Error: ")[2].splitlines()[0]


@contextmanager
def night_runner(practice: str) -> Iterator[Callable[[datetime, bool], None]]:
    """A function that runs a night of a practice; only nights that people will look at are recorded for the UI."""
    with recorded_runs() as recorded:

        def run_night(as_of: datetime, is_looked_at: bool) -> None:
            with nullcontext(recorded) if is_looked_at else unrecorded_runs() as instance:
                outcome = run_job(
                    "nightly" if is_looked_at else "bare_night",
                    practice,
                    as_of=as_of,
                    instance=instance,
                    is_thorough=is_looked_at,
                    settle_seconds=0,
                )
            if not outcome.success:
                raise NightStoppedError("\n".join(outcome.problems) or f"run {outcome.run_id} failed")

        yield run_night
