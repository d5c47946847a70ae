"""Three formats of eligibility answers, one table."""

import json

import pytest

from hygiene_pipeline.landing.file import Loaded
from hygiene_pipeline.policies.load import load_policies
from hygiene_pipeline_tests.landing.desk import Desk
from hygiene_pipeline_tests.pm.interchange import interchange, subscriber

X12 = interchange(subscriber("REF*EJ*p-1", "DTP*347*D8*20261231", "EB*1**30"))
FHIR = json.dumps(
    {
        "resourceType": "CoverageEligibilityResponse",
        "id": "T-1",
        "status": "active",
        "patient": {"reference": "Patient/p-1"},
        "created": "2026-03-01T04:30:00Z",
        "insurer": {"identifier": {"value": "12345"}},
        "outcome": "complete",
        "insurance": [{"coverage": {"identifier": {"value": "M100"}}, "inforce": True}],
    }
)
CSV = """check_id,pm_patient_id,payer_id,member_id,checked_at,result,message
T-1,p-1,12345,M100,2026-02-28T23:30,Active,ok
"""
FORMATS = {
    "X12": ("a.271", X12, "x12", "271/000000001/0001/9", 9),
    "X12 by another ending": ("a.edi", X12, "x12", "271/000000001/0001/9", 9),
    "X12 in Latin-1": ("a.txt", X12.replace("JANE", "RENÉE").encode("latin-1"), "x12", "271/000000001/0001/9", 9),
    "X12 in UTF-16": ("a.271", X12.encode("utf-16"), "x12", "271/000000001/0001/9", 9),
    "FHIR": ("a.ndjson", f"\n{FHIR}\n", "fhir", "CoverageEligibilityResponse/T-1", 2),
    "CSV": ("a.csv", CSV, "csv", "eligibility/T-1", 2),
}


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


@pytest.mark.parametrize(("name", "content", "source", "ref", "line"), FORMATS.values(), ids=FORMATS.keys())
def test_an_answer_is_the_same_in_every_format(desk, name, content, source, ref, line):
    assert desk.take_eligibility(name, content) == Loaded(rows=1, quarantined=0)
    row = desk.rows(
        "select * exclude (message, payer_name, plan_end), checked_at::varchar as at from raw.pm_eligibility"
    )[0]
    assert (row["check_id"], row["pm_patient_id"], row["payer_id"], row["member_id"]) == ("T-1", "p-1", "12345", "M100")
    assert (row["at"], row["result"]) == ("2026-03-01 04:30:00+00", "active")
    assert (row["source_format"], row["evidence_ref"], row["source_line"]) == (source, ref, line)
    assert row["source_file"] == f"pm/eligibility/{name}"


def test_a_practice_may_read_a_code_in_its_own_way(desk):
    desk.outcomes = load_policies({"x12_outcomes": {"benefits": {"1": {"result": "inactive"}}}}).x12_outcomes
    desk.take_eligibility("a.271", X12)
    assert [row["result"] for row in desk.rows("select result from raw.pm_eligibility")] == ["inactive"]


def test_plan_dates_and_messages_are_kept(desk):
    desk.take_eligibility("a.271", X12)
    row = desk.rows("select plan_end::varchar as plan_end, message, payer_name from raw.pm_eligibility")[0]
    assert row == {"plan_end": "2026-12-31", "message": "EB 1: active coverage", "payer_name": "ACME HEALTH"}


UNUSABLE = {
    "an unknown format": ("a.pdf", "%PDF", [(None, None, "unknown_format")]),
    "an empty file": ("a.271", " \n", [(None, None, "empty_file")]),
    "text that is no X12": ("a.271", "Dear clinic", [(1, None, "outside_interchange")]),
    "a line that is no JSON": ("a.ndjson", f"{FHIR}\n{{cut", [(2, None, "not_json")]),
    "JSON nested without end": ("a.ndjson", f"{FHIR}\n" + "[" * 100_000, [(2, None, "not_json")]),
    "a resource without time": (
        "a.ndjson",
        FHIR.replace("created", "made"),
        [(1, "created", "bad_timestamp")],
    ),
    "a CSV result nobody knows": (
        "a.csv",
        CSV.replace("Active", "maybe"),
        [(2, "result", "unknown_code"), (2, "result", "unusable_key")],
    ),
    "a CSV without results": ("a.csv", "check_id,checked_at\nT-1,2026-01-01\n", [(1, "result", "missing_column")]),
}


@pytest.mark.parametrize(("name", "content", "quarantined"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_what_is_unusable_is_quarantined(desk, name, content, quarantined):
    loaded = desk.take_eligibility(name, content)
    assert desk.quarantined() == quarantined
    assert loaded.quarantined == len(quarantined)


def test_one_trace_for_a_whole_batch_loses_no_answer(desk):
    assert desk.take_eligibility("a.271", interchange(subscriber("EB*1**30"), subscriber("EB*6**30"))).rows == 2
    assert desk.rows("select count(distinct evidence_ref) as n from raw.pm_eligibility")[0]["n"] == 2


def test_the_same_answers_in_a_longer_file_are_written_once(desk):
    desk.take_eligibility("a.csv", CSV)
    desk.take_eligibility("b.csv", CSV + "T-2,p-1,12345,M100,2026-03-01,inactive,\n")
    rows = desk.rows("select check_id, source_file from raw.pm_eligibility order by check_id")
    assert [tuple(row.values()) for row in rows] == [("T-1", "pm/eligibility/a.csv"), ("T-2", "pm/eligibility/b.csv")]
