"""Files are taken whole and once by their content; one that somebody still writes to is left where it is."""

import gzip
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from hygiene_pipeline.landing.file import LandingFile
from hygiene_pipeline.landing.ledger import (
    PLACES,
    content_id,
    create_tables,
    mark_taken,
    new_files,
    next_take_seq,
    record_count,
    settled,
)

TAKEN_AT = datetime(2026, 3, 1, 7, tzinfo=UTC)
PATIENTS = PLACES["pm/patients.csv"]
APPOINTMENTS = PLACES["pm/appointments.csv"]
ELIGIBILITY = PLACES["pm/eligibility"]
EHR = PLACES["ehr"]


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as con:
        con.execute("create schema raw; create schema quarantine")
        create_tables(con)
        yield con


def put(landing: Path, name: str, content: str | bytes) -> Path:
    path = landing / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def take(con: duckdb.DuckDBPyConnection, place: str, landing: Path) -> list[LandingFile]:
    """Take what is new of a place, as a night does."""
    chosen = PLACES[place]
    fresh, _ = new_files(con, chosen, landing, chosen.paths(landing))
    for file in fresh:
        mark_taken(con, file, record_count(file.path), taken_at=TAKEN_AT)
    return fresh


def test_a_file_is_taken_once(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = put(tmp_path, "pm/eligibility/march.271", "ISA*")
    (taken,) = take(con, "pm/eligibility", tmp_path)
    assert taken == LandingFile(
        file_id=content_id(path), place="pm/eligibility", name="pm/eligibility/march.271", path=path, take_seq=1
    )
    assert take(con, "pm/eligibility", tmp_path) == []


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("april.271", id="another name"),
        pytest.param("march.x12", id="another ending"),
    ],
)
def test_a_renamed_file_is_not_taken_again(con: duckdb.DuckDBPyConnection, tmp_path: Path, name: str) -> None:
    path = put(tmp_path, "pm/eligibility/march.271", "ISA*")
    take(con, "pm/eligibility", tmp_path)
    path.rename(path.with_name(name))
    assert take(con, "pm/eligibility", tmp_path) == []


def test_two_copies_of_a_file_are_taken_as_one(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for name in ("a.271", "b.271"):
        put(tmp_path, f"pm/eligibility/{name}", "ISA*")
    assert [file.name for file in take(con, "pm/eligibility", tmp_path)] == ["pm/eligibility/a.271"]


def test_a_file_with_other_content_under_an_old_name_is_taken(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    put(tmp_path, "pm/appointments.csv", "appointment_id\n1\n")
    take(con, "pm/appointments.csv", tmp_path)
    put(tmp_path, "pm/appointments.csv", "appointment_id\n2\n")
    assert [file.take_seq for file in take(con, "pm/appointments.csv", tmp_path)] == [2]


@pytest.mark.parametrize(
    ("place", "is_taken"),
    [
        pytest.param("pm/patients.csv", True, id="a full list that went back is news"),
        pytest.param("pm/appointments.csv", False, id="the same events again are none"),
    ],
)
def test_a_file_that_returns_to_an_older_content(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, place: str, is_taken: bool
) -> None:
    for content in ("id\n1\n", "id\n1\n2\n"):
        put(tmp_path, place, content)
        assert len(take(con, place, tmp_path)) == 1
    put(tmp_path, place, "id\n1\n")
    again = take(con, place, tmp_path)
    assert bool(again) == is_taken
    assert take(con, place, tmp_path) == []


def test_what_lies_there_is_told_though_it_was_taken(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    paths = [put(tmp_path, f"ehr/{name}.ndjson", name) for name in ("Encounter", "Patient")]
    take(con, "ehr", tmp_path)
    fresh, present = new_files(con, EHR, tmp_path, EHR.paths(tmp_path))
    assert fresh == []
    assert present == [content_id(path) for path in paths]


def test_places_are_told_apart_and_takes_are_numbered_over_all(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    put(tmp_path, "pm/patients.csv", "same\n")
    put(tmp_path, "pm/coverage.csv", "same\n")
    taken = [*take(con, "pm/patients.csv", tmp_path), *take(con, "pm/coverage.csv", tmp_path)]
    assert [(file.place, file.take_seq) for file in taken] == [("pm/patients.csv", 1), ("pm/coverage.csv", 2)]
    assert next_take_seq(con) == 3


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(".march.271", id="a dot file"),
        pytest.param("march.271.part", id="part"),
        pytest.param("march.271.tmp", id="tmp"),
        pytest.param("march.271.crdownload", id="a browser's download"),
        pytest.param("march.271.filepart", id="an SFTP client's upload"),
        pytest.param("march.pdf", id="not a format of this place"),
    ],
)
def test_a_name_that_is_not_finished_is_left(tmp_path: Path, name: str) -> None:
    put(tmp_path, f"pm/eligibility/{name}", "ISA*")
    assert ELIGIBILITY.paths(tmp_path) == []


def test_a_folder_with_the_name_of_a_file_is_left(tmp_path: Path) -> None:
    (tmp_path / "pm" / "patients.csv").mkdir(parents=True)
    assert PATIENTS.paths(tmp_path) == []


def test_places_without_a_folder_are_empty(tmp_path: Path) -> None:
    assert {name: place.paths(tmp_path) for name, place in PLACES.items()} == {name: [] for name in PLACES}


def test_an_old_file_is_settled_without_waiting(tmp_path: Path) -> None:
    path = put(tmp_path, "pm/patients.csv", "id\n")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    started = time.monotonic()
    assert settled([path], settle_seconds=600) == [path]
    assert time.monotonic() - started < 60


def test_a_young_file_that_nobody_touches_is_settled_after_a_wait(tmp_path: Path) -> None:
    path = put(tmp_path, "pm/patients.csv", "id\n")
    # Young however late this machine looks at it.
    os.utime(path, (time.time() + 3600,) * 2)
    started = time.monotonic()
    assert settled([path], settle_seconds=0.2) == [path]
    assert time.monotonic() - started >= 0.2


class LookedAt(type(Path())):  # type: ignore[misc]
    """A path that lets something happen once it has been looked at."""

    meanwhile: Callable[[], None] | None = None

    def stat(self, **how: bool) -> os.stat_result:
        found: os.stat_result = super().stat(**how)
        happens, self.meanwhile = self.meanwhile, None
        if happens:
            happens()
        return found


def test_a_file_that_grows_while_looked_at_is_left_and_its_neighbours_are_taken(tmp_path: Path) -> None:
    busy = put(tmp_path, "ehr/Encounter.ndjson", "{}\n")
    gone = put(tmp_path, "ehr/Consent.ndjson", "{}\n")
    # The last of the first look, so that what happens to the others happens between the looks.
    quiet = LookedAt(put(tmp_path, "ehr/Patient.ndjson", "{}\n"))

    def meanwhile() -> None:
        with busy.open("a") as file:
            file.write("{}\n")
        gone.unlink()

    quiet.meanwhile = meanwhile
    assert settled([busy, gone, quiet], settle_seconds=0.1) == [quiet]
    assert quiet.meanwhile is None


def test_a_file_that_is_gone_already_is_left(tmp_path: Path) -> None:
    assert settled([tmp_path / "gone.csv"], settle_seconds=0) == []


@pytest.mark.parametrize(
    ("name", "content", "records"),
    [
        pytest.param("a.csv", b"id\n1\n2\n", 2, id="csv, its header does not count"),
        pytest.param("a.csv", b"id\n1\n2", 2, id="csv without a final newline"),
        pytest.param("a.csv", b"id\r\n1\r\n", 1, id="csv of Windows"),
        pytest.param("a.csv", b"id\n", 0, id="csv with a header only"),
        pytest.param("a.csv", b"", 0, id="empty csv"),
        pytest.param("a.ndjson", b"{}\n{}\n", 2, id="ndjson"),
        pytest.param("a.ndjson", b"{}\n{}", 2, id="ndjson without a final newline"),
        pytest.param("a.ndjson", b"", 0, id="empty ndjson"),
        pytest.param("a.ndjson.gz", gzip.compress(b"{}\n{}\n{}"), 3, id="gzip"),
        pytest.param("a.ndjson.gz", gzip.compress(b""), 0, id="empty gzip"),
        pytest.param("a.ndjson.gz", b"no gzip at all", 0, id="a broken gzip"),
        pytest.param("a.271", b"ISA*00~GS*HB~", 1, id="X12 in one line"),
    ],
)
def test_a_file_has_as_many_records_as_lines_of_data(tmp_path: Path, name: str, content: bytes, records: int) -> None:
    assert record_count(put(tmp_path, name, content)) == records


def test_a_file_longer_than_a_block_is_counted_and_named_whole(tmp_path: Path) -> None:
    line = b'{"resourceType": "Patient"}\n'
    long = put(tmp_path, "long.ndjson", line * 50_000)
    assert record_count(long) == 50_000
    assert content_id(long) != content_id(put(tmp_path, "other.ndjson", line * 49_999 + line[::-1]))
