"""Which value is true and by what rule; and what each source is taken to say."""

from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hygiene_pipeline_tests.bed import Bed
from hygiene_pipeline_tests.sql.cases import DECISIONS, RECONCILED, Row, ago, lay, links

# source, value, days since confirmed (None: never), and whether the value may win
Said = tuple[str, str, float | None, bool]

RULES: dict[str, tuple[str, list[Said], str | None, str, bool]] = {
    "everybody agrees": ("phone", [("ehr", "1", 9, True), ("crm", "1", None, True)], "1", "only_value", False),
    "the most recently confirmed number": ("phone",
        [("ehr", "1", 9, True), ("pm", "2", 3, True), ("crm", "3", 5, True)], "2", "most_recently_confirmed", True),
    "the patient's own word beats a later confirmation": ("phone", [("patient", "1", 90, True), ("pm", "2", 3, True)],
        "1", "patient_confirmed", True),
    "the patient's own latest word": ("phone", [("patient", "1", 90, True), ("patient", "2", 30, True)], "2",
        "patient_confirmed", True),
    "a number known to be bad never wins": ("phone",
        [("patient", "1", 1, False), ("pm", "2", 3, True), ("crm", "3", None, True)], "2", "most_recently_confirmed",
        True),
    "the one number that is not bad": ("phone", [("ehr", "1", 1, False), ("crm", "2", None, True)], "2",
        "only_valid_value", True),
    "every number is bad": ("phone", [("ehr", "1", 1, False), ("crm", "2", 2, False)], None, "no_valid_value", True),
    "a confirmed number beats one that nobody confirmed": ("phone",
        [("ehr", "1", None, True), ("crm", "2", 900, True)], "2", "most_recently_confirmed", True),
    "where nobody confirmed, the CRM keeps its own": ("phone",
        [("ehr", "1", None, True), ("pm", "2", None, True), ("crm", "3", None, True)], "3", "unconfirmed", True),
    "confirmed at the same instant, the CRM keeps its own": ("email", [("ehr", "1", 5, True), ("crm", "3", 5, True)],
        "3", "most_recently_confirmed", True),
    "confirmed at the same instant, the EHR before the PM": ("email", [("pm", "1", 5, True), ("ehr", "3", 5, True)],
        "3", "most_recently_confirmed", True),
    "the authority beats a later word": ("care_status", [("ehr", "discharged", 90, True), ("crm", "active", 1, True)],
        "discharged", "authoritative:ehr", True),
    "without the authority there is but one word": ("care_status", [("crm", "active", 1, True)], "active",
        "only_value", False),
    "the payer's answer beats the PM and the CRM": ("insurance_status",
        [("crm", "active", 1, True), ("pm", "lapsed", 2, True), ("eligibility", "verify_required", 9, True)],
        "verify_required", "authoritative:eligibility", True),
    "the name of the system that changed it last": ("last_name",
        [("ehr", "a", 90, True), ("pm", "b", 9, True), ("crm", "c", 50, True)], "b", "most_recent", True),
    "a newer edit in the CRM stands": ("address_line", [("ehr", "a", 90, True), ("crm", "c", 50, True)], "c",
        "most_recent", True),
    "an opt-out wins, whenever": ("sms_opt_out", [("crm", "false", 1, True), ("crm", "true", 900, True)], "true",
        "opt_out_wins", True),
    "the patient's stop wins": ("sms_opt_out", [("crm", "false", 1, True), ("patient", "true", 900, True)], "true",
        "opt_out_wins", True),
    "the referring provider is for staff to decide": ("referring_provider_npi",
        [("pm", "1", 9, True), ("crm", "2", 1, True)], "1", "staff_review:pm", True),
}  # fmt: skip


def candidates(patient_id: str, field: str, said: Sequence[Said]) -> list[dict[str, Any]]:
    return [
        {
            "patient_id": patient_id,
            "field": field,
            "source": source,
            "source_id": f"{source}-{turn}",
            "value": value,
            "value_key": value,
            "confirmed_at": None if days is None else ago(days),
            "is_valid": is_valid,
            "strength": {"patient": 3, "eligibility": 2}.get(source, 1) if is_valid else 0,
        }
        for turn, (source, value, days, is_valid) in enumerate(said)
    ]


@cache
def shared_bed() -> Bed:
    return lay({})


def decided(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    bed = shared_bed()
    bed.table("reconciled.field_candidate", rows)
    bed.build("reconciled.field_decision")
    found = bed.rows("select * from reconciled.field_decision")
    return {(row["patient_id"], row["field"]): row for row in found}


@pytest.fixture(scope="module")
def by_rule() -> dict[tuple[str, str], dict[str, Any]]:
    return decided([row for name, (field, said, *_) in RULES.items() for row in candidates(name, field, said)])


@pytest.mark.parametrize("name", RULES)
def test_rule(by_rule: dict[tuple[str, str], dict[str, Any]], name: str) -> None:
    field, said, value, rule, is_conflict = RULES[name]
    row = by_rule[name, field]
    assert (row["value"], row["rule"], row["is_conflict"]) == (value, rule, is_conflict)
    assert (row["source"] is None) == (value is None)
    kept = [(each["source"], each["value"]) for each in row["candidates"]]
    assert kept == sorted((source, each) for source, each, *_ in said)


SAID = st.tuples(
    st.sampled_from(["ehr", "pm", "crm", "patient", "eligibility"]),
    st.sampled_from(["true", "false", "other"]),
    st.sampled_from([None, 1.0, 2.0, 3.0]),
    st.booleans(),
)
FIELD = st.sampled_from(["phone", "care_status", "last_name", "sms_opt_out", "referring_provider_npi", "unheard_of"])


@settings(max_examples=5, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(FIELD, st.lists(SAID, min_size=1, max_size=6)), min_size=20, max_size=40))
def test_decisions_hold_whatever_was_said(drawn: list[tuple[str, list[Said]]]) -> None:
    rows = [row for turn, (field, said) in enumerate(drawn) for row in candidates(f"p{turn}", field, said)]
    found = decided(rows)
    assert decided(rows[::-1]) == found, "the order of candidates decides"
    for turn, (field, said) in enumerate(drawn):
        row = found[f"p{turn}", field]
        allowed = {(source, value) for source, value, _, is_valid in said if is_valid}
        assert (row["source"], row["value"]) in allowed or (not allowed and row["value"] is None)
        kept = sorted((each["source"], each["value"]) for each in row["candidates"])
        assert kept == sorted((source, value) for source, value, *_ in said), "a candidate is lost"
        assert row["is_conflict"] == (len({value for _, value, *_ in said}) > 1)
        if field == "sms_opt_out" and "true" in {value for _, value in allowed}:
            assert row["value"] == "true", "an opt-out is lost"


ANNA: Row = {"first_name": "Anna", "last_name": "Keller", "birth_date": date(1980, 5, 4)}
OLD = "+16172530001"
NEW = "+16172530002"
EVERYBODY = links(("crm", "c1", "p1"), ("pm", "m1", "p1"), ("ehr", "e1", "p1"))


def patient(**tables: Sequence[Row]) -> dict[str, Any]:
    """The golden record of one patient whom all three systems know, from these staging tables."""
    keys = {
        "crm_contact": {"contact_id": "c1"},
        "pm_patient": {"pm_patient_id": "m1"},
        "ehr_patient": {"ehr_patient_id": "e1"},
    }
    keys |= {"pm_coverage": {"pm_patient_id": "m1", "coverage_rank": 1}, "reply": {"contact_id": "c1"}}
    laid = {
        f"staging.{name}": [{**keys.get(name, {}), **row} for row in rows]
        for name, rows in ({"crm_contact": [{}], "pm_patient": [{}], "ehr_patient": [{}]} | tables).items()
        if name != "versions"
    }
    bed = lay({**laid, "identity.patient_link": EVERYBODY, "raw.crm_contacts": tables.get("versions", [])})
    bed.build(*RECONCILED, *DECISIONS)
    [row] = bed.rows("select * from reconciled.patient")
    return row


def test_the_patients_own_number_is_the_golden_one() -> None:
    row = patient(
        crm_contact=[{"phone": OLD, "last_phone_verified": ago(1)}],
        reply=[{"kind": "change_phone", "value": NEW, "received_at": ago(30)}],
    )
    assert row["phone"] == NEW


@pytest.mark.parametrize(
    ("lookups", "expected"),
    [
        pytest.param([{"phone": NEW, "checked_at": ago(1), "valid": False}], OLD, id="a dead number does not"),
        pytest.param([{"phone": NEW, "checked_at": ago(1), "valid": True}], NEW, id="a live one does"),
        pytest.param([{"phone": NEW, "checked_at": ago(-1), "valid": False}], NEW, id="tomorrow's lookup is not known"),
    ],
)
def test_a_later_confirmed_number_wins(lookups: list[Row], expected: str) -> None:
    row = patient(
        crm_contact=[{"phone": OLD, "last_phone_verified": ago(90)}],
        pm_patient=[{"phone": NEW, "phone_confirmed_at": ago(9)}],
        phone_lookup=lookups,
    )
    assert row["phone"] == expected


def test_a_placeholder_never_wins() -> None:
    pm = [{"phone": "+16175550123", "phone_confirmed_at": ago(1)}]
    assert patient(crm_contact=[{"phone": OLD}], pm_patient=pm)["phone"] == OLD


@pytest.mark.parametrize("channel", ["sms", "email", "voice", None])
def test_a_stop_on_one_channel_closes_every_channel(channel: str | None) -> None:
    row = patient(
        crm_contact=[{"sms_opt_out": False, "email_opt_out": None, "call_opt_out": True}],
        reply=[{"kind": "stop", "channel": channel, "received_at": ago(3)}],
    )
    assert (row["sms_opt_out"], row["email_opt_out"], row["call_opt_out"]) == (True, True, True)


@pytest.mark.parametrize(
    ("coverage", "payer"),
    [
        ({"payer_name": "Aetna"}, "Aetna"),
        ({"payer_name": "Aetna", "termination_date": date(2026, 3, 1)}, "Aetna"),
        ({"payer_name": "Aetna", "termination_date": date(2026, 2, 28)}, "Cigna"),
        ({"payer_name": "Aetna", "effective_date": date(2026, 3, 2)}, "Cigna"),
    ],
    ids=["in force", "on its last day", "ended yesterday", "begins tomorrow"],
)
def test_the_pm_names_the_payer_of_a_coverage_in_force(coverage: Row, payer: str) -> None:
    row = patient(crm_contact=[{"insurance_payer": "Cigna"}], pm_coverage=[coverage])
    assert row["insurance_payer"] == payer


def test_a_record_that_the_ehr_replaced_is_not_heard() -> None:
    row = patient(
        ehr_patient=[{**ANNA, "last_name": "Meier", "replaced_by": "e2", "last_updated": ago(1)}],
        pm_patient=[{**ANNA, "last_updated": ago(9)}],
    )
    assert row["last_name"] == "Keller"


def version(days: float, email: str, modified: float, **more: Any) -> Row:
    seen = {"contact_id": "c1", "email": email, "extracted_at": ago(days), "last_modified": ago(modified)}
    return {**seen, "take_seq": 1, "row_hash": f"{days}", **more}


@pytest.mark.parametrize(
    ("versions", "email"),
    [
        pytest.param(
            [version(30, "old@x.org", 60), version(2, "new@x.org", 3)], "new@x.org", id="typed in after the EHR's"
        ),
        pytest.param(
            [version(30, "new@x.org", 60), version(2, "new@x.org", 3)], "ehr@x.org", id="only touched after it"
        ),
        pytest.param(
            [version(30, "new@x.org", 60), version(20, "x@x.org", 25), version(2, "new@x.org", 3)],
            "new@x.org",
            id="typed in again after it",
        ),
        pytest.param(
            [version(30, "new@x.org", 60), version(20, "", 25, is_removed=True), version(2, "new@x.org", 3)],
            "ehr@x.org",
            id="gone for a while and back",
        ),
        pytest.param(
            [version(30, "new@x.org", 60), version(-1, "x@x.org", 2)], "ehr@x.org", id="changed after the clock"
        ),
    ],
)
def test_a_value_counts_from_when_it_was_typed_in(versions: list[Row], email: str) -> None:
    row = patient(
        crm_contact=[{"email": "new@x.org", "last_modified": ago(3)}],
        ehr_patient=[{"email": "ehr@x.org", "email_confirmed_at": ago(10)}],
        versions=versions,
    )
    assert row["email"] == email


def test_two_spellings_are_no_conflict() -> None:
    bed = lay(
        {
            "staging.crm_contact": [
                {
                    "contact_id": "c1",
                    **ANNA,
                    "address_line": "12 North Main Street, Apartment 3",
                    "insurance_member_id": "w-12",
                    "first_name": "ÁNNA",
                    "postal_code": "02139-1234",
                }
            ],
            "staging.pm_patient": [
                {"pm_patient_id": "m1", **ANNA, "address_line": "12 N. Main St Apt 3", "postal_code": "02139"}
            ],
            "staging.pm_coverage": [
                {"pm_patient_id": "m1", "member_id": "W 12", "member_key": "W12", "coverage_rank": 1}
            ],
            "identity.patient_link": EVERYBODY,
        }
    )
    bed.build(*RECONCILED, *DECISIONS)
    assert bed.rows("select field from reconciled.field_decision where is_conflict") == []
