"""How many paid lookups a second the run brings home, against what concurrency and rate limit allow.

    .venv/bin/python -m benchmarks.phone_lookup [SECONDS]

A stub on 127.0.0.1 answers each call after 100 ms, in a process of its own; Twilio's SDK asks, and every answer is
committed to an encrypted warehouse as it comes. Beside it stands what the same threads reach when they only call and
keep nothing, which is what the machine has to give at that moment.
"""

import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hygiene_pipeline.phone.protocol import LookupRequest
from hygiene_pipeline.sync.lookup_vendor import phone_lookup
from hygiene_pipeline.sync.paid_lookups import ask_vendor
from hygiene_pipeline_tests.phone.vendor_server import Call, Reply, serving, twilio_body
from hygiene_pipeline_tests.sync.lookup_bed import AS_OF, PACKAGES, LookupBed, number

LATENCY_SECONDS = 0.1
CASES = ((10, 1000.0), (20, 1000.0), (10, 20.0), (20, 100.0))


def serve() -> None:
    """The stub: says where it listens, and serves until its input ends."""

    def script(call: Call) -> Reply:
        return Reply(body=twilio_body(call), after=LATENCY_SECONDS)

    with serving(script) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        sys.stdin.read()


def bare_rate(bed: LookupBed, concurrency: int, per_second: float, count: int) -> float:
    """Calls a second of threads that only call, no faster than agreed."""
    service = phone_lookup(bed.practice, bed.keys, at=AS_OF)
    requests = [LookupRequest(phone=number(place), packages=tuple(PACKAGES)) for place in range(count)]
    begun = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as threads:
        list(threads.map(service.ask, requests))
    took = time.perf_counter() - begun
    service.close()
    return min(count / took, per_second)


def measure(url: str, concurrency: int, per_second: float, seconds: float) -> None:
    """One run, and the share of the allowed rate that it reached."""
    allowed = min(concurrency / LATENCY_SECONDS, per_second)
    count = round(allowed * seconds)
    with tempfile.TemporaryDirectory() as folder:
        bed = LookupBed(Path(folder), url, concurrency=concurrency, per_second=per_second)
        bed.lay_plan(count)
        with bed.warehouse() as warehouse:
            begun = time.perf_counter()
            asked = ask_vendor(warehouse, bed.practice, bed.keys, as_of=AS_OF)
            took = time.perf_counter() - begun
        bare = bare_rate(bed, concurrency, per_second, min(count, round(5 * allowed)))
    rate = asked.answered / took
    sys.stdout.write(
        f"concurrency {concurrency:3}, limit {per_second:6.0f}/s: {asked.answered:5} lookups in {took:5.1f} s,"
        f" {rate:6.1f}/s of {allowed:5.0f}/s allowed: {rate / allowed:.2f};"
        f" bare calls {bare:6.1f}/s: {rate / bare:.2f}\n"
    )


def main(seconds: float) -> None:
    """All cases against one stub."""
    command = [sys.executable, "-m", "benchmarks.phone_lookup", "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stub:
        assert stub.stdout is not None
        url = stub.stdout.readline().strip()
        for concurrency, per_second in CASES:
            measure(url, concurrency, per_second, seconds)
        stub.communicate("")


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main(float(sys.argv[1]) if sys.argv[1:] else 10.0)
