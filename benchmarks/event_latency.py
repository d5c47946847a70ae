"""From an event of the EHR to the changed row of the CRM, with the real webserver, daemon and MLLP listener.

    python benchmarks/event_latency.py --patients 3200
    python benchmarks/event_latency.py --patients 3200 --repeat 3

A practice is simulated in a temporary folder, its first night is run, and the night of today. Then webserver, daemon
and `hygiene listen` are started as a practice runs them, with the shipped settings. A discharge is dropped into landing
as a file, another is sent over MLLP, and a thousand are dropped at once; each time the clock stops when the CRM shows
the status. Printed: seconds in all, waiting for the sensor's tick, and ours, which is the rest.
"""

import argparse
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PRACTICE = "riverside"
MLLP_PORT = 25750
PATIENCE_SECONDS = 180
SIMULATE = """
from hygiene_pipeline.demo.story import simulate_only
simulate_only('riverside', patients={}, days=1, seed=1, on_day=str)
"""
NIGHT = """
from datetime import UTC, datetime
from hygiene_pipeline.defs.in_process import run_job
from hygiene_pipeline.defs.unrecorded import unrecorded_runs
now = datetime.now(UTC).replace(microsecond=0)
with unrecorded_runs() as instance:
    # First as of the simulated day, then as of today: a practice's first run of a day is its night.
    for as_of in (datetime(2026, 1, 6, 7, tzinfo=UTC), now):
        outcome = run_job('bare_night', 'riverside', as_of=as_of, instance=instance, is_thorough=False,
                          settle_seconds=0)
assert outcome.success, outcome.problems
"""


def main() -> None:
    """Simulate, start everything, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=3200)
    parser.add_argument("--repeat", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        prepare(Path(folder), options.patients)
        with served(Path(folder)):
            for _ in range(options.repeat):
                measure_all(Path(folder))


def prepare(folder: Path, patients: int) -> None:
    """The practice's nights so far, and settings as a deployment has them."""
    home = folder / "dagster"
    home.mkdir()
    shutil.copyfile(ROOT / "dagster.yaml", home / "dagster.yaml")
    (folder / "practices").mkdir()
    text = (ROOT / "practices" / f"{PRACTICE}.yaml").read_text(encoding="utf-8")
    (folder / "practices" / f"{PRACTICE}.yaml").write_text(f"{text}\nreceive: {{mllp: {{port: {MLLP_PORT}}}}}\n")
    os.environ |= {
        "HYGIENE_PRACTICES": str(folder / "practices"),
        "HYGIENE_DATA": str(folder / "data"),
        "HYGIENE_KEYS": str(folder / "keys"),
        "DAGSTER_HOME": str(home),
    }
    # Made here: webserver and daemon would make it at the same moment, and Dagster's tables do not take that.
    ticks()
    for words, code in (("simulated", SIMULATE.format(patients)), ("nights", NIGHT)):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        print(f"{words}: {time.perf_counter() - began:.1f} s", flush=True)


@contextmanager
def served(folder: Path) -> Iterator[None]:
    """Webserver, daemon and listener, ready: the sensor has ticked once."""
    programs = Path(sys.executable).parent
    workspace = ["-w", str(ROOT / "workspace.yaml")]
    commands = {
        "webserver": [programs / "dagster-webserver", "-p", "25751", *workspace],
        "daemon": [programs / "dagster-daemon", "run", *workspace],
        "listener": [programs / "hygiene", "listen", "--practice", PRACTICE],
    }
    running = []
    try:
        for name, command in commands.items():
            log = (folder / f"{name}.log").open("w")
            running.append(subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT))
        began = time.perf_counter()
        wait_until(lambda: ticks() > 0, "the sensor's first tick")
        print(f"webserver, daemon and listener ready: {time.perf_counter() - began:.1f} s", flush=True)
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(30)


def measure_all(folder: Path) -> None:
    """One discharge by file, one by MLLP, a thousand by file."""
    people = iter(candidates(folder))
    landing = folder / "data" / PRACTICE / "landing" / "ehr_events"
    one, two = [next(people)], [next(people)]
    many = [mrn for mrn, _ in zip(people, range(1000), strict=False)]

    def drop(mrns: Sequence[str]) -> None:
        draft = landing / ".drop.tmp"
        draft.write_text("".join(map(discharge, mrns)))
        draft.rename(landing / f"drop-{time.time_ns()}.hl7")

    def send(mrns: Sequence[str]) -> None:
        with socket.create_connection(("127.0.0.1", MLLP_PORT)) as connection:
            for mrn in mrns:
                connection.sendall(b"\x0b" + discharge(mrn).encode() + b"\x1c\r")
                assert b"MSA|AA|" in connection.recv(4096)

    measure(folder, "one event, file", one, drop)
    measure(folder, "one event, MLLP", two, send)
    measure(folder, f"{len(many)} events, file", many, drop)


def measure(folder: Path, words: str, mrns: Sequence[str], bring: Callable[[Sequence[str]], None]) -> None:
    """Bring discharges, wait until the CRM shows the last of them, and say where the time went."""
    runs_before = len(runs())
    began = time.time()
    bring(mrns)
    wait_until(lambda: discharged(folder, mrns) == len(mrns), words)
    ended = time.time()
    wait_until(lambda: len(runs()) > runs_before and all(run.end_time for run in runs()), "the end of the run")
    run = runs()[0]
    asked = run.create_timestamp.replace(tzinfo=UTC).timestamp()
    start, to_crm, whole = run.start_time - asked, ended - run.start_time, run.end_time - run.start_time
    print(
        f"{words:>20}: {ended - began:5.1f} s to the CRM; {asked - began:5.1f} s until the sensor asked,"
        f" {ended - asked:4.1f} s ours (start {start:.1f} s, to the CRM {to_crm:.1f} s, whole run {whole:.1f} s);"
        f" load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
        flush=True,
    )


def discharge(mrn: str) -> str:
    """An A03 of a moment ago."""
    at = f"{datetime.now(UTC) - timedelta(seconds=5):%Y%m%d%H%M%S}+0000"
    fields = [""] * 45
    fields[0], fields[1], fields[18], fields[35], fields[44] = "1", "I", f"V{mrn}{at}", "01", at
    return (
        f"MSH|^~\\&|EHR|RIVERSIDE|CRM|RIVERSIDE|{at}||ADT^A03^ADT_A03|{mrn}{at}|P|2.5.1\rEVN|A03|{at}\r"
        f"PID|1||{mrn}^^^RIVERSIDE^MR\rPV1|{'|'.join(fields)}\r"
    )


def candidates(folder: Path) -> list[str]:
    """Record numbers of contacts that are in active care: the EHR will say discharged, and nothing is in the way."""
    return [
        mrn
        for (mrn,) in crm(
            folder,
            "select mrn from contact where mrn <> '' and care_status = 'active' group by mrn having count(*) = 1",
        )
    ]


def discharged(folder: Path, mrns: Sequence[str]) -> int:
    """How many of them the CRM shows as discharged."""
    found = {mrn for (mrn,) in crm(folder, "select mrn from contact where care_status = 'discharged'")}
    return len(found & set(mrns))


def crm(folder: Path, sql: str) -> list[tuple[str, ...]]:
    """Rows of the embedded CRM."""
    with closing(sqlite3.connect(f"file:{folder}/data/{PRACTICE}/crm.sqlite?mode=ro", uri=True)) as con:
        return con.execute(sql).fetchall()


def ticks() -> int:
    """How often the sensor looked."""
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        states = instance.all_instigator_state()
        sensors = [state for state in states if state.instigator_name == "ehr_event_arrived"]
        return sum(len(instance.get_ticks(state.instigator_origin_id, state.selector_id)) for state in sensors)


def runs() -> list[Any]:
    """The runs so far, the latest first."""
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        return list(instance.get_run_records())


def wait_until(is_so: Callable[[], bool], words: str) -> None:
    """Look five times a second."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {PATIENCE_SECONDS} s in vain for: {words}")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
