"""A night's paid lookups: who is asked, what is kept, what it costs, and what stops it."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hygiene_pipeline.sync.paid_lookups import Asked, ask_vendor, is_of_tonight
from hygiene_pipeline_tests.phone.vendor_server import (
    Call,
    Reply,
    Script,
    VendorServer,
    numverify_body,
    serving,
    twilio,
    twilio_body,
)
from hygiene_pipeline_tests.sync.lookup_bed import AS_OF, PACKAGES, PRICE, SECRET, LookupBed, number

NEXT = AS_OF + timedelta(days=1)
FORBIDDEN = Reply(status=401, body={"code": 20003, "message": "no"})


def ask(bed: LookupBed, as_of: datetime = AS_OF) -> Asked:
    with bed.warehouse() as warehouse:
        return ask_vendor(warehouse, bed.practice, bed.keys, as_of=as_of)


def asked_once(
    root: Path, script: Script, count: int = 3, *, content: dict[str, Any] | None = None, **plan: Any
) -> tuple[Asked, LookupBed, VendorServer]:
    """A night of so many planned numbers against a script."""
    with serving(script) as server:
        bed = LookupBed(root, server.url, concurrency=2, attempts=1)
        bed.content |= content or {}
        bed.save()
        bed.lay_plan(count, **plan)
        return ask(bed), bed, server


def test_each_answer_is_a_row_with_its_price(tmp_path: Path) -> None:
    def script(call: Call) -> Reply:
        changes = {"line_status": {"status": None, "error_code": 60607}} if call.number == number(1) else {}
        return Reply(body=twilio_body(call, **changes))

    asked, bed, _ = asked_once(tmp_path, script)
    assert (asked.planned, asked.answered, asked.failed, asked.lost, asked.stopped_by) == (3, 3, 0, 0, None)
    assert asked.cost_usd == pytest.approx(0.015 + 0.008 + 0.015)
    rows = bed.rows("from sync.phone_lookup_call order by phone")
    assert [row["phone"] for row in rows] == [number(place) for place in range(3)]
    first, second, _ = rows
    assert (first["provider"], first["asked_at"], first["packages"]) == ("twilio", AS_OF, PACKAGES)
    assert (first["valid"], first["is_assignable"], first["line_type"]) == (True, True, "mobile")
    assert (first["line_status"], first["carrier"], first["package_errors"]) == ("active", "AT&T Wireless", [])
    assert (second["valid"], second["line_status"]) == (None, None)
    assert second["package_errors"] == ["line_status:60607"]
    assert second["cost_usd"] == pytest.approx(0.008)


def test_a_second_run_of_the_night_asks_nothing(tmp_path: Path) -> None:
    with serving(twilio) as server:
        bed = LookupBed(tmp_path, server.url)
        bed.lay_plan(5)
        first, second = ask(bed), ask(bed)
    assert sum(server.seen.values()) == 5
    assert first == second


def test_a_plan_that_nobody_renewed_is_not_paid_for_again(tmp_path: Path) -> None:
    """The answers of the night before are newer than what an old plan knew."""
    with serving(twilio) as server:
        bed = LookupBed(tmp_path, server.url)
        bed.lay_plan(5)
        ask(bed)
        ask(bed, NEXT)
    assert sum(server.seen.values()) == 5


def test_who_got_no_answer_is_asked_again_and_who_was_refused_is_not(tmp_path: Path) -> None:
    def script(call: Call) -> Reply:
        status = {number(0): 500, number(1): 404}.get(call.number)
        return Reply(status=status, body={"code": 20404, "message": ""}) if status else twilio(call)

    with serving(script) as server:
        bed = LookupBed(tmp_path, server.url, attempts=1)
        bed.lay_plan(3)
        first = ask(bed)
        ask(bed)
    assert (first.answered, first.failed) == (2, 1)
    assert server.seen == {number(0): 2, number(1): 1, number(2): 1}
    costs = bed.rows("select distinct state, cost_usd > 0 as cost from sync.phone_lookup_call order by state")
    assert costs == [
        {"state": "answered", "cost": True},
        {"state": "failed", "cost": False},
        {"state": "refused", "cost": False},
    ]


def test_what_the_budget_leaves_out_is_told_before_and_not_asked(tmp_path: Path) -> None:
    asked, bed, server = asked_once(tmp_path, twilio, 5, left_out=[3, 4])
    assert (asked.planned, asked.left_out, asked.answered) == (3, 2, 3)
    assert len(server.calls) == 3
    (run,) = bed.rows("from sync.phone_lookup_run")
    assert (run["planned_cost_usd"], run["left_out_cost_usd"]) == (0.045, 0.03)


# What the month has cost already: when, in which state, for how much; the budget; and how many of five are asked.
SPENT: dict[str, tuple[list[tuple[str, str, float]], float | None, int]] = {
    "no budget": ([], None, 5),
    "room for three": ([], 0.046, 3),
    "another run of tonight": ([("2026-03-20T07:00:00Z", "answered", 0.03)], 0.06, 2),
    "calls of a killed run may be charged": ([("2026-03-20T07:00:00Z", "asked", 0.03)], 0.06, 2),
    "the first of the month where the practice is": ([("2026-03-01T05:00:00Z", "answered", 0.03)], 0.06, 2),
    "the last evening of the month before": ([("2026-03-01T04:59:00Z", "answered", 9.0)], 0.06, 4),
    "nothing is left": ([("2026-03-05T07:00:00Z", "lost", 0.06)], 0.06, 0),
}


@pytest.mark.parametrize(("spent", "budget", "count"), SPENT.values(), ids=SPENT.keys())
def test_the_month_is_never_overspent(
    tmp_path: Path, spent: list[tuple[str, str, float]], budget: float | None, count: int
) -> None:
    with serving(twilio) as server:
        bed = LookupBed(tmp_path, server.url)
        bed.content["policies"] = {"phone": {"monthly_budget_usd": budget}}
        bed.save()
        bed.lay_plan(5)
        with bed.warehouse() as warehouse:
            for place, (at, state, cost) in enumerate(spent):
                warehouse.con.execute(
                    "insert into sync.phone_lookup_call (call_no, phone, asked_at, state, cost_usd)"
                    " values (?, '+16175550199', ?, ?, ?)",
                    [place + 1, at, state, cost],
                )
        ask(bed)
    assert len(server.calls) == count


STOPS: dict[str, tuple[dict[str, Any], bool, str, int]] = {
    "no agreement": ({"baa": []}, True, "no BAA with twilio on file", 0),
    "an agreement of tomorrow": ({"baa": [{"vendor": "twilio", "signed_on": "2026-03-21"}]}, True, "still to come", 0),
    "no key": ({}, False, "there is no key for twilio", 0),
    "wrong credentials": ({}, True, "Twilio does not accept the credentials", 2),
}


@pytest.mark.parametrize(("content", "has_key", "told", "calls"), STOPS.values(), ids=STOPS.keys())
def test_what_stops_the_asking_is_one_line_and_stops_nothing_else(
    tmp_path: Path, content: dict[str, Any], has_key: bool, told: str, calls: int
) -> None:
    with serving(lambda _: FORBIDDEN) as server:
        bed = LookupBed(tmp_path, server.url, concurrency=2)
        bed.content |= content
        bed.save()
        if not has_key:
            bed.key_file.unlink()
        bed.lay_plan(50)
        asked = ask(bed)
    assert asked.stopped_by is not None
    assert told in asked.stopped_by
    assert "\n" not in asked.stopped_by
    assert SECRET not in asked.stopped_by
    assert (asked.answered, asked.cost_usd) == (0, 0)
    assert len(server.calls) <= calls


def test_a_night_that_was_stopped_is_finished_by_the_next_run(tmp_path: Path) -> None:
    is_locked = [True]
    with serving(lambda call: FORBIDDEN if is_locked[0] else twilio(call)) as server:
        bed = LookupBed(tmp_path, server.url, concurrency=2)
        bed.lay_plan(6)
        assert ask(bed).stopped_by
        is_locked[0] = False
        asked = ask(bed)
    assert (asked.answered, asked.stopped_by) == (6, None)
    assert bed.states()["answered"] == 6


def test_a_package_that_was_given_up_is_told_and_the_night_is_whole(tmp_path: Path) -> None:
    asked, _, _ = asked_once(tmp_path, lambda call: Reply(body=twilio_body(call, line_status={"error_code": 60606})))
    assert asked.stopped_by is None
    assert asked.answered == 3
    (told,) = asked.stopped_packages
    assert told == "Twilio: line_status is not enabled on the account: have Twilio enable it (60606)"


@pytest.mark.parametrize("kind", ["files", "off"])
def test_without_a_vendor_nobody_is_asked(tmp_path: Path, kind: str) -> None:
    asked, bed, server = asked_once(tmp_path, twilio, content={"phone_lookup": {"kind": kind}})
    assert asked == Asked()
    assert server.calls == []
    assert bed.rows("from sync.phone_lookup_run") == []


# Hours from the night to the present moment, another night that was run, and whether a vendor may be asked.
TONIGHT: dict[str, tuple[float, datetime | None, bool]] = {
    "now": (0, None, True),
    "started late": (23, None, True),
    "a past night": (25, None, False),
    "a night to come": (-2, None, False),
    "after the night before": (0, AS_OF - timedelta(days=1), True),
    "before a run that was later": (0, AS_OF + timedelta(minutes=5), False),
}


@pytest.mark.parametrize(("hours", "other", "may"), TONIGHT.values(), ids=TONIGHT.keys())
def test_a_past_night_never_asks_a_vendor(tmp_path: Path, hours: float, other: datetime | None, may: bool) -> None:
    bed = LookupBed(tmp_path)
    bed.lay_plan(1)
    with bed.warehouse() as warehouse:
        if other is not None:
            warehouse.con.execute("insert into history.night values ($1)", [other])
        assert is_of_tonight(warehouse, as_of=AS_OF, now=AS_OF + timedelta(hours=hours)) is may


def test_numverify_is_asked_by_the_same_run(tmp_path: Path) -> None:
    with serving(lambda call: Reply(body=numverify_body(call))) as server:
        bed = LookupBed(tmp_path, server.url)
        bed.content |= {
            "phone_lookup": {"kind": "numverify", "base_url": server.url},
            "baa": [{"vendor": "numverify", "signed_on": "2026-01-15"}],
        }
        bed.save()
        bed.key_file.with_name("numverify.key").write_text("k\n")
        bed.lay_plan(2)
        with bed.warehouse() as warehouse:
            warehouse.con.execute("update hygiene.phone_validation_plan set packages = ['lookup']")
        asked = ask(bed)
    assert (asked.answered, asked.cost_usd) == (2, 2 * PRICE)
    assert bed.rows("select distinct provider, valid, line_type from sync.phone_lookup_call") == [
        {"provider": "numverify", "valid": None, "line_type": "landline"}
    ]
