"""A source is judged by what lay there at the last night that passed: silence and a cut-off export stop the night."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from hygiene_pipeline.landing import ledger, volume
from hygiene_pipeline.landing.volume import Volume, judge
from hygiene_pipeline.policies.load import load_policies
from hygiene_pipeline.policies.models import DeliveryPolicy

FIRST = datetime(2026, 3, 1, 7, tzinfo=UTC)
REQUIRED, OPTIONAL = "crm/contacts.csv", "pm/coverage.csv"
HALF = DeliveryPolicy.model_validate(
    {"places": {REQUIRED: {"min_share": 0.5, "is_required": True}, OPTIONAL: {"min_share": 0.5, "is_required": False}}}
)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as con:
        con.execute("set TimeZone = 'UTC'; create schema raw; create schema quarantine")
        ledger.create_tables(con)
        volume.create_tables(con)
        yield con


def lay(con: duckdb.DuckDBPyConnection, place: str, *records: int) -> list[str]:
    """Files of a place with these many records; returns their content ids."""
    file_ids = [f"{place}-{number}-{count}" for number, count in enumerate(records)]
    for file_id, count in zip(file_ids, records, strict=True):
        con.execute("insert into raw.landing_file values (?, ?, ?, 1, ?, ?)", [place, file_id, file_id, FIRST, count])
    return file_ids


def night(con: duckdb.DuckDBPyConnection, day: int, place: str, *records: int) -> Volume:
    """What is judged on a day on which the place has files with these many records."""
    (judged,) = judge(con, HALF, {place: lay(con, place, *records)}, as_of=FIRST + timedelta(days=day))
    return judged


@pytest.mark.parametrize(
    ("place", "before", "now", "passed", "reason"),
    [
        pytest.param(REQUIRED, None, [3], True, "first delivery", id="first delivery of a required place"),
        pytest.param(OPTIONAL, None, [3], True, "first delivery", id="first delivery of an optional place"),
        pytest.param(REQUIRED, None, [], False, "nothing was ever delivered", id="a required place never came"),
        pytest.param(REQUIRED, None, [0], False, "nothing was ever delivered", id="a required place with a header"),
        pytest.param(OPTIONAL, None, [], True, "nothing was ever delivered", id="a system the practice does not have"),
        pytest.param(REQUIRED, 100, [], False, "brought nothing; it had records before", id="fell silent"),
        pytest.param(OPTIONAL, 100, [], False, "brought nothing; it had records before", id="optional, fell silent"),
        pytest.param(REQUIRED, 100, [0], False, "brought nothing; it had records before", id="an empty file"),
        pytest.param(REQUIRED, 100, [49], False, "brought far less than before", id="49 per cent"),
        pytest.param(REQUIRED, 100, [50], True, "enough", id="50 per cent, the limit itself"),
        pytest.param(REQUIRED, 101, [50], False, "brought far less than before", id="just below half of an odd number"),
        pytest.param(REQUIRED, 1, [1], True, "enough", id="one record, as before"),
        pytest.param(REQUIRED, 1, [], False, "brought nothing; it had records before", id="the only record is gone"),
        pytest.param(OPTIONAL, 100, [20, 30], True, "enough", id="several files count together"),
        pytest.param(REQUIRED, 100, [100_000], True, "enough", id="far more than before"),
    ],
)
def test_a_delivery_is_judged(
    con: duckdb.DuckDBPyConnection, place: str, before: int | None, now: Sequence[int], passed: bool, reason: str
) -> None:
    if before is not None:
        night(con, 0, place, before)
    judged = night(con, 1, place, *now)
    assert (judged.passed, judged.previous, judged.records) == (passed, before, sum(now))
    assert judged.reason.startswith(reason)


def test_a_night_that_failed_is_no_measure_for_the_next(con: duckdb.DuckDBPyConnection) -> None:
    night(con, 0, REQUIRED, 100)
    assert not night(con, 1, REQUIRED, 10).passed
    still = night(con, 2, REQUIRED, 12)
    assert (still.previous, still.passed) == (100, False)
    assert night(con, 3, REQUIRED, 90).passed


def test_a_slow_decline_passes_night_by_night(con: duckdb.DuckDBPyConnection) -> None:
    assert [night(con, day, REQUIRED, records).passed for day, records in enumerate([100, 60, 40, 25])] == [True] * 4


def test_the_same_night_again_is_judged_as_it_was(con: duckdb.DuckDBPyConnection) -> None:
    night(con, 0, REQUIRED, 100)
    first = night(con, 1, REQUIRED, 60)
    assert night(con, 1, REQUIRED, 60) == first
    assert con.execute("select count(*) from raw.delivery where as_of = ?", [FIRST + timedelta(days=1)]).fetchone() == (
        1,
    )


def test_a_content_that_was_taken_twice_counts_once(con: duckdb.DuckDBPyConnection) -> None:
    (file_id,) = lay(con, REQUIRED, 7)
    lay(con, REQUIRED, 7)
    (judged,) = judge(con, HALF, {REQUIRED: [file_id]}, as_of=FIRST)
    assert judged.records == 7


def test_a_place_without_a_limit_is_not_judged(con: duckdb.DuckDBPyConnection) -> None:
    assert judge(con, HALF, {"replies": lay(con, "replies", 1)}, as_of=FIRST) == []


def test_only_the_places_that_were_looked_at_are_judged(con: duckdb.DuckDBPyConnection) -> None:
    assert judge(con, HALF, {}, as_of=FIRST) == []


def test_the_shipped_limits_name_places_that_there_are() -> None:
    places = load_policies().delivery.places
    assert set(places) <= set(ledger.PLACES)
    assert [place for place, limit in places.items() if limit.is_required] == ["crm/contacts.csv"]
    assert all(limit.min_share == 0.5 for limit in places.values())
