"""What runs when something arrives, and what is said when a run fails."""

import time
from datetime import UTC, datetime

import dagster as dg

from hygiene_pipeline.folders import Folders
from hygiene_pipeline.landing.arrivals import decide, last_run_ns, list_place
from hygiene_pipeline.practice import practice_ids

_SETTLE_SECONDS = 2.0


def _arrival_sensor(name: str, place: str, job_name: str, words: str) -> dg.SensorDefinition:
    @dg.sensor(
        name=name,
        job_name=job_name,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"{words} A file still being written waits for the next tick; no new file, no run.",
    )
    def arrival(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        folders = Folders()
        at_ns = time.time_ns()
        practices = practice_ids(folders.practices)
        decision = decide(
            context.cursor,
            {practice: list_place(folders, practice, place) for practice in practices},
            at_ns=at_ns,
            settle_seconds=_SETTLE_SECONDS,
            last_run_ns=last_run_ns(folders, practices),
        )
        as_of = datetime.fromtimestamp(at_ns // 1_000_000_000, tz=UTC).isoformat()
        # What arrives while the run starts may still be written to: the run waits for it too.
        config = {"as_of": as_of, "border_checks": False, "describe": False, "settle_seconds": _SETTLE_SECONDS}
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    run_key=run_key,
                    partition_key=practice,
                    run_config={"resources": {"deployment": {"config": config}}},
                )
                for practice, run_key in decision.run_keys.items()
            ],
            cursor=decision.cursor,
            skip_reason=None if decision.run_keys else dg.SkipReason("nothing new has arrived"),
        )

    return arrival


eligibility_arrived = _arrival_sensor(
    "eligibility_arrived", "pm/eligibility", "eligibility_event", "Eligibility answers that drop into landing."
)
ehr_event_arrived = _arrival_sensor(
    "ehr_event_arrived", "ehr_events", "ehr_event", "HL7 v2 messages and FHIR notifications that drop into landing."
)
reply_arrived = _arrival_sensor(
    "reply_arrived", "replies", "reply_event", "Replies of patients that drop into landing."
)


@dg.run_failure_sensor(
    name="run_failed",
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Says which run of which practice failed in which step; the values stay in the warehouse.",
)
def run_failed(context: dg.RunFailureSensorContext) -> None:
    """Log one line with ids only: no exception text, since a library may have quoted a value in it."""
    run = context.dagster_run
    steps = sorted({str(event.step_key) for event in context.get_step_failure_events()})
    context.log.error(
        "run %s of job %s for practice %s failed in %s; open the run in the Dagster UI",
        run.run_id,
        run.job_name,
        run.tags.get("dagster/partition", "unknown"),
        ", ".join(steps) or "no step",
    )
