"""Event runs in process: what one event and a thousand events cost beside building every table.

    python benchmarks/event_cost.py --patients 3200
    python benchmarks/event_cost.py --patients 100000

A practice is simulated in a temporary folder and its first night is run. Then discharges arrive, one, then a thousand
at once, and one more after the warehouse forgot how far it is built, so that its run builds everything. Each run is in
a process of its own, with Dagster's events in memory; printed are its seconds, its CPU seconds, and how it went.
"""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

PRACTICE = "riverside"
NIGHT = datetime(2026, 1, 6, 7, tzinfo=UTC)


def main() -> None:
    """Simulate, run the night, let events arrive, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=3200)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--job", default="ehr_event", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.run:
        one_run(datetime.fromisoformat(chosen.run), chosen.job)
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        os.environ |= {
            "HYGIENE_PRACTICES": str(Path(__file__).parent.parent / "practices"),
            "HYGIENE_DATA": f"{folder}/data",
            "HYGIENE_KEYS": f"{folder}/keys",
        }
        measure_all(Path(folder) / "data" / PRACTICE, chosen.patients)


def measure_all(root: Path, patients: int) -> None:
    """The night, then one run after another."""
    from hygiene_pipeline.demo.story import simulate_only
    from hygiene_pipeline.night import open_night

    print(f"{patients:,} patients", flush=True)
    simulate_only(PRACTICE, patients=patients, days=1, seed=1, on_day=lambda _: None)
    measure("the night before", NIGHT, "bare_night")
    with closing(sqlite3.connect(root / "crm.sqlite")) as con:
        found = con.execute("select mrn from contact where mrn <> '' group by mrn having count(*) = 1 order by mrn")
        mrns = [mrn for (mrn,) in found]
    for hour, (words, events) in enumerate((("one event", 1), ("a thousand events", 1000), ("all tables whole", 1)), 5):
        at, chosen, mrns = NIGHT + timedelta(hours=hour), mrns[:events], mrns[events:]
        drop(root / "landing" / "ehr_events" / f"{hour}.hl7", chosen, at)
        if words == "all tables whole":
            with open_night(PRACTICE) as night:
                night.warehouse.con.execute("delete from quality.built_model")
        measure(words, at, "ehr_event")


def drop(path: Path, mrns: list[str], at: datetime) -> None:
    """A file of discharges of an hour ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stamp = f"{at - timedelta(hours=1):%Y%m%d%H%M%S}+0000"
    visit = "|".join(["1", "I", *[""] * 33, "01", *[""] * 8, stamp])
    path.write_text(
        "".join(
            f"MSH|^~\\&|EHR|RIVERSIDE|CRM|RIVERSIDE|{stamp}||ADT^A03^ADT_A03|{mrn}{stamp}|P|2.5.1\rEVN|A03|{stamp}\r"
            f"PID|1||{mrn}^^^RIVERSIDE^MR\rPV1|{visit}\r"
            for mrn in mrns
        )
    )


def measure(words: str, as_of: datetime, job: str) -> None:
    """One run in a process of its own."""
    command = [sys.executable, __file__, "--run", as_of.isoformat(), "--job", job]
    told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    print(f"{words:>18}: {told['seconds']:6.1f} s, {told['cpu']:6.1f} s CPU; {told['state']}", flush=True)


def one_run(as_of: datetime, job: str) -> None:
    """Run the job and say what it cost."""
    from hygiene_pipeline.defs.in_process import run_job
    from hygiene_pipeline.defs.unrecorded import unrecorded_runs
    from hygiene_pipeline.night import open_night

    with unrecorded_runs() as instance:
        outcome = run_job(job, PRACTICE, as_of=as_of, instance=instance, settle_seconds=0, is_thorough=False)
    seconds, cpu = time.perf_counter() - _BEGAN, time.process_time()
    with open_night(PRACTICE) as night:
        is_slice = night.warehouse.value(
            "select is_slice from quality.built_model where model = 'hygiene.contact_status'"
        )
    state = ("renewed the touched" if is_slice else "built everything") if outcome.success else str(outcome.problems)
    sys.stdout.write(json.dumps({"seconds": seconds, "cpu": cpu, "state": state}))


_BEGAN = time.perf_counter()

if __name__ == "__main__":
    main()
