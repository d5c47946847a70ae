"""One night in process: how long it takes and how much memory, first and following night.

    python benchmarks/night.py --patients 3200
    python benchmarks/night.py --patients 100000

A practice is simulated in a temporary folder, and its first two nights are run as `hygiene run` does, but with
Dagster's events in memory. Prints seconds a night, and the peak of resident memory of this process (simulation apart).
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

PRACTICE = "riverside"
SIMULATE = """
from hygiene_pipeline.demo.story import simulate_only
simulate_only('riverside', patients={}, days=1, seed=1, on_day=str)
"""


def main() -> None:
    """Simulate, run two nights, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=3200)
    patients = parser.parse_args().patients
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        os.environ |= {
            "HYGIENE_PRACTICES": str(Path(__file__).parent.parent / "practices"),
            "HYGIENE_DATA": f"{folder}/data",
            "HYGIENE_KEYS": f"{folder}/keys",
        }
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", SIMULATE.format(patients)], check=True)
        print(f"simulated {patients:,} patients in {time.perf_counter() - began:.1f} s")
        _run_nights()


def _run_nights() -> None:
    from hygiene_pipeline.defs.in_process import run_job, unrecorded_runs
    from hygiene_pipeline.progress import listening

    steps: list[tuple[float, str]] = []
    for night in range(2):
        steps.clear()
        with unrecorded_runs() as instance, listening(lambda words: steps.append((time.perf_counter(), words))):
            began = time.perf_counter()
            as_of = datetime(2026, 1, 6 + night, 7, tzinfo=UTC)
            outcome = run_job("nightly", PRACTICE, as_of=as_of, instance=instance, settle_seconds=0)
            took = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        state = "ok" if outcome.success else "; ".join(outcome.problems)
        print(f"night {night + 1}: {took:.1f} s, peak {peak:.2f} GiB, {state}")
        ends = [at for at, _ in steps[1:]] + [began + took]
        slowest = sorted(((end - at, words) for (at, words), end in zip(steps, ends, strict=True)), reverse=True)
        for seconds, words in slowest[:8]:
            print(f"    {seconds:6.2f} s  {words}")


if __name__ == "__main__":
    main()
