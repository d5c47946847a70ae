"""Open enrolment at full size: 900 of 3,200 patients change plan on 1 January, payers time out, answers are late.

    python -m benchmarks.open_enrolment
    python -m benchmarks.open_enrolment --patients 320 --ends-answers

Lives through ten days of the simulated practice with the real nights and prints a line a night: what the accuracy
metric says, over how many contacts it is known, how many answers are of this plan year, and how many contacts of the
CRM really show as active a policy that the patient does not have. `--ends-answers` sets the policy by which answers of
the old year count no longer.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from hygiene_pipeline_tests.demo.open_enrolment import Told, live, summary

NIGHTS = range(10)


def main() -> None:
    """Live through it and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=3200)
    parser.add_argument("--ends-answers", action="store_true")
    arguments = parser.parse_args()
    began = time.perf_counter()

    def on_night(told: Told) -> None:
        print(f"{summary(told)}  [{time.perf_counter() - began:.0f} s]", flush=True)

    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        ended = live(
            Path(folder),
            patients=arguments.patients,
            changing=round(arguments.patients * 900 / 3200),
            inquiries_a_day=arguments.patients * 11 // 32,
            nights=NIGHTS,
            ends_answers=arguments.ends_answers,
            on_night=on_night,
        )
    asked = sum(row["new_value"] == "verify_required" for row in ended.written)
    print(
        f"{len(ended.changed)} changed plan; verify_required written {asked} times;"
        f" wrongly active at the end: {len(ended.wrongly_active)}"
    )


if __name__ == "__main__":
    main()
