"""A bulk export from a server that behaves as the specification says, and from one that breaks: complete, and once."""

import gzip
import json
import stat
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hygiene_pipeline.ehr.smart_bulk_http import EhrRefusedError, EhrUnavailableError, Patience
from hygiene_pipeline.ehr.smart_bulk_status import ExportFailedError
from hygiene_pipeline.failures import HygieneError
from hygiene_pipeline_tests.ehr.bulk_server import TRANSACTION_TIME, BulkServer, Trouble
from hygiene_pipeline_tests.ehr.mortal_exports import SWIFT, bring

PATIENTS = [{"resourceType": "Patient", "id": f"p{number}", "active": True} for number in range(400)]
ENCOUNTERS = [{"resourceType": "Encounter", "id": f"e{number}", "status": "finished"} for number in range(50)]


@pytest.fixture(scope="module")
def running() -> Any:
    with BulkServer() as server:
        yield server


@pytest.fixture
def server(running: BulkServer) -> BulkServer:
    running.reset()
    running.holds("Patient", PATIENTS[:200])
    running.holds("Patient", PATIENTS[200:])
    running.holds("Encounter", ENCOUNTERS)
    return running


def landed(landing: Path) -> list[dict[str, Any]]:
    """Every resource in the landing files, file by file."""
    found = []
    for path in sorted(landing.glob("*.ndjson*")):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        found += [json.loads(line) for line in content.splitlines() if line.strip()]
    return found


def is_complete(landing: Path) -> bool:
    return landed(landing) == PATIENTS + ENCOUNTERS


def state(landing: Path) -> dict[str, Any]:
    return dict(json.loads((landing / ".export" / "state.json").read_text()))


def test_an_export_arrives_complete_and_the_server_may_forget_it(server: BulkServer, tmp_path: Path) -> None:
    outcome = bring(tmp_path, server.base_url)
    assert (outcome.ended, outcome.is_full, outcome.files, outcome.resources) == ("arrived", True, 3, 450)
    assert is_complete(tmp_path)
    assert len(server.of("delete")) == 1
    assert server.exports == {}


@pytest.mark.parametrize(
    ("request_", "path", "query"),
    [
        pytest.param({"level": "system"}, "/r4/$export", {}, id="all that there is"),
        pytest.param({"level": "patient"}, "/r4/Patient/$export", {}, id="all patients"),
        pytest.param({"level": "group", "group": "g1"}, "/r4/Group/g1/$export", {}, id="a group"),
        pytest.param(
            {"types": ("Patient", "Encounter")},
            "/r4/Patient/$export",
            {"_type": ["Patient,Encounter"]},
            id="some types",
        ),
        pytest.param(
            {"type_filters": ("Observation?category=a,b", "Encounter?status=finished")},
            "/r4/Patient/$export",
            {"_typeFilter": ["Observation?category=a%2Cb,Encounter?status=finished"]},
            id="filters whose own commas are masked",
        ),
        pytest.param({"output_format": "ndjson"}, "/r4/Patient/$export", {"_outputFormat": ["ndjson"]}, id="a format"),
        pytest.param({"parameters": {"ah-practice": "1"}}, "/r4/Patient/$export", {"ah-practice": ["1"]}, id="tenant"),
    ],
)
def test_what_is_asked_for(
    server: BulkServer, tmp_path: Path, request_: dict[str, Any], path: str, query: dict[str, list[str]]
) -> None:
    bring(tmp_path, server.base_url, request=request_)
    [asked] = server.of("kickoff")
    assert asked.url.partition("?")[0].removeprefix(server.root) == path
    assert query.items() <= asked.query.items()
    assert asked.headers["prefer"] == "respond-async"
    assert asked.headers["accept"] == "application/fhir+json"


def test_parameters_may_be_posted_and_unknown_ones_skipped(server: BulkServer, tmp_path: Path) -> None:
    bring(tmp_path, server.base_url, request={"is_post": True, "is_lenient": True})
    [asked] = server.of("kickoff", "POST")
    assert asked.headers["prefer"] == "respond-async, handling=lenient"
    assert json.loads(asked.body)["parameter"] == [
        {"name": "_outputFormat", "valueString": "application/fhir+ndjson"},
        {"name": "_type", "valueString": "Patient"},
        {"name": "_type", "valueString": "Encounter"},
    ]


def test_a_second_night_asks_for_what_changed_since_the_first(server: BulkServer, tmp_path: Path) -> None:
    bring(tmp_path, server.base_url)
    assert not bring(tmp_path, server.base_url, night=1).is_full
    assert [each.query.get("_since") for each in server.of("kickoff")] == [None, [TRANSACTION_TIME]]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"is_incremental": False}, id="a server whose changes cannot be trusted"),
        pytest.param({"full_every": timedelta()}, id="a full export that is due"),
        pytest.param({"is_first": True}, id="a warehouse that has taken nothing"),
        pytest.param({"request": {"types": ("Patient",)}}, id="other settings"),
    ],
)
def test_all_is_asked_for_again(server: BulkServer, tmp_path: Path, change: dict[str, Any]) -> None:
    bring(tmp_path, server.base_url)
    assert bring(tmp_path, server.base_url, night=1, **change).is_full
    assert "_since" not in server.of("kickoff")[1].query


def test_a_run_of_the_same_time_asks_for_nothing(server: BulkServer, tmp_path: Path) -> None:
    bring(tmp_path, server.base_url)
    assert bring(tmp_path, server.base_url).ended == "known"
    assert len(server.of("kickoff")) == 1


BUSY = Trouble(status=429, retry_after="0", code="throttled")
DOWN = Trouble(status=503, code="transient")


@pytest.mark.parametrize("kind", ["kickoff", "status", "file", "delete"])
@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param([BUSY, BUSY], id="too busy twice"),
        pytest.param([Trouble(status=500), DOWN], id="out of order twice"),
        pytest.param([Trouble(status=429, retry_after=format_datetime(datetime(2026, 1, 1, tzinfo=UTC)))], id="a date"),
        pytest.param([Trouble(status=400, code="transient")], id="a hiccup that says so"),
    ],
)
def test_passing_trouble_is_waited_out(server: BulkServer, tmp_path: Path, kind: str, trouble: list[Trouble]) -> None:
    server.trouble[kind] = list(trouble)
    bring(tmp_path, server.base_url)
    assert is_complete(tmp_path)
    assert server.exports == {}
    assert server.trouble[kind] == []


def test_no_wait_is_longer_than_our_patience(server: BulkServer, tmp_path: Path) -> None:
    server.trouble["kickoff"] = [Trouble(status=429, retry_after="18000")]
    server.retry_after = "18000"
    bring(tmp_path, server.base_url)
    assert is_complete(tmp_path)


@pytest.mark.parametrize("kind", ["kickoff", "status", "file"])
def test_a_server_that_stays_out_of_order_ends_the_run(server: BulkServer, tmp_path: Path, kind: str) -> None:
    server.trouble[kind] = [Trouble(status=503)] * 40
    with pytest.raises(EhrUnavailableError, match="status 503, 4 times"):
        bring(tmp_path, server.base_url, parallel=1)
    assert landed(tmp_path) == []
    server.trouble.clear()
    bring(tmp_path, server.base_url)
    assert is_complete(tmp_path)
    assert len(server.of("kickoff")) == (5 if kind == "kickoff" else 1)


def test_progress_is_told_without_the_servers_own_words(server: BulkServer, tmp_path: Path) -> None:
    told: list[str] = []
    bring(tmp_path, server.base_url, told=told)
    assert "the EHR prepares the export: 40 %" in told
    assert "downloaded 3 of 3 files from the EHR" in told
    assert "Canary" not in " ".join(told)


def test_a_night_does_not_wait_forever_and_the_next_goes_on(server: BulkServer, tmp_path: Path) -> None:
    server.polls = 1_000_000
    assert bring(tmp_path, server.base_url, wait_seconds=0.05).ended == "preparing"
    assert landed(tmp_path) == []
    server.exports = dict.fromkeys(server.exports, 0)
    assert bring(tmp_path, server.base_url, night=1).ended == "arrived"
    assert is_complete(tmp_path)
    assert len(server.of("kickoff")) == 1


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="with a tag"),
        pytest.param({"has_tags": False}, id="by its length alone"),
        pytest.param({"packs": True}, id="packed"),
    ],
)
def test_a_file_that_breaks_off_is_continued(server: BulkServer, tmp_path: Path, options: dict[str, Any]) -> None:
    vars(server).update(options)
    server.trouble["file"] = [Trouble(drop_after=100), Trouble(drop_after=50)]
    bring(tmp_path, server.base_url, parallel=1)
    assert is_complete(tmp_path)
    assert [each.headers["range"] for each in server.of("file") if "range" in each.headers] == [
        "bytes=100-",
        "bytes=150-",
    ]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"takes_ranges": False}, id="no ranges"),
        pytest.param({"packs": True, "has_tags": False}, id="packed anew each time, perhaps differently"),
    ],
)
def test_a_file_that_cannot_be_continued_comes_anew(
    server: BulkServer, tmp_path: Path, options: dict[str, Any]
) -> None:
    vars(server).update(options)
    server.trouble["file"] = [Trouble(drop_after=100), Trouble(drop_after=50)]
    bring(tmp_path, server.base_url, parallel=1)
    assert is_complete(tmp_path)


@given(
    drops=st.lists(st.integers(min_value=0, max_value=8_000), max_size=6),
    options=st.fixed_dictionaries({name: st.booleans() for name in ("takes_ranges", "has_tags", "packs")}),
)
@settings(max_examples=25)
def test_wherever_it_breaks_off_every_byte_arrives_once(
    running: BulkServer, drops: list[int], options: dict[str, bool]
) -> None:
    running.reset()
    vars(running).update(options)
    running.holds("Patient", PATIENTS)
    running.trouble["file"] = [Trouble(drop_after=bytes_) for bytes_ in drops]
    with TemporaryDirectory() as folder:
        bring(Path(folder), running.base_url, patience=Patience(attempts=9, first_wait=0.001, longest_wait=0.001))
        assert landed(Path(folder)) == PATIENTS


def test_a_slow_line_that_gets_on_is_not_given_up(server: BulkServer, tmp_path: Path) -> None:
    server.trouble["file"] = [Trouble(drop_after=100)] * 20
    bring(tmp_path, server.base_url, parallel=1, patience=Patience(attempts=2, first_wait=0.001, longest_wait=0.001))
    assert is_complete(tmp_path)


def test_a_packed_export_arrives_packed(server: BulkServer, tmp_path: Path) -> None:
    server.packs = True
    bring(tmp_path, server.base_url)
    assert is_complete(tmp_path)
    assert all(path.name.endswith(".ndjson.gz") for path in tmp_path.glob("*.ndjson*"))


def test_links_that_expired_are_renewed_and_what_came_is_kept(server: BulkServer, tmp_path: Path) -> None:
    server.trouble["file"] = [Trouble(), Trouble(status=403)]
    told: list[str] = []
    bring(tmp_path, server.base_url, parallel=1, told=told)
    assert is_complete(tmp_path)
    assert "the links have expired: asking the EHR for new ones" in told
    assert len(server.of("kickoff")) == 1
    assert len(server.of("file")) == 4


def test_an_export_whose_links_stay_expired_is_asked_for_anew(server: BulkServer, tmp_path: Path) -> None:
    server.lost = {"e1"}
    bring(tmp_path, server.base_url)
    assert is_complete(tmp_path)
    assert len(server.of("kickoff")) == 2
    assert len(server.of("delete")) == 2


def test_an_export_that_the_server_forgot_is_asked_for_anew(server: BulkServer, tmp_path: Path) -> None:
    server.polls = 1_000_000
    bring(tmp_path, server.base_url, wait_seconds=0)
    server.polls, server.exports = 0, {}
    bring(tmp_path, server.base_url, night=1)
    assert is_complete(tmp_path)
    assert len(server.of("kickoff")) == 2


def test_an_export_that_failed_is_asked_for_anew_the_next_night(server: BulkServer, tmp_path: Path) -> None:
    server.trouble["status"] = [Trouble(status=500, code="exception")] * 4
    with pytest.raises(ExportFailedError, match=r"GET \[status\]: status 500 \(exception\), 4 times"):
        bring(tmp_path, server.base_url)
    assert len(server.of("delete")) == 1
    bring(tmp_path, server.base_url, night=1)
    assert is_complete(tmp_path)
    assert len(server.of("kickoff")) == 2


def test_an_export_is_kept_while_its_server_is_only_busy(server: BulkServer, tmp_path: Path) -> None:
    server.trouble["status"] = [Trouble(status=429, retry_after="0", code="business-rule")] * 4
    with pytest.raises(EhrUnavailableError, match=r"status 429 \(business-rule\), 4 times"):
        bring(tmp_path, server.base_url)
    bring(tmp_path, server.base_url)
    assert is_complete(tmp_path)
    assert len(server.of("kickoff")) == 1


def test_an_export_of_other_settings_is_cancelled(server: BulkServer, tmp_path: Path) -> None:
    server.polls = 1_000_000
    bring(tmp_path, server.base_url, wait_seconds=0)
    server.polls = 0
    bring(tmp_path, server.base_url, night=1, request={"level": "group", "group": "g1"})
    assert [each.url.rpartition("/")[2] for each in server.of("delete")] == ["e1", "e2"]
    assert is_complete(tmp_path)


def test_an_export_that_is_too_old_is_cancelled(server: BulkServer, tmp_path: Path) -> None:
    server.polls = 1_000_000
    bring(tmp_path, server.base_url, wait_seconds=0)
    server.polls = 0
    bring(tmp_path, server.base_url, night=1, keeps=timedelta())
    assert len(server.of("kickoff")) == 2


def test_a_server_that_cannot_be_told_is_told_the_next_night(server: BulkServer, tmp_path: Path) -> None:
    server.trouble["delete"] = [Trouble(status=503)] * 4
    assert bring(tmp_path, server.base_url).ended == "arrived"
    assert server.exports != {}
    bring(tmp_path, server.base_url)
    assert server.exports == {}


def test_a_manifest_in_parts_is_read_to_its_end(server: BulkServer, tmp_path: Path) -> None:
    server.splits_manifest = True
    bring(tmp_path, server.base_url)
    assert is_complete(tmp_path)


def test_too_few_resources_are_no_export(server: BulkServer, tmp_path: Path) -> None:
    server.files[0].count = 201
    with pytest.raises(HygieneError, match="200 resources came where 201 were announced"):
        bring(tmp_path, server.base_url)
    assert landed(tmp_path) == []
    assert state(tmp_path)["since"] is None
    assert len(server.of("delete")) == 1


def test_a_full_export_with_far_less_than_the_one_before_is_not_believed(server: BulkServer, tmp_path: Path) -> None:
    bring(tmp_path, server.base_url)
    server.files = server.files[2:]
    told = "the full export brought 50 resources, the one before 450; if that is right, lower policies.delivery"
    with pytest.raises(HygieneError, match=told):
        bring(tmp_path, server.base_url, night=1, is_incremental=False)
    assert is_complete(tmp_path)
    assert server.exports == {}
    assert bring(tmp_path, server.base_url, night=1, is_incremental=False, min_share=0.1).resources == 50
    assert bring(tmp_path, server.base_url, night=2).resources == 50, "of changes there may be few"


def test_a_count_may_be_known_to_be_wrong(server: BulkServer, tmp_path: Path) -> None:
    server.files[0].count = 201
    bring(tmp_path, server.base_url, checks_counts=False)
    assert is_complete(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'{"resourceType":"Pati', id="in a line"),
        pytest.param(gzip.compress(b'{"resourceType":"Patient"}\n')[:-9], id="in what is packed"),
    ],
)
def test_a_file_that_the_server_cut_off_is_no_export(server: BulkServer, tmp_path: Path, content: bytes) -> None:
    server.files[0].content, server.files[0].count = content, None
    with pytest.raises(HygieneError, match="ends in the middle of a line"):
        bring(tmp_path, server.base_url)
    assert landed(tmp_path) == []


def test_an_empty_file_leaves_nothing(server: BulkServer, tmp_path: Path) -> None:
    server.holds("Observation", [])
    assert bring(tmp_path, server.base_url).files == 3
    assert is_complete(tmp_path)


def bundle(*urls: str, **more: Any) -> dict[str, Any]:
    entries = [{"request": {"method": "DELETE", "url": url}} for url in urls]
    return {"resourceType": "Bundle", "id": "bundle-transaction", "type": "transaction", "entry": entries, **more}


def test_deletions_arrive_one_by_one_with_their_time(server: BulkServer, tmp_path: Path) -> None:
    at = {"meta": {"lastUpdated": "2026-02-28T12:00:00Z"}}
    server.holds("Bundle", [bundle("Patient/p1", "Encounter/e2"), bundle("Patient/p3", **at)], section="deleted")
    assert bring(tmp_path, server.base_url).deletions == 3
    gone = [each for each in landed(tmp_path) if each["resourceType"] == "Bundle"]
    assert [(each["entry"][0]["request"]["url"], each["meta"]["lastUpdated"]) for each in gone] == [
        ("Patient/p1", TRANSACTION_TIME),
        ("Encounter/e2", TRANSACTION_TIME),
        ("Patient/p3", "2026-02-28T12:00:00Z"),
    ]
    assert len({each["id"] for each in gone}) == 3


def test_deletions_may_be_counted_one_way_or_the_other(server: BulkServer, tmp_path: Path) -> None:
    server.holds("Bundle", [bundle("Patient/p1", "Encounter/e2")], section="deleted", count=2)
    assert bring(tmp_path, server.base_url).deletions == 2


def outcome(severity: str) -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": "processing"}]}


@pytest.mark.parametrize("section", ["error", "outcome"])
def test_outcomes_are_counted_and_the_grave_ones_kept(server: BulkServer, tmp_path: Path, section: str) -> None:
    found = [outcome("information"), outcome("error"), outcome("warning"), outcome("information")]
    server.holds("OperationOutcome", found, section=section)
    result = bring(tmp_path, server.base_url)
    assert result.problems == {"information": 2, "error": 1, "warning": 1}
    assert [each for each in landed(tmp_path) if each["resourceType"] == "OperationOutcome"] == [outcome("error")]


@pytest.mark.parametrize(("accepts_errors", "since"), [(False, None), (True, TRANSACTION_TIME)])
def test_what_could_not_be_exported_is_asked_for_again(
    server: BulkServer, tmp_path: Path, *, accepts_errors: bool, since: str | None
) -> None:
    server.holds("OperationOutcome", [outcome("error")], section="error")
    bring(tmp_path, server.base_url, accepts_errors=accepts_errors)
    assert state(tmp_path)["since"] == since


def test_a_refusal_names_status_and_reason_but_no_patient(server: BulkServer, tmp_path: Path) -> None:
    server.trouble["kickoff"] = [Trouble(status=403, code="forbidden")]
    with pytest.raises(EhrRefusedError) as caught:
        bring(tmp_path, server.base_url, request={"level": "group", "group": "secret-group"})
    assert str(caught.value) == (
        "GET [base]/Group/{id}/$export: status 403 (forbidden); check level, group, types and what this client may read"
    )


def test_a_server_that_nobody_answers_at_is_named_by_the_failure(tmp_path: Path) -> None:
    with pytest.raises(EhrUnavailableError, match=r"GET \[base\]/Patient/\$export: ConnectError, 4 times"):
        bring(tmp_path, "http://127.0.0.1:9/r4")


def test_patients_are_not_asked_for_in_clear(server: BulkServer, tmp_path: Path) -> None:
    with pytest.raises(EhrRefusedError, match="https"):
        bring(tmp_path, "http://ehr.example/r4", patience=SWIFT)


def test_only_we_can_read_what_has_not_arrived_and_what_has(server: BulkServer, tmp_path: Path) -> None:
    bring(tmp_path, server.base_url)
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "lock"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    assert stat.S_IMODE((tmp_path / ".export").stat().st_mode) == 0o700
    assert list((tmp_path / ".export" / "work").iterdir()) == []


def test_two_runs_do_not_fetch_at_once(server: BulkServer, tmp_path: Path) -> None:
    from hygiene_pipeline.ehr.smart_bulk_state import ExportDesk

    with ExportDesk(tmp_path / ".export").locked(), pytest.raises(HygieneError, match="another run is fetching"):
        bring(tmp_path, server.base_url)
