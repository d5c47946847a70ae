"""The same inputs and `as_of` give the same rows, byte for byte; a replay shows a past night and writes nothing."""

from dataclasses import dataclass, field

import pytest

from hygiene_pipeline_tests.night.bed import FIRST, SECOND, TinyPractice
from hygiene_pipeline_tests.night.formats import discharge, patient
from hygiene_pipeline_tests.night.systems import lookup, phone_of

SEEN_THAT_NIGHT = ("staging", "identity", "reconciled", "hygiene", "policy")
RESULTS = (*SEEN_THAT_NIGHT, "sync", "metrics")
# Where a record stood is told by its file, so a file by another name may tell only that differently.
PLACE_OF_A_RECORD = ("source_file", "source_line", "take_seq", "_ref")


@dataclass
class Runs:
    bed: TinyPractice
    tables: dict[str, dict[str, str]] = field(default_factory=dict)
    log: dict[str, int] = field(default_factory=dict)
    crm: dict[str, object] = field(default_factory=dict)
    wherever: dict[str, str] = field(default_factory=dict)

    def night(self, name: str, as_of: str) -> None:
        self.bed.night(as_of)
        self.tables[name] = self.bed.tables()
        self.log[name] = len(self.bed.crm_log())
        self.crm[name] = self.bed.crm()

    def of(self, name: str, *schemas: str) -> dict[str, str]:
        return {table: rows for table, rows in self.tables[name].items() if table.split(".")[0] in schemas}


def practice(bed: TinyPractice) -> TinyPractice:
    """Ten people, half of them with something to correct, in every format."""
    systems = bed.systems
    for number in range(1, 11):
        systems.add_person(number, answer="inactive" if number in (4, 5, 7) else "active")
    systems.patients["P02"].update(phone=phone_of(2, generation=2), last_updated="2026-02-25T12:00:00Z")
    systems.messages += [
        discharge("M03", stamp="20260227140000-0500", control="A1"),
        discharge("M06", stamp="20260228140000-0500", control="A2"),
    ]
    said = {"received_at": "2026-02-25T12:00:00Z", "channel": "sms"}
    systems.replies += [
        {**said, "contact_id": "C08", "kind": "stop", "value": "STOP"},
        {**said, "contact_id": "C09", "kind": "change_phone", "value": phone_of(9, generation=2)},
    ]
    return bed


def the_next_day(bed: TinyPractice) -> None:
    """News of each kind: a lookup, a newer chart, a moved registration, a discharge, a reply."""
    systems = bed.systems
    systems.lookups.append(
        lookup(phone_of(1), checked_at="2026-03-02T12:00:00Z", valid="false", line_status="inactive")
    )
    chart = {**systems.contacts["C05"], "ehr_patient_id": "E05", "city": "Lynn"}
    systems.resources.append(patient(chart, updated="2026-03-02T13:00:00Z"))
    systems.patients["P10"].update(phone=phone_of(10, generation=2), last_updated="2026-03-02T14:00:00Z")
    systems.messages.append(discharge("M09", stamp="20260302140000-0500", control="A3"))
    systems.replies.append(
        {
            "contact_id": "C01", "received_at": "2026-03-02T15:00:00Z", "channel": "sms", "kind": "change_phone",
            "value": "(617) 253-4321",
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    runs = Runs(practice(TinyPractice(tmp_path_factory.mktemp("repeated"))))
    runs.bed.deliver()
    runs.night("first", FIRST)
    runs.wherever = runs.bed.tables(*RESULTS, without=PLACE_OF_A_RECORD)
    runs.night("first again", FIRST)
    the_next_day(runs.bed)
    runs.bed.deliver("day1")
    runs.night("second", SECOND)
    runs.night("first, replayed", FIRST)
    runs.night("second again", SECOND)
    return runs


def test_the_same_night_twice_gives_the_same_tables(runs: Runs) -> None:
    assert runs.tables["first again"] == runs.tables["first"]
    assert runs.tables["first"]["sync.crm_change"].startswith("13 rows")


def test_the_same_night_twice_writes_once(runs: Runs) -> None:
    assert runs.log["first"] == 13
    assert runs.log["first again"] == runs.log["first"]


def test_a_replayed_night_is_the_night_that_was(runs: Runs) -> None:
    assert runs.of("second", *SEEN_THAT_NIGHT) != runs.of("first", *SEEN_THAT_NIGHT)
    assert runs.of("first, replayed", *SEEN_THAT_NIGHT) == runs.of("first", *SEEN_THAT_NIGHT)


def test_a_replay_takes_nothing_and_writes_nothing(runs: Runs) -> None:
    for schemas in (("raw",), ("quarantine",), ("sync",)):
        assert runs.of("first, replayed", *schemas) == runs.of("second", *schemas)
    assert runs.log["first, replayed"] == runs.log["second"] > runs.log["first"]
    assert runs.crm["first, replayed"] == runs.crm["second"]


def test_after_a_replay_the_latest_night_is_as_before(runs: Runs) -> None:
    assert runs.tables["second again"] == runs.tables["second"]
    assert runs.log["second again"] == runs.log["second"]
    assert runs.crm["second again"] == runs.crm["second"]


def test_other_names_and_another_order_give_the_same_results(
    runs: Runs, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bed = practice(TinyPractice(tmp_path_factory.mktemp("renamed")))
    files = list(bed.systems.files("day0").items())
    # The names now sort in another order, and the files were made in another.
    bed.write({name.replace("day0", f"{99 - number}"): content for number, (name, content) in enumerate(files)})
    bed.night(FIRST, job="bare_night")
    tables = bed.tables(*RESULTS, without=PLACE_OF_A_RECORD)
    assert {"hygiene.issue", "sync.crm_change", "metrics.benchmark"} < set(tables)
    assert tables == {name: rows for name, rows in runs.wherever.items() if name in tables}
    assert bed.crm() == runs.crm["first"]
