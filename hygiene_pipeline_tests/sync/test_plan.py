"""Which verdicts and decisions become a planned change of which field, and which never do."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from hygiene_pipeline.sync.outbox import plan_changes
from hygiene_pipeline_tests.sync.bed import AS_OF, EARLIER, NEW_E164, OLD_E164, OLD_PHONE, Bed

Arrange = Callable[[Bed], None]


@pytest.fixture(scope="module")
def shared_bed() -> Bed:
    return Bed()


@pytest.fixture
def bed(shared_bed: Bed) -> Bed:
    shared_bed.empty()
    shared_bed.policy("auto")
    return shared_bed


def stale_phone(reason: str = "superseded", **contact: object) -> Arrange:
    def arrange(bed: Bed) -> None:
        bed.contact(**contact)
        bed.status(phone_state="stale", phone_reason=reason)

    return arrange


def verdict(**columns: object) -> Arrange:
    def arrange(bed: Bed) -> None:
        bed.contact()
        bed.status(**columns)

    return arrange


def then(*steps: Arrange) -> Arrange:
    def arrange(bed: Bed) -> None:
        for step in steps:
            step(bed)

    return arrange


def decides(field: str, value: str | None, **columns: object) -> Arrange:
    return lambda bed: bed.decision(field, value, **columns)  # type: ignore[arg-type]


def replies(kind: str, value: str, days_ago: int = 1) -> Arrange:
    return lambda bed: bed.insert(
        "staging.reply",
        contact_id="C1",
        kind=kind,
        value=value,
        received_at=AS_OF - timedelta(days=days_ago),
        evidence_ref="reply/1",
    )


mismatch = verdict(insurance_state="stale", insurance_reason="payer_mismatch")
CONFIRMED = "2026-02-28T15:00:00Z"

CASES: dict[str, tuple[Arrange, dict[str, tuple[str | None, str]]]] = {
    "a superseded phone becomes the confirmed one": (
        then(stale_phone(), decides("phone", NEW_E164)),
        {"phone": (OLD_PHONE, NEW_E164)},
    ),
    "a patient's new phone comes with the time of the confirmation": (
        then(stale_phone(), decides("phone", NEW_E164, source="patient")),
        {"phone": (OLD_PHONE, NEW_E164), "last_phone_verified": (None, CONFIRMED)},
    ),
    "a missing phone is filled": (
        then(stale_phone("missing", phone=None, phone_raw=None, phone_digits=None), decides("phone", NEW_E164)),
        {"phone": (None, NEW_E164)},
    ),
    "a phone that is not stale stays": (
        then(verdict(phone_state="unverified", phone_reason="never_verified"), decides("phone", NEW_E164)),
        {},
    ),
    "a number nobody confirmed does not replace one": (
        then(stale_phone(), decides("phone", NEW_E164, decided_confirmed_at=None)),
        {},
    ),
    "a decided number that is no number is not written": (then(stale_phone(), decides("phone", "call mom")), {}),
    "the same number written differently is no change": (then(stale_phone(), decides("phone", OLD_E164)), {}),
    "the CRM's own number is no correction": (then(stale_phone(), decides("phone", NEW_E164, source="crm")), {}),
    "a confirmed number gets its verification date": (
        then(verdict(phone_state="current"), replies("confirm_phone", OLD_E164)),
        {"last_phone_verified": (None, "2026-03-01T15:00:00Z")},
    ),
    "the latest confirmation counts": (
        then(verdict(), replies("confirm_phone", OLD_E164, 9), replies("confirm_phone", OLD_E164, 3)),
        {"last_phone_verified": (None, "2026-02-27T15:00:00Z")},
    ),
    "a confirmation of another number verifies nothing": (then(verdict(), replies("confirm_phone", NEW_E164)), {}),
    "a confirmed number that is being replaced is not verified": (
        then(stale_phone(), decides("phone", NEW_E164), replies("confirm_phone", OLD_E164)),
        {"phone": (OLD_PHONE, NEW_E164)},
    ),
    "an inactive coverage is to be verified": (
        verdict(insurance_reason="coverage_inactive", insurance_evidence_ref="271/1", insurance_evidence_at=EARLIER),
        {"insurance_status": ("active", "verify_required")},
    ),
    "an unknown subscriber is to be verified": (
        verdict(insurance_reason="subscriber_not_found"),
        {"insurance_status": ("active", "verify_required")},
    ),
    "a terminated coverage has lapsed": (
        verdict(insurance_reason="coverage_terminated"),
        {"insurance_status": ("active", "lapsed")},
    ),
    "a payer that could not answer changes nothing": (verdict(insurance_reason="payer_error"), {}),
    "payer and member id come from the PM": (
        then(
            mismatch,
            decides("insurance_payer_id", "P2"),
            decides("insurance_payer", "Payer Two"),
            decides("insurance_member_id", "XYZ"),
        ),
        {
            "insurance_payer_id": ("P1", "P2"),
            "insurance_payer": ("Payer One", "Payer Two"),
            "insurance_member_id": ("ABC123", "XYZ"),
        },
    ),
    "a member id differing in case and dashes is the same": (
        then(mismatch, decides("insurance_member_id", "abc-12 3")),
        {},
    ),
    "a payer without a verdict of mismatch stays": (then(verdict(), decides("insurance_payer_id", "P2")), {}),
    "an EHR's word on insurance is not the PM's": (
        then(mismatch, decides("insurance_payer_id", "P2", source="ehr")),
        {},
    ),
    "an outdated care status becomes the EHR's": (
        then(
            verdict(care_state="stale", care_reason="outdated_status"),
            decides("care_status", "discharged", source="ehr"),
        ),
        {"care_status": ("active", "discharged")},
    ),
    "a death is marked": (
        verdict(care_state="stale", care_reason="deceased_not_marked"),
        {"care_status": ("active", "deceased")},
    ),
    "segments are joined in order": (
        then(
            verdict(care_state="stale", care_reason="wrong_segment"),
            decides("segments", "hypertension; asthma;asthma", source="ehr"),
        ),
        {"segments": ("diabetes", "asthma;hypertension")},
    ),
    "an empty list of segments is a value": (
        then(verdict(care_state="stale", care_reason="wrong_segment"), decides("segments", "", source="ehr")),
        {"segments": ("diabetes", "")},
    ),
    "no word on segments is none": (
        then(verdict(care_state="stale", care_reason="wrong_segment"), decides("segments", None, source="ehr")),
        {},
    ),
    "segments in sync stay": (then(verdict(care_state="current"), decides("segments", "asthma", source="ehr")), {}),
    "an opt-out anywhere is an opt-out": (
        then(verdict(), decides("sms_opt_out", "true", source="patient")),
        {"sms_opt_out": ("false", "true")},
    ),
    "an opt-out is never taken back": (
        then(
            lambda bed: bed.contact(email_opt_out=True),
            lambda bed: bed.status(),
            decides("email_opt_out", "false", source="ehr"),
        ),
        {},
    ),
    "a name differing in spaces is the same": (then(verdict(), decides("first_name", "  Ana ")), {}),
    "a name differing in case is corrected": (
        then(verdict(), decides("first_name", "ANA")),
        {"first_name": ("Ana", "ANA")},
    ),
    "an address differing in case is the same": (then(verdict(), decides("address_line", "1 MAIN  ST")), {}),
    "another spelling of the same address is no change": (
        then(verdict(), decides("address_line", "1 Main Street", is_conflict=False)),
        {},
    ),
    "a gap that nobody disputes is filled": (
        then(
            lambda bed: bed.contact(city=None),
            lambda bed: bed.status(),
            decides("city", "Salem", is_conflict=False),
        ),
        {"city": (None, "Salem")},
    ),
    "a birth date is corrected": (
        then(verdict(), decides("birth_date", "1970-03-02", source="ehr")),
        {"birth_date": ("1970-02-03", "1970-03-02")},
    ),
    "a missing value never replaces one": (then(verdict(), decides("city", None)), {}),
    "a blank value never replaces one": (then(verdict(), decides("city", "  ")), {}),
    "an email nobody confirmed does not replace one": (
        then(verdict(), decides("email", "a@example.org", decided_confirmed_at=None)),
        {},
    ),
    "an email nobody confirmed fills a gap": (
        then(
            lambda bed: bed.contact(email=None),
            lambda bed: bed.status(),
            decides("email", "a@example.org", decided_confirmed_at=None),
        ),
        {"email": (None, "a@example.org")},
    ),
    "a referring provider is left to a person": (then(verdict(), decides("referring_provider_npi", "1999999992")), {}),
    "a contact the CRM does not have is not made": (decides("city", "Salem"), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_planned(bed: Bed, case: str) -> None:
    arrange, expected = CASES[case]
    arrange(bed)
    plan_changes(bed.con, as_of=AS_OF)
    assert bed.planned() == {("C1", field): change for field, change in expected.items()}


@pytest.mark.parametrize("write", ["review", "never"])
def test_a_field_that_policy_does_not_write_is_not_planned(bed: Bed, write: str) -> None:
    bed.policy(write, "city")
    then(verdict(), decides("city", "Salem"), decides("postal_code", "01970"))(bed)
    plan_changes(bed.con, as_of=AS_OF)
    assert set(bed.planned()) == {("C1", "postal_code")}


@pytest.mark.parametrize(
    ("since", "is_own", "reason", "is_written"),
    [
        pytest.param(None, False, "outdated_status", True, id="nobody is known to have set it"),
        pytest.param(timedelta(hours=-9), False, "outdated_status", True, id="set before the event"),
        pytest.param(timedelta(hours=2), False, "outdated_status", False, id="a person set it after the event"),
        pytest.param(timedelta(hours=2), True, "outdated_status", True, id="a sync wrote it after the event"),
        pytest.param(timedelta(hours=2), False, "deceased_not_marked", True, id="a death always counts"),
    ],
)
def test_a_care_status_that_a_person_set_after_the_event_is_theirs(
    bed: Bed, since: timedelta | None, is_own: bool, reason: str, is_written: bool
) -> None:
    bed.contact()
    bed.status(care_state="stale", care_reason=reason, care_evidence_ref="CarePlan/1", care_evidence_at=EARLIER)
    bed.decision("care_status", "deceased" if reason == "deceased_not_marked" else "discharged", source="ehr")
    set_at = EARLIER + since if since else None
    bed.insert("reconciled.crm_value_since", contact_id="C1", care_since=set_at)
    if is_own:
        bed.insert(
            "sync.crm_change", change_id="x", contact_id="C1", field="care_status", state="applied", applied_at=set_at
        )
    plan_changes(bed.con, as_of=AS_OF)
    assert bool(bed.rows("select 1 from sync.crm_change where state = 'planned'")) is is_written


@pytest.mark.parametrize(
    ("since", "is_own", "is_written"),
    [
        pytest.param(None, False, True, id="nobody is known to have set it"),
        pytest.param(timedelta(hours=-9), False, True, id="set before the answer"),
        pytest.param(timedelta(hours=2), False, False, id="a person set it after the answer"),
        pytest.param(timedelta(hours=2), True, True, id="a sync wrote it after the answer"),
    ],
)
def test_an_insurance_status_that_a_person_set_after_the_answer_is_theirs(
    bed: Bed, since: timedelta | None, is_own: bool, is_written: bool
) -> None:
    bed.contact()
    bed.status(insurance_reason="coverage_inactive", insurance_evidence_ref="271/1", insurance_evidence_at=EARLIER)
    set_at = EARLIER + since if since else None
    bed.insert("reconciled.crm_value_since", contact_id="C1", insurance_since=set_at)
    if is_own:
        written = {"change_id": "x", "contact_id": "C1", "field": "insurance_status", "state": "applied"}
        bed.insert("sync.crm_change", **written, applied_at=set_at)
    plan_changes(bed.con, as_of=AS_OF)
    assert bool(bed.rows("select 1 from sync.crm_change where state = 'planned'")) is is_written


def test_a_change_says_why_and_since_when(bed: Bed) -> None:
    bed.contact()
    bed.status(
        care_state="stale", care_reason="outdated_status", care_evidence_ref="ADT^A03/1", care_evidence_at=EARLIER
    )
    bed.decision("care_status", "discharged", source="ehr")
    bed.insert("identity.patient_link", source="ehr", source_id="E1", patient_id="P-C1")
    happened, received = EARLIER - timedelta(hours=5), EARLIER - timedelta(hours=1)
    bed.insert(
        "staging.ehr_care_event",
        ehr_patient_id="E1",
        event_id="1",
        event_at=happened,
        received_at=received,
        evidence_ref="ADT^A03/1",
        is_cancelled=False,
    )
    plan_changes(bed.con, as_of=AS_OF)
    query = "select reason, evidence_ref, event_at, evidence_at, planned_at, attempts from sync.crm_change"
    assert bed.rows(query) == [("outdated_status", "ADT^A03/1", happened, received, AS_OF, 0)]


class TestLedger:
    """Planning night after night."""

    def city(self, bed: Bed, value: str) -> None:
        bed.con.execute("delete from reconciled.field_decision")
        bed.decision("city", value)

    def states(self, bed: Bed) -> list[tuple[str, str, bool]]:
        query = "select new_value, state, planned_at = ? from sync.crm_change order by planned_at, new_value"
        return bed.rows(query, AS_OF)  # type: ignore[return-value]

    @pytest.fixture(autouse=True)
    def _first_night(self, bed: Bed) -> None:
        verdict()(bed)
        self.city(bed, "Salem")
        plan_changes(bed.con, as_of=AS_OF)

    def test_planning_twice_is_planning_once(self, bed: Bed) -> None:
        before = bed.rows("from sync.crm_change")
        assert plan_changes(bed.con, as_of=AS_OF).new == 0
        assert bed.rows("from sync.crm_change") == before

    def test_a_change_still_waiting_is_kept_the_next_night(self, bed: Bed) -> None:
        assert plan_changes(bed.con, as_of=AS_OF + timedelta(days=1)).new == 0
        assert self.states(bed) == [("Salem", "planned", True)]

    def test_a_change_no_longer_wanted_is_settled(self, bed: Bed) -> None:
        self.city(bed, "Lynn")
        assert plan_changes(bed.con, as_of=AS_OF + timedelta(days=1)).dropped == 1
        assert self.states(bed) == [("Salem", "conflict", True), ("Lynn", "planned", False)]

    def test_a_change_decided_on_another_value_is_decided_anew(self, bed: Bed) -> None:
        bed.con.execute("update staging.crm_contact set city = 'Quincy'")
        plan_changes(bed.con, as_of=AS_OF + timedelta(days=1))
        assert self.states(bed) == [("Salem", "conflict", True), ("Salem", "planned", False)]

    def test_a_change_dropped_and_wanted_again_comes_back(self, bed: Bed) -> None:
        for night, city in enumerate(["Lynn", "Salem"], start=1):
            self.city(bed, city)
            plan_changes(bed.con, as_of=AS_OF + timedelta(days=night))
        assert [state for value, state, _ in self.states(bed) if value == "Salem"] == ["conflict", "planned"]

    def test_a_replay_of_an_older_night_drops_nothing(self, bed: Bed) -> None:
        self.city(bed, "Lynn")
        plan_changes(bed.con, as_of=AS_OF - timedelta(days=1))
        assert ("Salem", "planned", True) in self.states(bed)
