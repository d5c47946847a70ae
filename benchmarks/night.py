"""Nights in process: how long each takes and how much memory, for a simulated practice of any size.

    python benchmarks/night.py --patients 3200
    python benchmarks/night.py --patients 100000

A practice is simulated in a temporary folder and lived through for three days, as `make run` does: the first night
takes a practice's whole past, the second sees what the first wrote back, each following one a day's changes. Every
night runs in a process of its own, as `hygiene run` does, and prints its seconds, its peak of resident memory (with
that of the process that Great Expectations runs in) and its slowest steps. `--recorded` keeps Dagster's events in
SQLite, as a scheduled run does by `dagster.yaml`; else they are told to the caller and kept nowhere.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

PRACTICE = "riverside"


def main() -> None:
    """Simulate, run the nights, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=3200)
    parser.add_argument("--days", type=int, default=2, help="days lived through after the first night")
    parser.add_argument("--job", choices=["nightly", "bare_night"], default="nightly")
    parser.add_argument("--recorded", action="store_true", help="in Dagster's storage, as a scheduled run is")
    parser.add_argument("--night", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.night:
        _one_night(datetime.fromisoformat(chosen.night), chosen.job, is_recorded=chosen.recorded)
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        os.environ |= {
            "HYGIENE_PRACTICES": str(Path(__file__).parent.parent / "practices"),
            "HYGIENE_DATA": f"{folder}/data",
            "HYGIENE_KEYS": f"{folder}/keys",
            "DAGSTER_HOME": f"{folder}/dagster_home",
        }
        _live(chosen.patients, chosen.days, ["--job", chosen.job, *(["--recorded"] if chosen.recorded else [])])


def _live(patients: int, days: int, how: list[str]) -> None:
    from hygiene_pipeline.demo.story import live

    def run_night(as_of: datetime, _is_looked_at: bool) -> None:
        command = [sys.executable, __file__, "--night", as_of.isoformat(), *how]
        told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        print(f"{as_of:%Y-%m-%d}: {told['seconds']:.1f} s, peak {told['gib']:.2f} GiB, {told['state']}", flush=True)
        for seconds, words in told["slowest"]:
            print(f"    {seconds:6.2f} s  {words}", flush=True)

    print(f"{patients:,} patients", flush=True)
    live(PRACTICE, patients=patients, days=days, seed=1, run_night=run_night, on_night=str)


def _one_night(as_of: datetime, job: str, *, is_recorded: bool) -> None:
    from hygiene_pipeline.defs.in_process import recorded_runs, run_job
    from hygiene_pipeline.defs.unrecorded import unrecorded_runs
    from hygiene_pipeline.progress import listening

    steps: list[tuple[float, str]] = []
    instances = recorded_runs() if is_recorded else unrecorded_runs()
    with instances as instance, listening(lambda words: steps.append((time.perf_counter(), words))):
        began = time.perf_counter()
        outcome = run_job(job, PRACTICE, as_of=as_of, instance=instance, settle_seconds=0, is_thorough=job == "nightly")
        ended = time.perf_counter()
    ends = [at for at, _ in steps[1:]] + [ended]
    slowest = sorted(((end - at, words) for (at, words), end in zip(steps, ends, strict=True)), reverse=True)
    told = {
        "seconds": ended - began,
        "gib": _peak_kib() / 1024**2,
        "state": "ok" if outcome.success else "; ".join(outcome.problems),
        "slowest": slowest[:12],
    }
    sys.stdout.write(json.dumps(told))


def _peak_kib() -> int:
    """The most memory that was resident in this process, and that in each one it started, one added to the other.

    `getrusage` would count what the process that started this one had then.
    """
    own = str(os.getpid())
    peaks = []
    for process in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = process.read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        told = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        if own in (told["Pid"], told["PPid"]) and "VmHWM" in told:
            peaks.append(int(told["VmHWM"].split()[0]))
    return sum(peaks)


if __name__ == "__main__":
    main()
