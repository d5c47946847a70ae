"""A warm interpreter that forks one night after another, so that a night may be killed and the imports are paid once.

Run as `python -m hygiene_pipeline_tests.night.mortal_nights`: reads a line `FOLDER AS_OF CPU_SECONDS` a night, lets a
fork run that night up to the write-back and the benchmarks, kills it with SIGKILL once it has used CPU_SECONDS (0:
never), and writes how it ended and what it used. Processor time, not the wall's, so that a busy machine kills at the
same places.
"""

import gc
import os
import resource
import signal
import sys
import time
from pathlib import Path

import dagster as dg
import pandas as pd

from hygiene_pipeline.defs.in_process import loaded_definitions
from hygiene_pipeline_tests.night.bed import TinyPractice

_TICKS = os.sysconf("SC_CLK_TCK")
_LOOK_EVERY_SECONDS = 0.005


def main() -> None:
    load_what_every_night_loads()
    for line in sys.stdin:
        folder, as_of, limit = line.split()
        ended = night_in_a_fork(Path(folder), as_of, float(limit))
        sys.stdout.write(f"{ended}\n")
        sys.stdout.flush()


def load_what_every_night_loads() -> None:
    """So that a fork is killed in its work. It must open DuckDB itself, whose threads do not come along."""
    loaded_definitions().resolve_job_def("bare_night")
    with dg.DagsterInstance.ephemeral():
        # DuckDB looks for its types among the values that it is given.
        assert pd.__version__
    gc.collect()
    gc.freeze()


def night_in_a_fork(folder: Path, as_of: str, limit: float, job: str = "bare_night") -> str:
    """`done`, `killed` or `failed`, and the CPU seconds used."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    child = os.fork()
    if not child:
        outcome = TinyPractice(folder).run(as_of, job=job)
        os._exit(0 if outcome.success else 1)
    while limit:
        if used_by(child) >= limit:
            os.kill(child, signal.SIGKILL)
            break
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        time.sleep(_LOOK_EVERY_SECONDS)
    _, status = os.waitpid(child, 0)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    code = os.waitstatus_to_exitcode(status)
    return f"{ {0: 'done', -signal.SIGKILL: 'killed'}.get(code, 'failed') } {used:.3f}"


def used_by(process: int) -> float:
    """User and system time of a process, from its name on in /proc/PID/stat."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


if __name__ == "__main__":
    main()
