"""Lookups killed with SIGKILL and run again: no answer is bought twice, no number is missed."""

import random
import signal
import subprocess
import sys
from pathlib import Path

from hygiene_pipeline_tests.phone.vendor_server import HOLD, Call, Reply, VendorServer, serving, twilio_body
from hygiene_pipeline_tests.sync.killed_lookups import main
from hygiene_pipeline_tests.sync.lookup_bed import LookupBed, number

CONCURRENCY = 8
NUMBERS = 2000


def at_once(call: Call) -> Reply:
    """An answer that takes a moment."""
    return Reply(body=twilio_body(call), after=0.001)


def start(folder: Path, server: VendorServer) -> subprocess.Popen[bytes]:
    module = "hygiene_pipeline_tests.sync.killed_lookups"
    command = [sys.executable, "-m", module, str(folder), server.url, str(CONCURRENCY)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def kill_when(process: subprocess.Popen[bytes], kept: int) -> None:
    """Kill it as soon as it says that so many answers are kept."""
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= kept:
            break
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_killed_in_the_middle_of_two_thousand(tmp_path: Path) -> None:
    """The vendor falls silent after 900 answers; when all of them are kept, the process dies with calls under way."""
    begun = [0]

    def script(call: Call) -> Reply:
        with server.lock:
            begun[0] += 1
            is_held = begun[0] > 900
        return Reply(status=HOLD) if is_held else at_once(call)

    # The next run asks at another address: what the killed one sent may be read late here, and is not answered.
    with serving(script) as server, serving(at_once) as next_server:
        bed = LookupBed(tmp_path, server.url, concurrency=CONCURRENCY)
        bed.lay_plan(NUMBERS)
        with start(tmp_path, server) as process:
            kill_when(process, 900)
        assert bed.states()["answered"] == 900
        assert sum(server.answered.values()) == 900
        under_way = {row["phone"] for row in bed.rows("select phone from sync.phone_lookup_call where state = 'asked'")}
        assert 0 < len(under_way) <= 2 * CONCURRENCY
        main(tmp_path, next_server.url, CONCURRENCY)
    assert bed.states() == {"answered": NUMBERS, "lost": len(under_way)}
    answered, seen = server.answered + next_server.answered, server.seen + next_server.seen
    assert answered == {number(place): 1 for place in range(NUMBERS)}, "each is paid for once, none is missed"
    asked_again = {phone for phone, times in seen.items() if times > 1}
    assert asked_again <= under_way
    assert len(asked_again) <= CONCURRENCY
    assert (
        bed.rows("select phone from sync.phone_lookup_call where state = 'answered' group by all having count(*) > 1")
        == []
    )


def test_killed_at_any_moment(tmp_path: Path) -> None:
    moment = random.Random(20260320).randrange(20, 90)
    with serving(at_once) as server:
        bed = LookupBed(tmp_path, server.url, concurrency=CONCURRENCY)
        bed.lay_plan(150)
        with start(tmp_path, server) as process:
            kill_when(process, moment)
        main(tmp_path, server.url, CONCURRENCY)
    lost = {row["phone"] for row in bed.rows("select phone from sync.phone_lookup_call where state = 'lost'")}
    kept = {row["phone"] for row in bed.rows("select phone from sync.phone_lookup_call where state = 'answered'")}
    assert kept == {number(place) for place in range(150)}
    assert bed.states()["answered"] == 150
    assert {phone for phone, times in server.seen.items() if times > 1} <= lost
    assert len(lost) <= 2 * CONCURRENCY
