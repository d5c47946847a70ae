"""What a 271 says about whom, in tidy files and in files as they are."""

from zoneinfo import ZoneInfo

import pytest

from hygiene_pipeline.pm.protocol import EligibilityAnswer, Unusable
from hygiene_pipeline.pm.x12_271 import read_271
from hygiene_pipeline.policies.load import load_policies
from hygiene_pipeline_tests.pm.interchange import (
    BHT,
    ISA,
    PAYER,
    PROVIDER,
    SUBSCRIBER,
    enclosed,
    interchange,
    subscriber,
    transaction,
)

ZONE = ZoneInfo("America/New_York")
DEPENDENT = ("HL*4*3*23*0", "TRN*2*T-2*9CLINIC000", "NM1*03*1*ROE*TIM")


def read(text: str) -> tuple[list[EligibilityAnswer], list[Unusable]]:
    read = list(read_271(text, outcomes=load_policies().x12_outcomes, timezone=ZONE))
    return [each for each in read if isinstance(each, EligibilityAnswer)], [
        each for each in read if isinstance(each, Unusable)
    ]


def one(text: str) -> EligibilityAnswer:
    answers, unusable = read(text)
    assert (len(answers), unusable) == (1, [])
    return answers[0]


def test_an_answer_about_a_subscriber():
    text = interchange(subscriber("REF*EJ*P-77", "DTP*346*D8*20260101", "DTP*347*D8*20261231", "EB*1**30"))
    assert one(text) == EligibilityAnswer(
        position=9,
        check_id="T-1",
        pm_patient_id="P-77",
        payer_id="12345",
        payer_name="ACME HEALTH",
        member_id="M100",
        checked_at="2026-03-01T04:30:00+00:00",
        result="active",
        message="EB 1: active coverage",
        plan_begin="2026-01-01",
        plan_end="2026-12-31",
        source_format="x12",
        evidence_ref="271/000000001/0001/9",
    )


def test_an_answer_about_a_dependent_has_the_subscribers_member_id():
    answer = one(interchange(transaction(*SUBSCRIBER, *DEPENDENT, "EB*6**30")))
    assert (answer.check_id, answer.member_id, answer.result) == ("T-2", "M100", "inactive")


def test_subscriber_and_dependent_may_both_be_answered():
    answers, _ = read(interchange(transaction(*SUBSCRIBER, "EB*1**30", *DEPENDENT, "EB*6**30")))
    assert [(each.check_id, each.result) for each in answers] == [("T-1", "active"), ("T-2", "inactive")]


def test_a_batch_of_subscribers_under_two_payers():
    other = ("HL*4**20*1", "NM1*PR*2*OTHER*****PI*999", "HL*5*4*21*1", "HL*6*5*22*0", "NM1*IL*1*DOE*****MI*M200")
    answers, _ = read(interchange(transaction(*SUBSCRIBER, "EB*1**30", *other, "EB*6**30")))
    assert [(each.payer_id, each.member_id, each.check_id) for each in answers] == [
        ("12345", "M100", "T-1"),
        ("999", "M200", "REF-9"),
    ]


REJECTIONS = {
    "of the payer, naming nobody": (transaction("AAA*N**42*R"), None, "payer_error", "AAA 42 R (provider)"),
    "of the person": (subscriber("AAA*N**75*C"), "M100", "not_found", "AAA 75 C (subscriber)"),
    "of the person in a benefit": (subscriber("EB*1**33", "AAA*N**70*C"), "M100", "payer_error", "AAA 70 C (benefit)"),
    "of the inquiry, with the person listed": (
        enclosed("ST*271*1", BHT, *PAYER, "AAA*Y**80*R", *PROVIDER, *SUBSCRIBER),
        "M100",
        "payer_error",
        "AAA 80 R (payer)",
    ),
    "of the inquiry does not touch an answered person": (
        enclosed("ST*271*1", BHT, *PAYER, "AAA*Y**80*R", *SUBSCRIBER, "EB*1**30"),
        "M100",
        "active",
        "EB 1",
    ),
}


@pytest.mark.parametrize(("segments", "member", "result", "message"), REJECTIONS.values(), ids=REJECTIONS.keys())
def test_a_rejection(segments, member, result, message):
    answer = one(interchange(segments))
    assert (answer.member_id, answer.result, answer.message.split(":")[0]) == (member, result, message)


DETAILS = {
    "the payer's own trace serves": (("TRN*1*PAYERS*X",), "check_id", "T-1"),
    "a member id may come as reference": (("REF*1W*R100",), "member_id", "M100"),
    "names below a benefit are other entities": (
        ("EB*1**30", "LS*2120", "NM1*IL*1*X****MI*OTHER", "REF*EJ*P-9", "LE*2120"),
        "member_id",
        "M100",
    ),
    "a period of eligibility gives both ends": (("DTP*307*RD8*20260101-20261231",), "plan_end", "2026-12-31"),
    "a begin of eligibility": (("DTP*356*D8*20260115",), "plan_begin", "2026-01-15"),
    "a date that is not": (("DTP*346*D8*20260230",), "plan_begin", None),
    "a date of something else": (("DTP*442*D8*20260115",), "plan_begin", None),
    "a benefit's own end overrides the plan's": (
        ("DTP*347*D8*20261231", "EB*1**30", "DTP*349*D8*20260131"),
        "result",
        "inactive",
    ),
    "repeated service types": (("EB*6**1^30^33",), "result", "inactive"),
}


@pytest.mark.parametrize(("said", "field", "value"), DETAILS.values(), ids=DETAILS.keys())
def test_a_detail(said, field, value):
    ending = () if any(each.startswith("EB") for each in said) else ("EB*1**30",)
    assert getattr(one(interchange(subscriber(*said, *ending))), field) == value


GOOD = subscriber("EB*1**1^30")
WRAPPED = interchange(GOOD)
UNTIDY = {
    "newlines after segments": interchange(GOOD, end="~\n"),
    "CRLF after segments": interchange(GOOD, end="~\r\n"),
    "newlines instead of terminators": interchange(GOOD, end="\n"),
    "CRLF instead of terminators": interchange(GOOD, end="\r\n"),
    "bars and single quotes": interchange(GOOD, separator="|", end="'"),
    "control characters": interchange(GOOD, separator="\x1d", end="\x1c"),
    "another repetition separator": interchange(GOOD, repetition="!"),
    "wrapped at 80 columns": "\n".join(WRAPPED[i : i + 80] for i in range(0, len(WRAPPED), 80)),
    "an unpadded ISA": interchange(GOOD, isa="ISA*00**00**ZZ*P*ZZ*C*260301*0700*^*00501*1*0*P*:"),
    "empty segments": interchange(GOOD).replace("~", "~~ ~"),
    "no leading zeros in a trailer": interchange(GOOD, iea="IEA*1*1"),
    "no end after the last segment": interchange(GOOD)[:-1],
    "spaces around it": f"\n\n  {interchange(GOOD)}  \n",
    "no BHT but a time in GS": interchange(transaction(*SUBSCRIBER, "EB*1**30", bht="")),
}


@pytest.mark.parametrize("text", UNTIDY.values(), ids=UNTIDY.keys())
def test_an_untidy_file_is_read(text):
    answer = one(text)
    assert (answer.result, answer.member_id) == ("active", "M100")


def test_interchanges_of_one_file_have_their_own_delimiters():
    text = interchange(GOOD) + "\n" + interchange(GOOD, separator="|", end="\n", repetition="!") + interchange(GOOD)
    answers, unusable = read(text)
    assert ([each.result for each in answers], unusable) == (["active"] * 3, [])
    assert len({each.evidence_ref for each in answers}) == 3


CUT = interchange(GOOD).split("EB*")[0]
INACTIVE = subscriber("EB*6**30")
BROKEN = {
    "text that is no X12": ("Dear clinic, please find attached", [], [(1, "outside_interchange")]),
    "a mail header before it": (f"Subject: 271\n{interchange(GOOD)}", ["active"], [(1, "outside_interchange")]),
    "an ISA that ends early": (ISA[:60], [], [(1, "malformed_interchange")]),
    "a transaction cut off": (CUT, [], [(9, "truncated_transaction")]),
    "a transaction cut off before any person": (interchange(GOOD).split("HL*2")[0], [], [(3, "truncated_transaction")]),
    "the persons before the cut survive": (
        interchange(transaction(*SUBSCRIBER, "EB*1**30", "HL*4*2*22*0", "NM1*IL*1*X****MI*M2", "EB*1**3", se="")),
        ["active"],
        [(13, "truncated_transaction")],
    ),
    "the transactions after the cut survive": (
        interchange(GOOD[:-1], INACTIVE),
        ["inactive"],
        [(9, "truncated_transaction")],
    ),
    "the interchange after a cut one survives": (
        interchange(GOOD).split("**1^30")[0] + interchange(INACTIVE, end="\n"),
        ["inactive"],
        [(9, "truncated_transaction")],
    ),
    "a file cut between two transactions": (
        interchange(GOOD).split("GE*")[0],
        ["active"],
        [(13, "truncated_interchange")],
    ),
    "an interchange without its IEA, and one after it": (
        interchange(GOOD, iea="") + interchange(INACTIVE),
        ["active", "inactive"],
        [(14, "truncated_interchange")],
    ),
    "a group without its GE": (interchange(GOOD, ge=""), ["active"], [(2, "truncated_group")]),
    "a GE without its group": (
        interchange(GOOD).replace("~IEA", "~GE*1*1~IEA"),
        ["active"],
        [(15, "wrong_control_number")],
    ),
    "an SE that counts more segments than there are": (
        interchange([*subscriber("EB*1**30")[:-1], "SE*13*0001"], INACTIVE),
        ["inactive"],
        [(3, "wrong_segment_count")],
    ),
    "an SE that counts no segments": (
        interchange([*GOOD[:-1], "SE**0001"], INACTIVE),
        ["inactive"],
        [(3, "wrong_segment_count")],
    ),
    "an SE of another transaction that counts right": (
        interchange(transaction(*SUBSCRIBER, "EB*1**30", se="SE*11*0002"), INACTIVE),
        ["active", "inactive"],
        [(13, "wrong_control_number")],
    ),
    "the trailer and the header between two transactions lost": (
        interchange([*GOOD[:-1], *INACTIVE[1:]], GOOD, ge="GE*2*1"),
        ["active"],
        [(3, "wrong_segment_count")],
    ),
    "a GE that counts more transactions than there are": (
        interchange(GOOD, ge="GE*2*1"),
        ["active"],
        [(14, "wrong_count")],
    ),
    "a GE of another group": (interchange(GOOD, ge="GE*1*7"), ["active"], [(14, "wrong_control_number")]),
    "an IEA that counts more groups than there are": (
        interchange(GOOD, iea="IEA*2*000000001"),
        ["active"],
        [(15, "wrong_count")],
    ),
    "an IEA of another interchange": (
        interchange(GOOD, iea="IEA*1*000000002") + interchange(INACTIVE),
        ["active", "inactive"],
        [(15, "wrong_control_number")],
    ),
    "a segment longer than a library's buffer": (
        interchange(subscriber(f"MSG*{'X' * 9000}"), INACTIVE),
        ["inactive"],
        [(9, "no_answer")],
    ),
    "another transaction set": (
        interchange(["ST*999*0001", "AK9*A*1*1*1", "SE*3*0001"], GOOD),
        ["active"],
        [(3, "not_a_271")],
    ),
    "segments outside a transaction": (interchange(GOOD, ["EB*1**30"]), ["active"], [(14, "outside_transaction")]),
    "a person of whom nothing is said": (interchange(subscriber()), [], [(9, "no_answer")]),
    "a transaction that says nothing": (interchange(transaction()), [], [(3, "no_answer")]),
    "no time anywhere": (
        interchange(transaction(*SUBSCRIBER, "EB*1**30", bht="BHT*0022*11*R*20261332")).replace("*20260301*", "**"),
        [],
        [(3, "bad_timestamp")],
    ),
}


@pytest.mark.parametrize(("text", "results", "rejects"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_broken_is_quarantined_and_the_rest_survives(text, results, rejects):
    answers, unusable = read(text)
    assert [each.result for each in answers] == results
    assert [(each.position, each.reason) for each in unusable] == rejects
    assert all(each.original for each in unusable)


def test_what_is_kept_of_a_person_says_which_payer_was_asked():
    _, [unusable] = read(interchange(transaction(*SUBSCRIBER, "EB*1**30", "HL*4*2*22*0", "NM1*IL*1*X****MI*M2")))
    assert unusable.original.splitlines() == [
        "ST*271*0001", BHT, *PAYER, *PROVIDER, "HL*4*2*22*0", "NM1*IL*1*X****MI*M2",
    ]  # fmt: skip


LEVELS = {
    "before any loop": ("inquiry", ("AAA*N**42*R",), ()),
    "of the payer (2000A)": ("payer", (PAYER[0], "AAA*N**42*R"), ()),
    "of the payer's name (2100A)": ("payer", (*PAYER, "AAA*N**79*C"), ()),
    "of the provider (2100B)": ("provider", (*PAYER, *PROVIDER, "AAA*N**51*C"), ()),
    "of the subscriber (2100C)": ("subscriber", (*PAYER, *PROVIDER, *SUBSCRIBER, "AAA*N**72*C"), ("M100",)),
    "of the dependent (2100D)": (
        "dependent",
        (*PAYER, *PROVIDER, *SUBSCRIBER, *DEPENDENT, "AAA*N**77*C"),
        ("M100",),
    ),
    "of a benefit (2110C)": (
        "benefit",
        (*PAYER, *PROVIDER, *SUBSCRIBER, "EB*V**30", "AAA*N**56*C"),
        ("M100",),
    ),
    "of a dependent's benefit (2110D)": (
        "benefit",
        (*PAYER, *PROVIDER, *SUBSCRIBER, *DEPENDENT, "EB*V**30", "AAA*N**56*C"),
        ("M100",),
    ),
}


@pytest.mark.parametrize(("level", "body", "members"), LEVELS.values(), ids=LEVELS.keys())
def test_a_rejection_says_at_which_level_and_what_to_do_next(level, body, members):
    answer = one(interchange(enclosed("ST*271*0001", BHT, *body)))
    follow_up = "may be resubmitted" if "*R" in body[-1] else "correct and resubmit"
    assert f"({level})" in answer.message
    assert answer.message.endswith(f"; {follow_up}")
    assert (answer.member_id,) == (members or (None,))


def test_a_rejection_of_one_payer_says_nothing_of_another():
    other = ("HL*4**20*1", "NM1*PR*2*OTHER*****PI*999", "HL*5*4*21*1", "HL*6*5*22*0", "NM1*IL*1*DOE*****MI*M200")
    text = interchange(enclosed("ST*271*0001", BHT, *PAYER, "AAA*Y**42*R", *PROVIDER, *other, "EB*1**30"))
    answers, unusable = read(text)
    assert [(each.payer_id, each.member_id, each.result) for each in answers] == [
        ("12345", None, "payer_error"),
        ("999", "M200", "active"),
    ]
    assert unusable == []


def test_a_rejection_of_the_subscriber_holds_for_a_dependent_of_whom_nothing_is_said():
    answers, _ = read(interchange(transaction(*SUBSCRIBER, "AAA*N**75*C", *DEPENDENT)))
    assert [(each.check_id, each.result) for each in answers] == [("T-1", "not_found"), ("T-2", "not_found")]


TRACES = {
    "ours after the payer's": ("TRN*1*PAYERS*X", "TRN*2*OURS*9CLINIC000", "OURS"),
    "ours before the payer's": ("TRN*2*OURS*9CLINIC000", "TRN*1*PAYERS*X", "OURS"),
    "the first of two of ours": ("TRN*2*OURS*9CLINIC000", "TRN*2*CLEARINGHOUSES*9XCHANGE00", "OURS"),
    "the payer's own, if that is all": ("TRN*1*PAYERS*X", "", "PAYERS"),
    "the reference of the whole inquiry without any": ("", "", "REF-9"),
}


@pytest.mark.parametrize(("first", "second", "check_id"), TRACES.values(), ids=TRACES.keys())
def test_an_answer_is_matched_to_its_inquiry_by_trace(first, second, check_id):
    body = [each for each in (SUBSCRIBER[0], first, second, SUBSCRIBER[2], "EB*1**30") if each]
    assert one(interchange(transaction(*body))).check_id == check_id


OUTCOMES = load_policies().x12_outcomes


@pytest.mark.parametrize(("qualifier", "end"), OUTCOMES.plan_dates.items())
def test_a_date_of_the_plan(qualifier, end):
    single = one(interchange(subscriber(f"DTP*{qualifier}*D8*20260201", "EB*1**30")))
    both = one(interchange(subscriber(f"DTP*{qualifier}*RD8*20260105-20261231", "EB*1**30")))
    assert (single.plan_begin, single.plan_end) == (("2026-02-01", None) if end == "begin" else (None, "2026-02-01"))
    assert (both.plan_begin, both.plan_end) == ("2026-01-05", "2026-12-31")


@pytest.mark.parametrize(("qualifier", "end"), OUTCOMES.benefit_dates.items())
def test_a_date_of_a_benefit(qualifier, end):
    on = "20260401" if end == "begin" else "20260201"
    answer = one(interchange(subscriber("EB*1**30", f"DTP*{qualifier}*D8*{on}")))
    assert answer.result == ("payer_error" if end == "begin" else "inactive")
    ended = one(interchange(subscriber("EB*1**30", f"DTP*{qualifier}*RD8*20250101-20251231")))
    assert ended.result == "inactive"


def test_the_day_that_was_asked_about_is_no_begin_where_the_payer_gives_one():
    answer = one(interchange(subscriber("DTP*291*D8*20260228", "DTP*346*D8*20250101", "EB*1**30")))
    assert answer.plan_begin == "2025-01-01"


def test_a_message_of_the_payer_stays_with_its_benefit():
    text = interchange(subscriber("EB*6**30", "MSG*SEE NEW CARD", "EB*B**98", "MSG*CO-PAYMENT WAIVED"))
    assert one(text).message == "EB 6: inactive | SEE NEW CARD"
