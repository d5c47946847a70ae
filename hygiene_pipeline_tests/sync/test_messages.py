"""Who is asked to confirm a number, where, how often, when, and who never is."""

import hashlib
import json
import re
import stat
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hygiene_pipeline.policies.load import load_policies
from hygiene_pipeline.sync.calling_hours import next_opening
from hygiene_pipeline.sync.messages import plan_messages, show_messages, write_messages
from hygiene_pipeline.sync.tables import create_tables
from hygiene_pipeline.sync.templates import SMS_LIMIT, Template, render
from hygiene_pipeline_tests.sync.bed import AS_OF, NEW_E164, OLD_E164, Bed
from hygiene_pipeline_tests.sync.practices import RIVERSIDE, practice_with

Arrange = Callable[[Bed], None]
EMAIL = ("email", "email", "planned", None)
TEXT = ("sms", "alternate_phone", "planned", None)
REFUSED_EMAIL = ("email", None, "failed", "bad_address")
NEW_YORK = ZoneInfo("America/New_York")


def suppressed(reason: str) -> tuple[None, None, str, str]:
    return (None, None, "suppressed", reason)


@pytest.fixture(scope="module")
def shared_bed() -> Bed:
    return Bed()


@pytest.fixture
def bed(shared_bed: Bed) -> Bed:
    shared_bed.empty()
    shared_bed.clock(AS_OF)
    return shared_bed


def stale(*more: Arrange, reason: str = "disconnected", care_reason: str = "in_sync", **contact: object) -> Arrange:
    def arrange(bed: Bed) -> None:
        bed.contact(**contact)
        bed.status(phone_state="stale", phone_reason=reason, care_reason=care_reason)
        for step in more:
            step(bed)

    return arrange


def by_phone(*more: Arrange, **contact: object) -> Arrange:
    return stale(*more, **{"email": None, "alternate_phone": NEW_E164, **contact})  # type: ignore[arg-type]


def looked_up(days_ago: int = 1, **columns: object) -> Arrange:
    checked_at = AS_OF - timedelta(days=days_ago)
    return lambda bed: bed.insert("staging.phone_lookup", phone=NEW_E164, checked_at=checked_at, **columns)


def stopped(channel: str | None) -> Arrange:
    return lambda bed: bed.insert("staging.reply", contact_id="C1", kind="stop", channel=channel, received_at=AS_OF)


def called(*hours_ago: int) -> Arrange:
    def arrange(bed: Bed) -> None:
        for hours in hours_ago:
            at = AS_OF - timedelta(hours=hours)
            bed.insert("staging.crm_interaction", contact_id="C1", occurred_at=at, channel="sms", direction="outbound")

    return arrange


def refused(channel: str, address: str, *, reason: str = "bad_address") -> Arrange:
    """A message that its provider did not take."""
    return lambda bed: bed.insert(
        "sync.message",
        message_id="x",
        contact_id="C1",
        channel=channel,
        state="failed",
        reason=reason,
        planned_at=AS_OF - timedelta(days=1),
        address_key=hashlib.sha256(address.encode()).hexdigest(),
    )


def decided(field: str, value: str) -> Arrange:
    return lambda bed: bed.decision(field, value)


def current(bed: Bed) -> None:
    bed.contact()
    bed.status(phone_state="current", phone_reason="verified")


def phone_change(state: str) -> Arrange:
    return lambda bed: bed.insert(
        "sync.crm_change", change_id="x", contact_id="C1", field="phone", state=state, planned_at=AS_OF
    )


CASES: dict[str, tuple[Arrange, list[tuple[str | None, str | None, str, str | None]]]] = {
    "a disconnected phone is asked about by email": (stale(), [EMAIL]),
    "without email by text to the alternate phone": (by_phone(), [TEXT]),
    "an opted-out email leaves the alternate phone": (by_phone(email="ana@example.org", email_opt_out=True), [TEXT]),
    "a bounced email leaves the alternate phone": (
        by_phone(
            lambda bed: bed.insert("hygiene.finding", contact_id="C1", staleness_type="email"), email="ana@example.org"
        ),
        [TEXT],
    ),
    "a current phone is not asked about": (current, []),
    "a superseded phone is not asked about": (stale(reason="superseded"), []),
    "a phone about to be corrected is not asked about": (stale(phone_change("planned")), []),
    "a phone in conflict long ago is asked about": (stale(phone_change("conflict")), [EMAIL]),
    "G01 the deceased in the CRM": (stale(care_status="deceased"), [suppressed("deceased")]),
    "G01 the deceased by the EHR": (stale(care_reason="deceased_not_marked"), [suppressed("deceased")]),
    "G01 the deceased by decision": (stale(decided("care_status", "deceased")), [suppressed("deceased")]),
    "G01 the inactive": (stale(is_active=False), [suppressed("inactive")]),
    "G02 opted out of email, no other address": (stale(email_opt_out=True), [suppressed("opted_out")]),
    "G02 opted out of email elsewhere": (stale(decided("email_opt_out", "true")), [suppressed("opted_out")]),
    "G02 opted out of texts": (by_phone(sms_opt_out=True), [suppressed("opted_out")]),
    "G02 opted out of calls": (by_phone(call_opt_out=True), [suppressed("opted_out")]),
    "G02 a STOP by text": (by_phone(stopped("sms")), [suppressed("opted_out")]),
    "G02 a STOP by text stops email": (stale(stopped("sms")), [suppressed("opted_out")]),
    "G02 a STOP by email stops texts": (by_phone(stopped("email")), [suppressed("opted_out")]),
    "G02 a STOP from nowhere stops everything": (stale(stopped(None)), [suppressed("opted_out")]),
    "G03 no address": (stale(email=None), [suppressed("no_address")]),
    "G03 an email that is none": (stale(email="ana at home"), [suppressed("bad_address")]),
    "G03 a mail gateway of the bad number": (
        stale(email="6172530000@texts.example.org"),
        [suppressed("bad_address")],
    ),
    "G03 a number in an email is no gateway": (stale(email="ana6172530000@example.org"), [EMAIL]),
    "G03 an email that its provider refused": (
        stale(refused("email", "ana@example.org"), alternate_phone=NEW_E164),
        [REFUSED_EMAIL, TEXT],
    ),
    "G03 another email than the refused one": (stale(refused("email", "old@example.org")), [REFUSED_EMAIL, EMAIL]),
    "G02 a stop that the provider told of": (
        stale(refused("sms", NEW_E164, reason="opted_out")),
        [("sms", None, "failed", "opted_out"), suppressed("opted_out")],
    ),
    "G03 the bad number itself": (by_phone(alternate_phone=OLD_E164), [suppressed("no_address")]),
    "G03 the bad number, not recognised as one": (
        by_phone(phone=None, phone_digits="6172531234"),
        [suppressed("no_address")],
    ),
    "G03 a dead alternate phone": (by_phone(looked_up(valid=False)), [suppressed("bad_address")]),
    "G03 an inactive line": (by_phone(looked_up(line_status="inactive")), [suppressed("bad_address")]),
    "G03 somebody else's by now": (by_phone(looked_up(reassigned="yes")), [suppressed("bad_address")]),
    "G03 a landline takes no text": (by_phone(looked_up(line_type="landline")), [suppressed("bad_address")]),
    "G03 the latest lookup counts": (by_phone(looked_up(9, valid=False), looked_up(1, valid=True)), [TEXT]),
    "G03 the practice's own number as phone": (
        stale(phone="+16172539999", reason="placeholder"),
        [suppressed("practice_number")],
    ),
    "G03 the practice's own number as alternate": (
        by_phone(alternate_phone="+16172539999"),
        [suppressed("bad_address")],
    ),
    "G04 a number of another patient": (
        by_phone(lambda bed: bed.contact(contact_id="C2", phone=NEW_E164)),
        [suppressed("shared_number")],
    ),
    "G06 already called today": (by_phone(called(2)), [suppressed("too_many")]),
    "G06 three calls this week": (by_phone(called(30, 54, 78)), [suppressed("too_many")]),
    "G06 two calls this week": (by_phone(called(30, 54)), [TEXT]),
    "G06 calls of the week before": (by_phone(called(200, 210, 220)), [TEXT]),
}


@pytest.mark.parametrize("case", CASES)
def test_gate(bed: Bed, case: str) -> None:
    arrange, expected = CASES[case]
    arrange(bed)
    plan_messages(bed.con, RIVERSIDE, as_of=AS_OF)
    query = "select channel, address_kind, state, reason from sync.message where contact_id = 'C1' order by planned_at"
    assert bed.rows(query) == expected


def test_a_text_too_long_is_not_sent(bed: Bed) -> None:
    by_phone()(bed)
    plan_messages(bed.con, practice_with(name="Long " * 30), as_of=AS_OF)
    assert bed.rows("select reason from sync.message") == [("text_too_long",)]


@pytest.mark.parametrize(
    ("off", "arrange", "expected"),
    [
        pytest.param("email", stale(alternate_phone=NEW_E164), [TEXT], id="no email leaves texts"),
        pytest.param("email", stale(), [suppressed("channel_off")], id="no email and no other address"),
        pytest.param("sms", by_phone(), [suppressed("channel_off")], id="no texts"),
        pytest.param("sms", stale(), [EMAIL], id="no texts leaves email"),
    ],
)
def test_a_channel_that_is_off_carries_nothing(bed: Bed, off: str, arrange: Arrange, expected: list[object]) -> None:
    arrange(bed)
    plan_messages(bed.con, practice_with(messages={off: {"kind": "off"}}), as_of=AS_OF)
    assert bed.rows("select channel, address_kind, state, reason from sync.message") == expected


def test_a_dry_run_shows_the_words_and_sends_nothing(bed: Bed, tmp_path: Path) -> None:
    stale()(bed)
    plan_messages(bed.con, RIVERSIDE, as_of=AS_OF)
    assert show_messages(bed.con, RIVERSIDE, tmp_path, as_of=AS_OF) == 1
    (path,) = tmp_path.rglob("*.ndjson")
    assert path.relative_to(tmp_path) == Path("messages_dry_run/2026-03-02.ndjson")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (line,) = map(json.loads, path.read_text().splitlines())
    assert line["contact_id"] == "C1"
    assert line["subject"] == "Please confirm your phone number with Riverside Primary Care"
    assert "reply STOP" in line["text"]
    assert bed.rows("select state from sync.message") == [("planned",)]


def test_every_night_of_a_dry_run_is_the_first_try(bed: Bed, tmp_path: Path) -> None:
    stale()(bed)
    for day in range(3):
        as_of = AS_OF + timedelta(days=day)
        bed.clock(as_of)
        plan_messages(bed.con, RIVERSIDE, as_of=as_of)
        assert show_messages(bed.con, RIVERSIDE, tmp_path, as_of=as_of) == 1
    assert bed.rows("select try_number, state from sync.message") == [(1, "planned")]


def nights(bed: Bed, outbox: Path, days: Iterable[int]) -> list[int]:
    """Plans and sends night after night; the days on which a message left."""
    sent = []
    for day in days:
        as_of = AS_OF + timedelta(days=day)
        bed.clock(as_of)
        plan_messages(bed.con, RIVERSIDE, as_of=as_of)
        if write_messages(bed.con, RIVERSIDE, outbox, as_of=as_of):
            sent.append(day)
    return sent


def test_three_tries_a_week_apart_and_then_no_more(bed: Bed, tmp_path: Path) -> None:
    stale()(bed)
    assert nights(bed, tmp_path, [0, 1, 6, 7, 13, 14, 20, 21, 22]) == [0, 7, 14]
    assert bed.rows("select try_number, state, reason from sync.message order by planned_at") == [
        (1, "sent", None),
        (2, "sent", None),
        (3, "sent", None),
        (4, "suppressed", "tries_exhausted"),
    ]


def test_a_new_number_gets_new_tries(bed: Bed, tmp_path: Path) -> None:
    stale()(bed)
    nights(bed, tmp_path, [0, 7, 14, 19])
    bed.con.execute("update staging.crm_contact set phone_since = ?", [AS_OF + timedelta(days=20)])
    assert nights(bed, tmp_path, [20, 26, 27, 34, 41]) == [20, 27, 34]


def test_a_reason_is_noted_once_while_it_lasts(bed: Bed, tmp_path: Path) -> None:
    stale(is_active=False)(bed)
    nights(bed, tmp_path, range(3))
    assert bed.rows("select reason from sync.message") == [("inactive",)]


def test_an_opt_out_after_planning_is_honoured(bed: Bed, tmp_path: Path) -> None:
    stale()(bed)
    plan_messages(bed.con, RIVERSIDE, as_of=AS_OF)
    stopped("email")(bed)
    assert nights(bed, tmp_path, range(1, 3)) == []
    assert bed.rows("select state, reason from sync.message") == [("suppressed", "opted_out")]


def test_a_line_names_the_contact_and_no_address(bed: Bed, tmp_path: Path) -> None:
    stale()(bed)
    nights(bed, tmp_path, range(1))
    (path,) = (tmp_path / "messages").iterdir()
    assert path.name == "2026-03-02.ndjson"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    ((message_id,),) = bed.rows("select message_id from sync.message")
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {
            "message_id": message_id,
            "contact_id": "C1",
            "channel": "email",
            "address_kind": "email",
            "template": "confirm_phone_email",
            "sent_at": "2026-03-02T15:00:00+00:00",
        }
    ]


def test_a_rerun_sends_the_same_and_a_replay_nothing(bed: Bed, tmp_path: Path) -> None:
    stale()(bed)
    nights(bed, tmp_path, [0, 3, 7])
    first = {path.name: path.read_bytes() for path in (tmp_path / "messages").iterdir()}
    ledger = bed.rows("from sync.message order by message_id")
    assert nights(bed, tmp_path, [3, 7]) == []
    assert {path.name: path.read_bytes() for path in (tmp_path / "messages").iterdir()} == first
    assert bed.rows("from sync.message order by message_id") == ledger


def test_the_file_of_a_day_keeps_what_an_earlier_pass_sent(bed: Bed, tmp_path: Path) -> None:
    stale()(bed)
    nights(bed, tmp_path, range(1))
    bed.contact(contact_id="C2")
    bed.status("C2", phone_state="stale", phone_reason="missing")
    later = AS_OF + timedelta(hours=1)
    bed.clock(later)
    plan_messages(bed.con, RIVERSIDE, as_of=later)
    assert write_messages(bed.con, RIVERSIDE, tmp_path, as_of=later) == 1
    lines = (tmp_path / "messages" / "2026-03-02.ndjson").read_text().splitlines()
    assert [json.loads(line)["contact_id"] for line in lines] == ["C1", "C2"]


def test_a_night_pass_waits_for_the_morning(bed: Bed, tmp_path: Path) -> None:
    stale()(bed)
    night = datetime(2026, 3, 3, 7, 0, tzinfo=UTC)
    bed.clock(night)
    plan_messages(bed.con, RIVERSIDE, as_of=night)
    write_messages(bed.con, RIVERSIDE, tmp_path, as_of=night)
    assert bed.rows("select planned_at, sent_at from sync.message") == [(night, night.replace(hour=14))]


def test_a_ledger_of_years_ago_is_kept_and_gets_what_it_lacks() -> None:
    con = duckdb.connect()
    con.execute("create schema sync")
    con.execute(
        "create table sync.message (message_id varchar, contact_id varchar, channel varchar, address_kind varchar,"
        " template varchar, try_number integer, state varchar, reason varchar, planned_at timestamptz,"
        " sent_at timestamptz)"
    )
    con.execute("insert into sync.message (message_id, state) values ('m1', 'sent')")
    for _ in range(2):
        create_tables(con)
    assert con.execute("select message_id, state, provider, cost_usd from sync.message").fetchall() == [
        ("m1", "sent", None, None)
    ]


OPENINGS = {
    "at the first minute": ("2026-03-02 09:00", "2026-03-02 09:00"),
    "a minute before": ("2026-03-02 08:59", "2026-03-02 09:00"),
    "at the last minute": ("2026-03-02 19:59", "2026-03-02 19:59"),
    "a minute after": ("2026-03-02 20:00", "2026-03-03 09:00"),
    "the night the clocks go forward": ("2026-03-07 22:00", "2026-03-08 09:00"),
    "the night the clocks go back": ("2026-10-31 22:00", "2026-11-01 09:00"),
}


@pytest.mark.parametrize("case", OPENINGS)
def test_hours(case: str) -> None:
    at, opening = (datetime.fromisoformat(text).replace(tzinfo=NEW_YORK) for text in OPENINGS[case])
    assert next_opening(at, zone=NEW_YORK, from_hour=9, to_hour=20) == opening


@given(at=st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_an_opening_is_within_hours_and_within_a_day(at: datetime) -> None:
    opening = next_opening(at, zone=NEW_YORK, from_hour=9, to_hour=20)
    assert 9 <= opening.astimezone(NEW_YORK).hour < 20
    assert timedelta() <= opening - at < timedelta(hours=15)


CLINICAL = (
    "diabet",
    "cancer",
    "hiv",
    "test result",
    "lab",
    "medication",
    "diagnos",
    "treatment",
    "appointment",
    "care",
)


@pytest.mark.parametrize("template", ["confirm_phone_email", "confirm_phone_sms"])
def test_g07_g08_a_message_names_the_practice_and_nothing_clinical(template: Template) -> None:
    body = render(template, practice_with(name="Riverside"))
    text = f"{body.subject or ''} {body.text}"
    assert all(word in text for word in ("Riverside", "(617) 253-9999", "STOP"))
    assert not [word for word in CLINICAL if word in text.lower()]


def test_g07_a_text_is_short() -> None:
    assert len(render("confirm_phone_sms", RIVERSIDE).text) <= SMS_LIMIT


def test_a_practice_may_use_words_of_its_own() -> None:
    own = {
        "reengagement": {"templates": {"confirm_phone_sms": {"text": "{practice} here, is this you? STOP ends it."}}}
    }
    assert render("confirm_phone_sms", practice_with(policies=load_policies(own))).text == (
        "Riverside Primary Care here, is this you? STOP ends it."
    )
    assert render("confirm_phone_email", practice_with(policies=load_policies(own))).subject


@pytest.mark.parametrize(
    ("template", "told"),
    [
        pytest.param({"text": "{practice}: hello {first_name}, STOP"}, "allowed: {practice} and {phone}", id="a name"),
        pytest.param({"text": "{practice.policies} STOP"}, "allowed: {practice} and {phone}", id="an attribute"),
        pytest.param({"text": "{} {practice} STOP"}, "allowed: {practice} and {phone}", id="a number of a place"),
        pytest.param({"text": "{practice STOP"}, "brace that is not closed", id="an open brace"),
        pytest.param({"text": "{practice}: call {phone}"}, "STOP ends it", id="no way to stop"),
        pytest.param({"text": "call {phone}, STOP"}, "must say who writes", id="nobody's name"),
    ],
)
def test_words_that_say_more_or_less_are_refused(template: dict[str, str], told: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(told)):
        load_policies({"reengagement": {"templates": {"confirm_phone_sms": template}}})


def test_hours_that_never_begin_are_refused() -> None:
    with pytest.raises(ValidationError, match="must come before quiet_from_hour"):
        load_policies({"reengagement": {"quiet_from_hour": 9, "quiet_to_hour": 20}})
