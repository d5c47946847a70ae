"""Good and failing nights, commands and sensors in one process that logs all it can, for somebody to read every word.

Run as `python -m hygiene_pipeline_tests.night.loud_nights FOLDER` with `DAGSTER_HOME` set.
"""

import json
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import dagster as dg
import great_expectations
from typer.testing import CliRunner

from hygiene_pipeline.cli import app
from hygiene_pipeline.defs import sensors
from hygiene_pipeline.defs.in_process import recorded_runs
from hygiene_pipeline.failures import HygieneError
from hygiene_pipeline.night import open_night
from hygiene_pipeline_tests.night.bed import FIRST, PRACTICE, SECOND, TinyPractice


def main(root: Path) -> None:
    # Imported before everything is logged: it logs its own source when it is imported.
    assert great_expectations.__version__
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, force=True)
    bed = TinyPractice(root)
    with bed.environment():
        command("doctor")
        command("run", "--as-of", FIRST)
        command("doctor")
        command("scorecard")
        with recorded_runs() as instance:
            for number, spoil in enumerate((silent_pm_and_deaf_table, a_status_that_is_none), start=1):
                told(spoil.__name__)
                spoil(bed)
                outcome = bed.run(SECOND.replace("07:00", f"0{number}:30"), instance=instance, is_thorough=True)
                told(f"{outcome.success}: {outcome.problems}")
            watch(instance)
        a_value_no_cast_can_read()
        command("run", "--as-of", "2026-03-05T07:00:00+00:00")
        with_another_key(bed, lambda: command("run"))
        with_another_key(bed, lambda: command("doctor"))
        with_another_key(bed, lambda: opened_plainly())


def told(words: object) -> None:
    sys.stdout.write(f"{words}\n")


def command(*words: str) -> None:
    """What a person would type, and all that it says."""
    result = CliRunner().invoke(app, [words[0], "--practice", PRACTICE, *words[1:]])
    told(f"hygiene {' '.join(words)}: {result.exit_code}\n{result.output}\n{result.exception or ''}")


def silent_pm_and_deaf_table(bed: TinyPractice) -> None:
    """A source brings nothing, and a loader fails on a value, which DuckDB quotes."""
    with open_night(PRACTICE) as night:
        night.warehouse.con.execute(
            "create or replace table raw.replies as select * replace (7 as value) from raw.replies"
        )
    said = {"contact_id": "CXYZZYQ3", "received_at": "2026-03-02T15:00:00Z", "kind": "stop", "value": "Xyzzyq, no more"}
    bed.write({"replies/late.ndjson": json.dumps(said)})
    path = bed.folders.landing / "pm" / "patients.csv"
    path.rename(path.with_suffix(".csv.tmp"))


def a_status_that_is_none(bed: TinyPractice) -> None:
    """A blocking test fails, and the rows that fail it are those of patients."""
    path = bed.folders.landing / "pm" / "patients.csv.tmp"
    path.rename(path.with_suffix(""))
    (bed.folders.landing / "replies" / "late.ndjson").unlink()
    with open_night(PRACTICE) as night:
        night.warehouse.con.execute(
            "create or replace table raw.replies as select * replace (value::varchar as value) from raw.replies"
        )
        night.warehouse.con.execute("update raw.crm_contacts set insurance_status = 'Xyzzyq'")


def a_value_no_cast_can_read() -> None:
    """DuckDB quotes the value that it fails to read, here a member id where the truth of something should stand."""
    with open_night(PRACTICE) as night:
        con = night.warehouse.con
        con.execute("update raw.crm_contacts set insurance_status = 'active'")
        con.execute(
            "create or replace table raw.pm_coverage as select * replace (member_id as is_removed) from raw.pm_coverage"
        )


def watch(instance: dg.DagsterInstance) -> None:
    """A tick of every arrival sensor, and what the failure sensor says of every failed run."""
    for sensor in (sensors.ehr_event_arrived, sensors.eligibility_arrived, sensors.reply_arrived):
        result = sensor(dg.build_sensor_context(instance=instance))
        told(result)
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE])):
        [event] = [
            record.dagster_event
            for record in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
            if record.dagster_event
        ]
        context = dg.build_run_status_sensor_context("run_failed", event, instance, run).for_run_failure()
        told(f"failure sensor: {sensors.run_failed(context)}")


def with_another_key(bed: TinyPractice, act: Callable[[], None]) -> None:
    os.environ["HYGIENE_KEY_RIVERSIDE_WAREHOUSE"] = "f" * 64
    try:
        act()
    finally:
        del os.environ["HYGIENE_KEY_RIVERSIDE_WAREHOUSE"]


def opened_plainly() -> None:
    with suppress(HygieneError), open_night(PRACTICE):
        told("a wrong key opened the warehouse")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
