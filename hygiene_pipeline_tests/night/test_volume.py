"""A source that fell silent stops the night: nothing is healed, nothing is written, and the next good night goes on."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from hygiene_pipeline_tests.night.bed import FIRST, SCHEMAS, TinyPractice
from hygiene_pipeline_tests.night.systems import phone_of

PEOPLE = 12
RESULTS = [schema for schema in SCHEMAS if schema not in ("raw", "quarantine", "policy", "history", "quality")]
Spoil = Callable[[dict[str, bytes]], None]


def first_lines(name: str, count: int) -> Spoil:
    def spoil(files: dict[str, bytes]) -> None:
        files[name] = b"".join(files[name].splitlines(keepends=True)[:count])

    return spoil


def without(name: str) -> Spoil:
    def spoil(files: dict[str, bytes]) -> None:
        del files[name]

    return spoil


def emptied(name: str) -> Spoil:
    def spoil(files: dict[str, bytes]) -> None:
        files[name] = b""

    return spoil


def patients_cut_to_a_tenth(files: dict[str, bytes]) -> None:
    """The bulk export is replaced each night; this one broke off."""
    for name in [name for name in files if name.startswith("ehr/")]:
        files[name] = b"".join(files[name].splitlines(keepends=True)[: PEOPLE // 10])


SPOILT: dict[str, dict[str, Spoil]] = {
    "empty contacts, and a bulk export that broke off": {
        "crm/contacts.csv: brought nothing": emptied("crm/contacts.csv"),
        "ehr: brought far less": patients_cut_to_a_tenth,
    },
    "contacts with a header only, and no coverage file": {
        "crm/contacts.csv: brought nothing": first_lines("crm/contacts.csv", 1),
        "pm/coverage.csv: brought nothing": without("pm/coverage.csv"),
    },
    "a tenth of the contacts, and a quarter of the PM's patients": {
        "crm/contacts.csv: brought far less": first_lines("crm/contacts.csv", 2),
        "pm/patients.csv: brought far less": first_lines("pm/patients.csv", 4),
    },
}


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> TinyPractice:
    bed = TinyPractice(tmp_path_factory.mktemp("volume"), crm="{kind: files, sync: apply}", people=PEOPLE)
    for number in range(1, PEOPLE):
        bed.systems.patients[f"P{number:02}"].update(phone=phone_of(number, generation=2))
        bed.systems.patients[f"P{number:02}"].update(last_updated="2026-02-25T12:00:00Z")
    bed.deliver()
    bed.night(FIRST, job="bare_night")
    assert bed.rows("select count(*) as found from hygiene.issue") == [{"found": PEOPLE - 1}]
    return bed


@pytest.fixture(scope="module")
def good_files(bed: TinyPractice) -> dict[str, bytes]:
    """What lay in landing the first night."""
    landing = bed.folders.landing
    return {path.relative_to(landing).as_posix(): path.read_bytes() for path in landing.rglob("*") if path.is_file()}


def lay(bed: TinyPractice, files: dict[str, bytes]) -> None:
    for path in bed.folders.landing.rglob("*"):
        if path.is_file():
            path.unlink()
    bed.write(files)


def outbox(bed: TinyPractice) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in bed.folders.outbox.rglob("*") if path.is_file()}


@pytest.mark.parametrize("case", SPOILT)
def test_a_source_that_fell_silent_stops_the_night(bed: TinyPractice, good_files: dict[str, bytes], case: str) -> None:
    files = dict(good_files)
    for spoil in SPOILT[case].values():
        spoil(files)
    before, handed_over = bed.tables(*RESULTS), outbox(bed)
    later = datetime.fromisoformat(FIRST) + timedelta(days=1, hours=list(SPOILT).index(case))
    lay(bed, files)
    outcome = bed.run(later.isoformat())
    assert not outcome.success
    assert len(outcome.problems) == len(SPOILT[case]), outcome.problems
    for told in SPOILT[case]:
        assert any(told in problem for problem in outcome.problems), outcome.problems
    assert bed.tables(*RESULTS) == before
    assert outbox(bed) == handed_over


def test_a_run_without_its_checks_stops_as_well(bed: TinyPractice, good_files: dict[str, bytes]) -> None:
    files = dict(good_files)
    without("crm/contacts.csv")(files)
    before, handed_over = bed.tables(*RESULTS), outbox(bed)
    later = datetime.fromisoformat(FIRST) + timedelta(days=1, hours=10)
    lay(bed, files)
    outcome = bed.run(later.isoformat(), job="bare_night")
    assert outcome.problems == ("crm/contacts.csv: brought nothing; it had records before",)
    assert bed.tables(*RESULTS) == before
    assert outbox(bed) == handed_over


def test_the_good_night_after_them_goes_on(bed: TinyPractice, good_files: dict[str, bytes]) -> None:
    lay(bed, good_files)
    later = datetime.fromisoformat(FIRST) + timedelta(days=2)
    bed.night(later.isoformat(), job="bare_night")
    issues = bed.rows("select state, first_seen, last_seen from hygiene.issue")
    assert {(row["state"], row["first_seen"].isoformat()) for row in issues} == {("open", FIRST)}
    assert {row["last_seen"] for row in issues} == {later}
    assert len(issues) == PEOPLE - 1
    assert bed.rows("select count(*) as removed from raw.crm_contacts where is_removed") == [{"removed": 0}]


def test_a_practice_without_a_pm_and_without_an_ehr_has_its_first_night(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    bed = TinyPractice(tmp_path_factory.mktemp("crm-only"), people=3)
    contacts = bed.systems.files("day0")["crm/contacts.csv"]
    bed.write({"crm/contacts.csv": contacts})
    bed.night(FIRST, job="bare_night")
    reasons = bed.rows("select distinct phone_reason, insurance_reason, care_reason from hygiene.contact_status")
    assert reasons == [
        {"phone_reason": "never_verified", "insurance_reason": "never_verified", "care_reason": "no_ehr_record"}
    ]


def test_a_first_night_without_contacts_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    bed = TinyPractice(tmp_path_factory.mktemp("empty"))
    outcome = bed.run(FIRST)
    assert outcome.problems == ("raw/crm_contacts: brought_enough: crm/contacts.csv: nothing was ever delivered",)
