"""The scorer on a hand-made practice of single contacts."""

import datetime as dt

import pytest

from hygiene_pipeline.demo.contacts import COLUMNS
from hygiene_pipeline.demo.score import Change, Flag, deviates, harms, has_evidence, score
from hygiene_pipeline.demo.truth import Evidence, NumberEvidence, Truth

AS_OF = dt.datetime(2026, 1, 5, 7, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
RIGHT, OLD = "+16172048831", "+16172048832"
POLICY = "BSBMA|XXP123"


def truth(**values: str | None) -> Truth:
    made = Truth()
    known: dict[str, str | None] = {
        "phone": RIGHT, "line_type": "mobile", "policy": POLICY, "care_status": "active", "segments": "diabetes",
        "referring_provider_npi": "1941000001", "insurance_status": "active", "insurance_member_id": "XXP-123",
    }  # fmt: skip
    for name, value in (known | values).items():
        made.set("C1", name, value, AS_OF - 100 * DAY)
    return made


def row(**values: str) -> dict[str, str | None]:
    right = {
        "contact_id": "C1", "phone": "(617) 204-8831", "insurance_payer_id": "BSBMA", "insurance_member_id": "xxp 123",
        "insurance_status": "active", "care_status": "active", "segments": "diabetes;newsletter",
        "referring_provider_npi": "1941000001", "preferred_channel": "sms", "sms_opt_out": "false", "is_active": "true",
    }  # fmt: skip
    return dict.fromkeys(COLUMNS, "") | right | values


def show(
    made: Truth, detector: str, verdict: str, value: str, confirmed_days_ago: int = 10, source: str = "pm"
) -> Truth:
    made.show(
        Evidence(
            contact_id="C1", detector=detector, verdict=verdict, value=value,
            confirmed_at=AS_OF - confirmed_days_ago * DAY, known_at=AS_OF - DAY / 24, source=source,
        )
    )  # fmt: skip
    return made


def looked_up(made: Truth, number: str, verdict: str) -> Truth:
    at = AS_OF - DAY
    made.answer(NumberEvidence(number=number, verdict=verdict, checked_at=at, known_at=at))
    return made


DEVIATIONS = {
    "a contact that agrees deviates in nothing": ("phone", {}, {}, False),
    "another number deviates": ("phone", {"phone": "617-204-8832"}, {}, True),
    "no number deviates": ("phone", {"phone": ""}, {}, True),
    "a landline that gets texts deviates": ("phone", {}, {"line_type": "landline"}, True),
    "a landline that gets calls does not": ("phone", {"preferred_channel": "call"}, {"line_type": "landline"}, False),
    "member ids are compared without punctuation": ("insurance", {"insurance_member_id": "XXP-12 3"}, {}, False),
    "another payer deviates": ("insurance", {"insurance_payer_id": "AETN6"}, {}, True),
    "active without cover deviates": ("insurance", {}, {"policy": ""}, True),
    "lapsed without cover does not": ("insurance", {"insurance_status": "lapsed"}, {"policy": ""}, False),
    "to be verified although covered deviates": ("insurance", {"insurance_status": "verify_required"}, {}, True),
    "an older care status deviates": ("care", {"care_status": "completed"}, {}, True),
    "a missing condition segment deviates": ("care", {"segments": "newsletter"}, {}, True),
    "segments of the CRM's own do not matter": ("care", {"segments": "wellness_class;diabetes"}, {}, False),
    "another referring provider deviates": ("referring_provider", {"referring_provider_npi": "1941000009"}, {}, True),
    "a relationship that is over deviates": ("referring_provider", {}, {"referring_provider_npi": None}, True),
}


@pytest.mark.parametrize("sentence", DEVIATIONS, ids=str)
def test_deviation(sentence: str) -> None:
    detector, fields, values, expected = DEVIATIONS[sentence]
    assert deviates(detector, row(**fields), truth(**values), AS_OF) is expected


def test_a_placeholder_is_evidence_of_itself() -> None:
    assert has_evidence("phone", row(phone="123-456-7890"), truth(), AS_OF)


def test_a_live_wrong_number_that_nobody_contradicts_has_no_evidence() -> None:
    assert not has_evidence("phone", row(phone=OLD), truth(), AS_OF)


def test_a_carrier_answer_is_evidence_only_of_its_number() -> None:
    made = looked_up(truth(), OLD, "not")
    assert has_evidence("phone", row(phone=OLD), made, AS_OF)
    assert not has_evidence("phone", row(phone="617-204-8833"), made, AS_OF)


def test_the_latest_carrier_answer_counts() -> None:
    made = looked_up(truth(), OLD, "not")
    made.answer(NumberEvidence(number=OLD, verdict="ok", checked_at=AS_OF - DAY / 2, known_at=AS_OF - DAY / 2))
    assert not has_evidence("phone", row(phone=OLD), made, AS_OF)


def test_a_later_confirmed_number_is_evidence_unless_the_crm_verified_after_it() -> None:
    made = show(truth(), "phone", "is", RIGHT, confirmed_days_ago=10)
    assert has_evidence("phone", row(phone=OLD), made, AS_OF)
    verified = (AS_OF - 5 * DAY).isoformat()
    assert not has_evidence("phone", row(phone=OLD, last_phone_verified=verified), made, AS_OF)


def test_evidence_that_came_after_the_night_does_not_count() -> None:
    made = show(truth(), "phone", "is", RIGHT)
    assert not has_evidence("phone", row(phone=OLD), made, AS_OF - DAY)


def test_an_inactive_answer_is_evidence_against_an_active_policy() -> None:
    made = show(truth(policy=""), "insurance", "not", POLICY)
    assert has_evidence("insurance", row(), made, AS_OF)
    assert not has_evidence("insurance", row(insurance_status="lapsed"), made, AS_OF)


def test_scores_count_hits_false_alarms_and_misses_with_and_without_evidence() -> None:
    made = looked_up(truth(), OLD, "not")
    for number, phone in (("C2", RIGHT), ("C3", RIGHT), ("C4", RIGHT)):
        for name in ("line_type", "policy", "care_status", "segments", "referring_provider_npi"):
            made.set(number, name, made.at("C1", name, AS_OF), AS_OF - 100 * DAY)
        made.set(number, "phone", phone, AS_OF - 100 * DAY)
    contacts = [
        row(phone=OLD),
        row(contact_id="C2"),
        row(contact_id="C3", phone=OLD),
        row(contact_id="C4", phone="617-204-8833"),
    ]
    flags = [
        Flag(contact_id="C1", field="phone", state="stale", reason="disconnected"),
        Flag(contact_id="C2", field="phone", state="stale", reason="superseded"),
        Flag(contact_id="C3", field="phone", state="unverified", reason="never_verified"),
    ]
    phone = score(flags, contacts, made, as_of=AS_OF)["phone"]
    assert (phone.true_positives, phone.false_positives, phone.false_negatives, phone.unseen) == (1, 1, 2, 1)
    assert phone.precision == 0.5
    assert phone.recall == pytest.approx(1 / 3)
    assert phone.recall_with_evidence == 0.5


def test_a_detector_without_deviations_has_no_precision() -> None:
    assert score([], [row()], truth(), as_of=AS_OF)["care"].precision is None


def test_phones_of_the_dead_are_not_counted() -> None:
    scored = score([], [row(phone=OLD, care_status="active")], truth(care_status="deceased"), as_of=AS_OF)
    assert scored["phone"].false_negatives == 0
    assert scored["care"].false_negatives == 1


HARMS = {
    "a true number replaced by an old one is harm": ("phone", "617-204-8831", OLD, True),
    "a true number written differently is not": ("phone", "617-204-8831", RIGHT, False),
    "an old number replaced by the true one is not": ("phone", OLD, RIGHT, False),
    "one wrong number for another is not": ("phone", OLD, "+16172048833", False),
    "a true member id without its punctuation is not": ("insurance_member_id", "XXP-123", "XXP123", False),
    "an active policy marked as lapsed is harm": ("insurance_status", "active", "verify_required", True),
    "a true care status replaced is harm": ("care_status", "active", "completed", True),
    "dropping a true segment is harm": ("segments", "diabetes;newsletter", "newsletter", True),
    "dropping another segment is not": ("segments", "diabetes;newsletter", "diabetes", False),
    "a field the truth does not know cannot be harmed": ("owner", "a", "b", False),
}


@pytest.mark.parametrize("sentence", HARMS, ids=str)
def test_harm(sentence: str) -> None:
    field, old, new, expected = HARMS[sentence]
    change = Change(contact_id="C1", field=field, old=old, new=new, at=AS_OF)
    assert (harms([change], truth()) == [change]) is expected


def test_what_was_not_yet_true_cannot_be_harmed() -> None:
    made = truth()
    made.set("C1", "phone", OLD, AS_OF + DAY)
    later = Change(contact_id="C1", field="phone", old=OLD, new=RIGHT, at=AS_OF)
    assert harms([later], made) == []


def test_an_unsettled_insurance_status_cannot_be_harmed() -> None:
    change = Change(contact_id="C1", field="insurance_status", old="active", new="verify_required", at=AS_OF)
    assert harms([change], truth(insurance_status=None)) == []
