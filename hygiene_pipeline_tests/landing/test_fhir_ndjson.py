"""Bulk exports into the raw FHIR tables and the quarantine."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from hygiene_pipeline.landing.fhir_schemas import RESOURCES, table_name
from hygiene_pipeline.landing.file import Loaded
from hygiene_pipeline_tests.landing.fhir_desk import Desk, ndjson, patient

SOUND = patient("good", active=True, name=[{"family": "Doe", "given": ["Jane"]}])


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_elements_arrive_typed(desk: Desk) -> None:
    desk.fhir(
        ndjson(
            patient(
                "p1",
                meta={"versionId": "2", "lastUpdated": "2026-02-01T10:00:00.5-05:00"},
                active=True,
                telecom=[{"system": "phone", "value": "617-253-0000", "rank": 1, "period": {"start": "2025-01"}}],
                birthDate="1970-03",
                extension=[{"url": "us-core-race", "extension": [{"url": "text", "valueString": "White"}]}],
            )
        )
    )
    row = desk.rows(
        """select id, active, telecom[1].value, telecom[1].rank, telecom[1].period.start, birthDate,
                  extension[1].extension[1].valueString, epoch_ms(last_updated), source_file, source_line
           from raw.fhir_patient"""
    )
    assert row == [
        ("p1", True, "617-253-0000", 1, "2025-01", "1970-03", "White", 1769958000500, "ehr/export.ndjson", 1)
    ]


def test_every_resource_type_has_its_table_in_one_mixed_file(desk: Desk) -> None:
    minimal: dict[str, dict[str, Any]] = {
        "Encounter": {"status": "finished", "class": {"code": "AMB"}},
        "CarePlan": {"status": "active", "intent": "plan", "subject": {"reference": "Patient/p1"}},
        "Organization": {"name": "Example Clinic"},
        "PractitionerRole": {"code": [{"text": "doctor"}]},
        "Coverage": {"status": "active", "beneficiary": {"reference": "Patient/p1"}},
    }
    resources = [{"resourceType": name, "id": "same-id", **minimal.get(name, {})} for name in RESOURCES]
    assert desk.fhir(ndjson(*resources)) == Loaded(rows=len(RESOURCES), quarantined=0)
    for line, name in enumerate(RESOURCES, start=1):
        assert desk.rows(f"select id, source_line from {table_name(name)}") == [("same-id", line)]
    assert desk.rows("select name from raw.fhir_organization") == [("Example Clinic",)]
    assert desk.rows("select code[1].text from raw.fhir_practitioner_role") == [("doctor",)]


def test_two_types_with_one_id_in_one_file_are_kept_apart(desk: Desk) -> None:
    organization = {"resourceType": "Organization", "id": "1", "name": "Example Clinic"}
    assert desk.fhir(ndjson(patient("1"), organization)).rows == 2
    assert desk.rows("select id, name from raw.fhir_organization") == [("1", "Example Clinic")]
    assert desk.rows("select count(*) from raw.fhir_patient") == [(1,)]


def test_a_type_that_nothing_reads_is_noted_and_not_quarantined(desk: Desk) -> None:
    assert desk.fhir(ndjson({"resourceType": "Medication", "id": "m1"})) == Loaded(rows=1, quarantined=0)
    assert desk.rows('select "resourceType", id from raw.fhir_other') == [("Medication", "m1")]


@pytest.mark.parametrize(
    "pack",
    [
        pytest.param(lambda text: text, id="plain"),
        pytest.param(gzip.compress, id="gzip"),
        pytest.param(lambda text: b"\xef\xbb\xbf" + text, id="a byte-order mark"),
        pytest.param(lambda text: gzip.compress(b"\xef\xbb\xbf" + text), id="a byte-order mark inside gzip"),
        pytest.param(lambda text: text.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(lambda text: text.rstrip(), id="no newline at the end"),
    ],
)
def test_every_wrapping_gives_the_same_rows(desk: Desk, pack: Any) -> None:
    bad = b'{"resourceType": "Patient", "id": "a", "active": "yes"}\n'
    loaded = desk.fhir(pack(ndjson(patient("p1")) + bad + ndjson(patient("p2"))))
    assert loaded == Loaded(rows=2, quarantined=1)
    assert desk.rows("select id, source_line from raw.fhir_patient order by id") == [("p1", 1), ("p2", 3)]
    assert desk.quarantined() == [(2, "active", "wrong_type")]


def test_blank_lines_do_not_shift_line_numbers(desk: Desk) -> None:
    desk.fhir(b"\n" + ndjson(patient("p1")) + b"\r\n  \n{broken\n" + ndjson(patient("p2")) + b"\n")
    assert desk.rows("select id, source_line from raw.fhir_patient order by id") == [("p1", 2), ("p2", 6)]
    assert desk.quarantined() == [(5, "", "not_json")]


def test_a_file_name_with_wildcards_is_a_name(desk: Desk) -> None:
    assert desk.fhir(ndjson(SOUND), name="export[1]*.ndjson").rows == 1


def test_a_cut_off_gzip_file_gives_what_can_be_read(desk: Desk) -> None:
    many = ndjson(*(patient(f"p{number}", name=[{"family": f"Doe{number * 7919}"}]) for number in range(4000)))
    loaded = desk.fhir(gzip.compress(many)[:-4000])
    assert 0 < loaded.rows < 4000
    assert desk.rows("select distinct reason from quarantine.record") == [("truncated",)]


@pytest.mark.parametrize(
    ("line", "field", "reason"),
    [
        pytest.param(b'{"resourceType": "Patient", "id": "x"', "", "truncated", id="cut off at the end"),
        pytest.param(b'{"resourceType": "Patient", "id": "x', "", "truncated", id="cut off in a text"),
        pytest.param(b'{"resourceType": "Patient" "id": "x"}', "", "not_json", id="a comma missing"),
        pytest.param(b"[1, 2]", "", "wrong_type", id="a list"),
        pytest.param(b'{"resourceType": "Patient", "id": "\xff"}', "", "not_utf8", id="not UTF-8"),
        pytest.param(b'{"id": "x"}', "resourceType", "missing_resource_type", id="no resource type"),
        pytest.param(b'{"resourceType": "Person!", "id": "x"}', "resourceType", "unknown_resource_type", id="unknown"),
        pytest.param(b'{"resourceType": "Patient"}', "id", "missing_id", id="no id"),
        pytest.param(b'{"resourceType": "Patient", "id": 5}', "id", "wrong_type", id="an id that is a number"),
        pytest.param(b'{"resourceType": "Patient", "id": "a b"}', "id", "invalid_id", id="an id with a space"),
        pytest.param(b'{"resourceType": "Patient", "id": "' + b"x" * 65 + b'"}', "id", "invalid_id", id="a long id"),
        pytest.param(b'{"resourceType": "Medication"}', "id", "missing_id", id="no id in a type nobody reads"),
    ],
)
def test_a_broken_line_is_quarantined_as_it_is(desk: Desk, line: bytes, field: str, reason: str) -> None:
    assert desk.fhir(ndjson(SOUND) + line + b"\n" + ndjson(patient("p2"))) == Loaded(rows=2, quarantined=1)
    assert desk.quarantined() == [(2, field, reason)]
    original = desk.rows("select original from quarantine.record")[0][0]
    assert original == line.decode("utf-8", errors="backslashreplace")


@pytest.mark.parametrize(
    ("elements", "field", "reason"),
    [
        pytest.param({"active": "yes"}, "active", "wrong_type", id="a word for a boolean"),
        pytest.param({"active": "true"}, "active", "wrong_type", id="a boolean spelt as text"),
        pytest.param({"name": {"family": "Doe"}}, "name", "wrong_type", id="one name without a list"),
        pytest.param({"name": ["Doe"]}, "name", "wrong_type", id="a name that is text"),
        pytest.param({"meta": []}, "meta", "wrong_type", id="meta that is a list"),
        pytest.param({"birthDate": 1970}, "birthDate", "wrong_type", id="a date that is a number"),
        pytest.param({"birthDate": "1970-02-30"}, "birthDate", "invalid_date", id="the thirtieth of February"),
        pytest.param({"birthDate": "03/01/1970"}, "birthDate", "invalid_date", id="an American date"),
        pytest.param({"birthDate": "2999-01-01"}, "birthDate", "invalid_date", id="a birth to come"),
        pytest.param({"deceasedDateTime": "2026-01-05T25:00:00Z"}, "deceasedDateTime", "invalid_date", id="hour 25"),
        pytest.param({"meta": {"lastUpdated": "2026-01"}}, "meta.lastUpdated", "invalid_date", id="no instant"),
        pytest.param({"gender": "F"}, "gender", "unknown_code", id="a gender of no list"),
        pytest.param(
            {"telecom": [{"value": 6172530000}]}, "telecom.value", "wrong_type", id="a phone that is a number"
        ),
        pytest.param({"name": [{"given": "Jane"}]}, "name.given", "wrong_type", id="a given name without a list"),
    ],
)
def test_an_unusable_element_is_named(desk: Desk, elements: dict[str, Any], field: str, reason: str) -> None:
    assert desk.fhir(ndjson(patient("bad", **elements), SOUND)) == Loaded(rows=1, quarantined=1)
    assert desk.quarantined() == [(1, field, reason)]


@pytest.mark.parametrize(
    "elements",
    [
        pytest.param({"birthDate": "1970"}, id="only a year"),
        pytest.param({"birthDate": "1972-02-29"}, id="a leap day"),
        pytest.param({"deceasedDateTime": "2026-01-31T23:59:59.123+14:00"}, id="the last offset"),
        pytest.param({"name": None}, id="null is as good as absent"),
        pytest.param({"name": []}, id="an empty list"),
        pytest.param({"contact": [{"name": {"family": "Doe"}}]}, id="a contact's name is no list"),
        pytest.param(
            {"extension": [{"url": "x", "valueQuantity": {"value": 3}}]}, id="a number where FHIR has numbers"
        ),
        pytest.param({"name": [{"text": 'Doe "value":3'}]}, id="text that looks like JSON"),
    ],
)
def test_what_only_looks_odd_is_loaded(desk: Desk, elements: dict[str, Any]) -> None:
    assert desk.fhir(ndjson(patient("p1", **elements))) == Loaded(rows=1, quarantined=0)


def test_a_period_with_an_impossible_day_is_quarantined(desk: Desk) -> None:
    stay = {"resourceType": "Encounter", "id": "e1", "status": "finished", "class": {"code": "AMB"}}
    desk.fhir(ndjson({**stay, "period": {"start": "2026-02-29"}}, {**stay, "id": "e2", "period": {"start": "2026-02"}}))
    assert desk.quarantined() == [(1, "period", "invalid_date")]
    assert desk.rows("select id from raw.fhir_encounter") == [("e2",)]


def test_a_fault_of_a_sampled_decoration_is_counted_and_rejects_nothing(desk: Desk) -> None:
    odd = patient("p1", favouriteColour="blue")
    assert desk.fhir(ndjson(odd, SOUND), sample_share=1) == Loaded(rows=2, quarantined=0)
    assert desk.rows(
        "select resource_type, field, reason, judged, failed from quarantine.fhir_conformance order by failed"
    ) == [("Patient", "", "", 2, 0), ("Patient", "favouriteColour", "fails_fhir", 2, 1)]


def test_an_export_repeated_adds_nothing_and_a_change_adds_one_row(desk: Desk) -> None:
    assert desk.fhir(ndjson(SOUND, patient("p2"))).rows == 2
    assert desk.fhir(ndjson(patient("p2"), SOUND)).rows == 0
    assert desk.fhir(ndjson(SOUND, patient("p2", active=False))).rows == 1
    assert desk.fhir(ndjson(SOUND, patient("p2"))).rows == 1
    assert desk.rows("select active from raw.fhir_patient where id = 'p2' order by take_seq") == [
        (None,),
        (False,),
        (None,),
    ]


def test_a_patient_that_an_export_no_longer_holds_stays(desk: Desk) -> None:
    desk.fhir(ndjson(SOUND, patient("p2")))
    assert desk.fhir(ndjson(SOUND)) == Loaded(rows=0, quarantined=0)
    assert desk.rows("select count(*) from raw.fhir_patient") == [(2,)]


def test_repeated_ids_in_one_export_are_versions_in_the_order_of_their_update(desk: Desk) -> None:
    newer = patient("p1", active=False, meta={"lastUpdated": "2026-02-02T00:00:00Z"})
    older = patient("p1", active=True, meta={"lastUpdated": "2026-02-01T00:00:00Z"})
    assert desk.fhir(ndjson(newer, older, newer, SOUND)).rows == 3
    assert desk.rows("select active, source_line from raw.fhir_patient where id = 'p1' order by last_updated") == [
        (True, 2),
        (False, 1),
    ]


def test_a_known_line_beside_another_version_of_its_resource_is_put_in_order_with_it(desk: Desk) -> None:
    known = patient("p1", active=True, meta={"lastUpdated": "2026-02-02T00:00:00Z"})
    older = patient("p1", active=False, meta={"lastUpdated": "2026-02-01T00:00:00Z"})
    newer = patient("p1", active=False, meta={"lastUpdated": "2026-02-03T00:00:00Z"})
    desk.fhir(ndjson(SOUND, known))
    assert desk.fhir(ndjson(SOUND, known, newer)).rows == 1
    assert desk.fhir(ndjson(SOUND, newer)).rows == 0
    assert desk.fhir(ndjson(newer, older)).rows == 2
    assert desk.rows(
        "select active, source_line from raw.fhir_patient where id = 'p1' and take_seq = 4 order by 2"
    ) == [
        (False, 1),
        (False, 2),
    ]


def test_the_same_elements_spelt_otherwise_are_no_new_version(desk: Desk) -> None:
    odd = patient("p2", name=[{"text": "\u0041", "given": []}], contained=[{"resourceType": "Patient", "id": "c"}])
    assert desk.fhir(ndjson(SOUND, odd)).rows == 2
    assert desk.fhir(ndjson({**dict(reversed(SOUND.items())), "note": "x"}, odd).replace(b": ", b":")).rows == 0


def test_versions_of_a_first_export_of_several_files_are_the_ones_of_files_taken_one_by_one(tmp_path: Path) -> None:
    older, newer = patient("p1", active=True), patient("p1", active=False, name=[{"given": ["Jane", "A"]}])
    contents = [
        ndjson(SOUND, older),
        ndjson(newer, SOUND),
        ndjson(newer),
        ndjson({"resourceType": "Organization"}, older),
    ]
    found = []
    for at_once in (True, False):
        folder = tmp_path / str(at_once)
        folder.mkdir()
        desk = Desk(folder)
        rows = sum(loaded.rows for loaded in desk.fhir_of(contents, at_once=at_once))
        found.append(
            (
                rows,
                desk.rows("select id, active, source_file, source_line, take_seq from raw.fhir_patient order by all"),
            )
        )
    assert found[0] == found[1]
    assert found[0][0] == 4


def test_a_bad_line_does_not_take_a_good_line_of_the_same_id_with_it(desk: Desk) -> None:
    assert desk.fhir(ndjson(patient("p1", active="no"), patient("p1", active=False))) == Loaded(rows=1, quarantined=1)
    assert desk.rows("select active, source_line from raw.fhir_patient") == [(False, 2)]


def test_a_rare_type_that_the_peek_missed_is_loaded(desk: Desk) -> None:
    many = ndjson(*(patient(f"p{number}", name=[{"family": "x" * 200}]) for number in range(3000)))
    middle = ndjson({"resourceType": "Organization", "id": "o1", "name": "Example Clinic"})
    half = len(many) // 2
    cut = many.index(b"\n", half) + 1
    assert desk.fhir(many[:cut] + middle + many[cut:]).rows == 3001
    assert desk.rows("select name, source_line > 1000 from raw.fhir_organization") == [("Example Clinic", True)]


def test_a_line_of_many_megabytes_is_read(desk: Desk) -> None:
    attachment = {"resourceType": "DocumentReference", "id": "d1", "content": "x" * (17 << 20)}
    assert desk.fhir(ndjson(SOUND, attachment, patient("p2"))) == Loaded(rows=3, quarantined=0)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="no byte"),
        pytest.param(b"\n \n", id="blank lines"),
        pytest.param(gzip.compress(b""), id="nothing packed"),
    ],
)
def test_a_file_with_nothing_in_it_is_told(desk: Desk, content: bytes) -> None:
    assert desk.fhir(content) == Loaded(rows=0, quarantined=1)
    assert desk.rows("select source_line, reason, original from quarantine.record") == [(None, "empty_file", None)]


def test_the_callers_settings_are_left_as_they_were(desk: Desk) -> None:
    desk.con.execute("set disabled_optimizers = 'top_n'")
    desk.fhir(ndjson(SOUND))
    assert desk.rows("select current_setting('disabled_optimizers')") == [("top_n",)]


def test_no_temporary_table_is_left_behind(desk: Desk) -> None:
    desk.fhir(ndjson(SOUND, SOUND) + b"{broken\n")
    assert desk.rows("select table_name from duckdb_tables() where temporary") == []


def test_the_hash_does_not_depend_on_what_else_is_in_the_file(desk: Desk) -> None:
    desk.fhir(ndjson(SOUND))
    assert (
        desk.fhir(
            ndjson(SOUND, {"resourceType": "Organization", "id": "o"}, {"resourceType": "Consent", "id": "c"})
        ).rows
        == 2
    )
    assert desk.rows("select count(*) from raw.fhir_patient") == [(1,)]


def test_a_deletion_is_kept_as_what_was_deleted(desk: Desk) -> None:
    entry = [{"request": {"method": "DELETE", "url": "Patient/p1"}}]
    bundle = {"resourceType": "Bundle", "id": "gone-1", "type": "transaction", "entry": entry}
    assert desk.fhir(ndjson(bundle)).rows == 1
    assert desk.rows("select entry[1].request.method, entry[1].request.url from raw.fhir_bundle") == [
        ("DELETE", "Patient/p1")
    ]


def test_what_a_server_could_not_export_is_there_for_a_person_to_see(desk: Desk) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
    assert desk.fhir(ndjson(patient("p1"), outcome)).rows == 1
    assert desk.quarantined() == [(2, "issue", "not_exported")]
