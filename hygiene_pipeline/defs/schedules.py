"""What runs by the clock, in each practice's own time zone."""

import logging
from collections.abc import Callable

import dagster as dg

from hygiene_pipeline.failures import PracticeFileError
from hygiene_pipeline.folders import Folders
from hygiene_pipeline.practice import Practice, load_practice, practice_ids

_logger = logging.getLogger(__name__)


def _request(practice: str) -> Callable[[dg.ScheduleEvaluationContext], dg.RunRequest]:
    def request(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        as_of = context.scheduled_execution_time.isoformat()
        return dg.RunRequest(
            run_key=f"{practice}:{as_of}",
            partition_key=practice,
            run_config={"resources": {"deployment": {"config": {"as_of": as_of}}}},
        )

    return request


def _writes_by_vendor(practice: Practice) -> bool:
    """Files say when a message may be delivered; a vendor delivers at once, so it must be called within hours."""
    messages = practice.messages
    return messages.send == "send" and bool(messages.email.agreement_with or messages.sms.agreement_with)


def _schedules(practice: Practice) -> list[dg.ScheduleDefinition]:
    """The schedules of a practice. A schedule that was off catches up with nothing: the next run sees it all."""
    words = {
        "nightly": ("nightly", "0 2 * * *", "Every night at 02:00: the whole pipeline."),
        "referring_providers": (
            "referring_providers",
            "0 4 1 1,4,7,10 *",
            "On the first of each quarter at 04:00: referring providers against the network.",
        ),
        "scorecard": (
            "scorecard",
            "0 5 1 * *",
            "On the first of each month at 05:00: benchmarks, report, published data.",
        ),
    }
    if _writes_by_vendor(practice):
        hour = practice.policies.reengagement.quiet_to_hour
        words["messages"] = (
            "reply_event",
            f"5 {hour} * * *",
            f"Every day at {hour:02}:05, when messages may begin: replies that arrived, then what the night planned.",
        )
    return [
        dg.ScheduleDefinition(
            name=f"{name}_{practice.practice.replace('-', '_')}",
            job_name=job,
            cron_schedule=cron,
            execution_timezone=practice.timezone,
            execution_fn=_request(practice.practice),
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description=f"{told} Practice {practice.practice}, {practice.timezone}.",
        )
        for name, (job, cron, told) in words.items()
    ]


@dg.definitions
def schedules() -> dg.Definitions:
    """The schedules of every practice whose file is sound; a wrong file is told and costs only its own schedules."""
    folder = Folders().practices
    found: list[dg.ScheduleDefinition] = []
    for practice in practice_ids(folder):
        try:
            found += _schedules(load_practice(folder, practice))
        except PracticeFileError as error:
            _logger.warning("no schedules: %s", error)
    return dg.Definitions(schedules=found)
