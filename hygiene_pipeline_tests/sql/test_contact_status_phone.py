"""Every row of the table of phone reasons, its borders, and the order between the rows."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from hygiene_pipeline_tests.bed import Bed
from hygiene_pipeline_tests.sql.cases import RECONCILED, STATUS, Row, ago, lay, links, number

FINE: Row = {"valid": True, "line_type": "mobile", "line_status": "active"}
DEAD: Row = {"valid": True, "line_type": "mobile", "line_status": "inactive"}
LANDLINE: Row = {**FINE, "line_type": "landline"}
UNTYPED: Row = {**FINE, "line_type": "unknown"}
SILENT: Row = {"valid": None, "line_type": None, "line_status": "unknown"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A contact with everything that anybody says about its number; `own` and `other` stand for two numbers."""

    name: str
    reason: str
    state: str
    phone: str | None = "own"
    contact: Row = field(default_factory=dict)
    lookups: list[tuple[float, Row]] = field(default_factory=list)
    other_lookups: list[tuple[float, Row]] = field(default_factory=list)
    replies: list[tuple[float, str, str]] = field(default_factory=list)
    ehr: tuple[str, float | None] | None = None
    pm: tuple[str, float | None] | None = None
    first_seen: float = 400
    evidence: tuple[str, float | None] | None = None


def stale(name: str, reason: str, **given: Any) -> Case:
    return Case(name=name, reason=reason, state="stale", **given)


def current(name: str, **given: Any) -> Case:
    return Case(name=name, reason="verified", state="current", **given)


def unverified(name: str, reason: str, **given: Any) -> Case:
    return Case(name=name, reason=reason, state="unverified", **given)


CASES = [
    stale("no number at all is missing", "missing", phone=None, contact={"phone_reason": "missing"},
        evidence=("crm", 30)),
    *(
        stale(f"the digits {digits} are a placeholder", "placeholder", phone=None,
              contact={"phone_reason": "invalid_format", "phone_digits": digits})
        for digits in ("0000000000", "1234567", "1234567890", "9999999999", "0001112222", "6171234567", "16171234567")
    ),
    stale("a fictional 555-01xx number is a placeholder", "placeholder", phone="+12125550123"),
    stale("the practice's own number is a placeholder", "placeholder", phone="+16172530999"),
    stale("an invalid number is an invalid format", "invalid_format", phone=None,
        contact={"phone_reason": "invalid_format", "phone_digits": "61725300"}),
    stale("a reassigned number is stale although its line lives", "reassigned",
        lookups=[(2, {**FINE, "reassigned": "yes"})], evidence=("lookup", 2)),
    stale("no data on reassignment does not take back an earlier yes", "reassigned",
        lookups=[(20, {**FINE, "reassigned": "yes"}), (2, {**FINE, "reassigned": "no_data_available"})]),
    current("a later no takes back an earlier yes on reassignment",
        lookups=[(20, {**FINE, "reassigned": "yes"}), (2, {**FINE, "reassigned": "no"})]),
    current("a reassignment is void once the patient confirms the number",
        lookups=[(20, {**FINE, "reassigned": "yes"})], replies=[(10, "confirm_phone", "own")]),
    stale("a confirmation before the lookup does not void a reassignment", "reassigned",
        lookups=[(10, {**FINE, "reassigned": "yes"})], replies=[(20, "confirm_phone", "own")]),
    stale("an inactive line is disconnected", "disconnected", lookups=[(1, DEAD)], evidence=("lookup", 1)),
    stale("a number the carrier calls invalid is disconnected", "disconnected", lookups=[(1, {"valid": False})]),
    stale("a later dead line beats an earlier live one", "disconnected", lookups=[(10, FINE), (1, DEAD)]),
    current("a later live line beats an earlier dead one", lookups=[(10, DEAD), (1, FINE)]),
    stale("a failed lookup does not bring a dead line back", "disconnected", lookups=[(10, DEAD), (1, SILENT)]),
    current("a dead line is void once the patient confirms the number", lookups=[(10, DEAD)],
        replies=[(5, "confirm_phone", "own")], evidence=("patient", 5)),
    stale("staff's verification does not void a dead line", "disconnected", lookups=[(10, DEAD)],
        contact={"last_phone_verified": ago(5)}),
    stale("the PM's confirmation does not void a dead line", "disconnected", lookups=[(10, DEAD)], pm=("own", 5)),
    unverified("a lookup after the clock is not known yet", "never_verified", lookups=[(-1, DEAD)]),
    stale("texts to a landline", "landline_converted", contact={"preferred_channel": "SMS"},
        lookups=[(1, LANDLINE)], evidence=("lookup", 1)),
    current("a landline that is called is fine", contact={"preferred_channel": "call"},
        lookups=[(1, LANDLINE)]),
    current("a landline whose owner refused texts is fine", contact={"preferred_channel": "sms", "sms_opt_out": True},
        lookups=[(1, LANDLINE)]),
    current("a number ported back to a mobile takes texts", contact={"preferred_channel": "sms"},
        lookups=[(9, LANDLINE), (1, FINE)]),
    stale("a line that took texts is a landline by now and nobody prefers a channel", "landline_converted",
        lookups=[(60, FINE), (1, LANDLINE)], evidence=("lookup", 1)),
    stale("a voice line that took texts is a landline by now", "landline_converted",
        lookups=[(60, {**FINE, "line_type": "nonfixedvoip"}), (1, LANDLINE)]),
    stale("an unknown line type between and after takes nothing back", "landline_converted",
        lookups=[(60, FINE), (30, UNTYPED), (9, LANDLINE), (1, UNTYPED)]),
    current("a landline all along that nobody is said to text", lookups=[(60, LANDLINE), (1, LANDLINE)]),
    current("a landline that became a mobile", lookups=[(60, LANDLINE), (1, FINE)]),
    current("a landline by now that is called", contact={"preferred_channel": "call"},
        lookups=[(60, FINE), (1, LANDLINE)]),
    current("a landline by now whose owner refused texts", contact={"sms_opt_out": True},
        lookups=[(60, FINE), (1, LANDLINE)]),
    stale("an unknown line type leaves a landline a landline", "landline_converted",
        contact={"preferred_channel": "sms"}, lookups=[(9, LANDLINE), (1, UNTYPED)]),
    stale("the EHR confirmed another number later", "superseded", contact={"last_phone_verified": ago(50)},
        ehr=("other", 20), evidence=("ehr", 20)),
    stale("the PM confirmed another number later", "superseded", contact={"last_phone_verified": ago(50)},
        pm=("other", 20), evidence=("pm", 20)),
    stale("the patient gave another number", "superseded", contact={"last_phone_verified": ago(50)},
        replies=[(3, "change_phone", "other")], evidence=("patient", 3)),
    stale("nobody ever confirmed the CRM's number, the PM confirmed another", "superseded", pm=("other", 300)),
    stale("a live line does not say whose it is", "superseded", lookups=[(1, FINE)], pm=("other", 20)),
    current("another number was confirmed earlier than the CRM's", contact={"last_phone_verified": ago(10)},
        ehr=("other", 20)),
    current("another number was confirmed at the same instant", contact={"last_phone_verified": ago(20)},
        ehr=("other", 20)),
    current("a number that no one confirmed supersedes nothing", lookups=[(1, FINE)], ehr=("other", None)),
    current("the other system stands by the CRM's number since", ehr=("other", 20), pm=("own", 10)),
    current("the patient stands by the CRM's number since", ehr=("other", 20), replies=[(10, "confirm_phone", "own")]),
    current("a dead number supersedes nothing", lookups=[(1, FINE)], pm=("other", 20), other_lookups=[(5, DEAD)]),
    stale("a dead number supersedes once the patient confirms it", "superseded", lookups=[(1, FINE)],
        replies=[(2, "confirm_phone", "other")], other_lookups=[(5, DEAD)]),
    current("a number that somebody else has now supersedes nothing", lookups=[(1, FINE)], pm=("other", 20),
        other_lookups=[(5, {**FINE, "reassigned": "yes"})]),
    current("a number typed into the CRM after the PM's confirmation stands", contact={"phone_since": ago(10)},
        lookups=[(1, FINE)], pm=("other", 20)),
    stale("a number typed into the CRM before the PM's confirmation does not", "superseded",
        contact={"phone_since": ago(30)}, lookups=[(1, FINE)], pm=("other", 20)),
    stale("the first extract does not date the number it shows", "superseded", first_seen=10,
        contact={"phone_since": ago(10)}, lookups=[(1, FINE)], pm=("other", 20)),
    current("a live line is a confirmation", lookups=[(1, FINE)], evidence=("lookup", 1)),
    current("a valid number whose line answers nothing is a live line", lookups=[(1, {"valid": True})]),
    current("a reply is a confirmation", replies=[(1, "confirm_phone", "own")], evidence=("patient", 1)),
    current("a number that the patient gave is confirmed", replies=[(1, "change_phone", "own")]),
    current("staff's verification is a confirmation", contact={"last_phone_verified": ago(1)}, evidence=("crm", 1)),
    current("the EHR's confirmation is one", ehr=("own", 5), evidence=("ehr", 5)),
    current("the latest confirmation is the evidence", lookups=[(9, FINE)], ehr=("own", 5), evidence=("ehr", 5)),
    current("the 89th day is within the limit", lookups=[(89, FINE)]),
    current("the 90th day is within the limit", lookups=[(90, FINE)]),
    unverified("the 91st day is not", "verification_due", lookups=[(91, FINE)], evidence=("lookup", 91)),
    current("days are counted where the practice is", lookups=[(90 + 6.5 / 24, FINE)]),
    unverified("late evening there is the day before, whatever UTC says", "verification_due",
        lookups=[(90 + 7.5 / 24, FINE)]),
    unverified("staff verified the number that stood there before", "never_verified",
        contact={"last_phone_verified": ago(30), "phone_since": ago(10)}),
    current("staff verified the number after it was typed in",
        contact={"last_phone_verified": ago(5), "phone_since": ago(10)}),
    unverified("a verification after the clock is not known yet", "never_verified",
        contact={"last_phone_verified": ago(-2)}),
    unverified("nobody ever asked", "never_verified"),
    unverified("a reply after the clock is not known yet", "never_verified", replies=[(-1, "confirm_phone", "own")]),
    unverified("the PM's confirmation after the clock is not known yet", "never_verified", pm=("own", -1)),
    unverified("a reply about another matter confirms nothing", "never_verified", replies=[(1, "stop", "own")]),
    unverified("the provider had no data", "lookup_inconclusive", lookups=[(1, SILENT)], evidence=("lookup", 1)),
    unverified("the provider failed", "lookup_inconclusive", lookups=[(1, {"valid": None, "line_status": None})]),
    unverified("the provider had no data on a number due again", "lookup_inconclusive",
        lookups=[(120, FINE), (1, SILENT)]),
    unverified("a silent lookup before an old confirmation is past", "verification_due",
        lookups=[(150, SILENT), (120, FINE)]),
    current("a silent lookup does not take a fresh confirmation away", lookups=[(30, FINE), (1, SILENT)]),
    stale("placeholder is asked before reassigned", "placeholder", phone="+12125550124",
        lookups=[(1, {**DEAD, "reassigned": "yes"})]),
    stale("reassigned is asked before disconnected", "reassigned", lookups=[(1, {**DEAD, "reassigned": "yes"})]),
    stale("disconnected is asked before landline", "disconnected", contact={"preferred_channel": "sms"},
        lookups=[(1, {**DEAD, "line_type": "landline"})]),
    stale("landline is asked before superseded", "landline_converted", contact={"preferred_channel": "text"},
        lookups=[(1, LANDLINE)], pm=("other", 20)),
    stale("superseded is asked before verified", "superseded", lookups=[(1, FINE)],
        replies=[(2, "change_phone", "other")]),
]  # fmt: skip


def spelt(case: int, word: str | None) -> str | None:
    return {"own": number(case), "other": number(case, 1)}.get(word or "", word)


def tables(cases: list[Case]) -> dict[str, list[dict[str, Any]]]:
    laid: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("crm_contact", "pm_patient", "ehr_patient", "phone_lookup", "reply")
    }
    members, versions = [], []
    for index, case in enumerate(cases):
        name = f"c{index:03}"
        phone = spelt(index, case.phone)
        contact = {"contact_id": name, "phone": phone, "phone_digits": (phone or "")[2:] or None, "is_active": True}
        laid["crm_contact"].append(
            {**contact, "last_modified": ago(30), "phone_since": ago(case.first_seen), **case.contact}
        )
        versions.append({"contact_id": name, "extracted_at": ago(case.first_seen), "take_seq": 1, "row_hash": "a"})
        members.append(("crm", name, f"p-{name}"))
        for which, lookups in (("own", case.lookups), ("other", case.other_lookups)):
            laid["phone_lookup"] += [
                {
                    "phone": phone if which == "own" else spelt(index, which),
                    "checked_at": ago(days),
                    "provider": "files",
                    **row,
                }
                for days, row in lookups
            ]
        laid["reply"] += [
            {"contact_id": name, "received_at": ago(days), "channel": "sms", "kind": kind, "value": spelt(index, word)}
            for days, kind, word in case.replies
        ]
        for source, said in (("ehr", case.ehr), ("pm", case.pm)):
            if said:
                word, days = said
                confirmed = {"phone": spelt(index, word), "phone_confirmed_at": None if days is None else ago(days)}
                laid[f"{source}_patient"].append({f"{source}_patient_id": name, **confirmed})
                members.append((source, name, f"p-{name}"))
    rows = {f"staging.{name}": rows for name, rows in laid.items()}
    return {**rows, "identity.patient_link": links(*members), "raw.crm_contacts": versions}


@pytest.fixture(scope="module")
def verdicts() -> dict[str, dict[str, Any]]:
    practice = {"practice": "riverside", "timezone": "America/New_York", "phone": "+16172530999"}
    bed = lay(tables(CASES), practice=[practice])
    bed.build(*RECONCILED, *STATUS)
    return {row["contact_id"]: row for row in bed.rows("select * from hygiene.contact_status")}


@pytest.mark.parametrize(("index", "case"), list(enumerate(CASES)), ids=[case.name for case in CASES])
def test_phone(verdicts: dict[str, dict[str, Any]], index: int, case: Case) -> None:
    row = verdicts[f"c{index:03}"]
    assert (row["phone_reason"], row["phone_state"]) == (case.reason, case.state)
    assert ("phone" in row["stale_fields"]) == (case.state == "stale") == row["is_stale"]
    if case.evidence:
        source, days = case.evidence
        assert (row["phone_evidence_source"], row["phone_evidence_at"]) == (source, None if days is None else ago(days))


def test_cases_cover_every_reason() -> None:
    assert {case.reason for case in CASES} == {
        "missing", "placeholder", "invalid_format", "reassigned", "disconnected", "landline_converted", "superseded",
        "verified", "verification_due", "never_verified", "lookup_inconclusive",
    }  # fmt: skip


def shared(contacts: int, *, inactive: int = 0) -> Bed:
    people = [
        {
            "contact_id": f"c{index}",
            "phone": "+16172531234",
            "phone_digits": "6172531234",
            "is_active": index >= inactive,
        }
        for index in range(contacts)
    ]
    members = [("crm", str(person["contact_id"]), f"p{person['contact_id']}") for person in people]
    bed = lay({"staging.crm_contact": people, "identity.patient_link": links(*members)})
    bed.build(*RECONCILED, *STATUS)
    return bed


@pytest.mark.parametrize(
    ("contacts", "inactive", "reason"),
    [
        pytest.param(5, 0, "never_verified", id="five contacts may share a number"),
        pytest.param(6, 0, "placeholder", id="six may not"),
        pytest.param(6, 1, "never_verified", id="an inactive contact does not count"),
    ],
)
def test_shared_number(contacts: int, inactive: int, reason: str) -> None:
    rows = shared(contacts, inactive=inactive).rows("select phone_reason, is_active from hygiene.contact_status")
    assert [row["phone_reason"] for row in rows] == [reason] * contacts
    assert sum(row["is_active"] for row in rows) == contacts - inactive


def test_confirmed_at_is_the_latest_confirmation(verdicts: dict[str, dict[str, Any]]) -> None:
    confirmed = {case.name: verdicts[f"c{index:03}"]["phone_confirmed_at"] for index, case in enumerate(CASES)}
    expected: dict[str, datetime | None] = {
        "the latest confirmation is the evidence": ago(5),
        "the 91st day is not": ago(91),
        "nobody ever asked": None,
        "the provider had no data on a number due again": ago(120),
    }
    assert {name: confirmed[name] for name in expected} == expected
