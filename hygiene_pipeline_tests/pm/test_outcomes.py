"""Every row of the table of codes, and how several codes make one result."""

from datetime import date

import pytest

from hygiene_pipeline.pm.outcomes import Benefit, Rejection, decide
from hygiene_pipeline.policies.load import load_policies

OUTCOMES = load_policies().x12_outcomes
TODAY = date(2026, 3, 1)
NOT_FOUND = [str(code) for code in (64, 65, 67, 68, *range(71, 79))]
PAYER_ERROR = [
    "04",
    "15",
    "33",
    "35",
    *map(str, (*range(41, 59), 60, 61, 62, 63, 66, 69, 70, 79, 80, 97, 98)),
    *("AA", "AE", "AF", "AG", "AO", "CI", "E8", "IA", "MA", "T4"),
    "ZZ",
]


def benefit(code: str, types: str = "30", begin: date | None = None, end: date | None = None) -> Benefit:
    return Benefit(code=code, service_types=tuple(types.split()), begin=begin, end=end)


def rejection(code: str, follow_up: str = "N") -> Rejection:
    return Rejection(code=code, follow_up=follow_up, level="subscriber")


BENEFITS = {
    **{f"EB {code} is active": ([benefit(code)], "active") for code in "12345"},
    **{f"EB {code} is inactive": ([benefit(code)], "inactive") for code in "678"},
    **{f"EB {code} is no answer": ([benefit(code)], "payer_error") for code in "UV"},
    "30 among other service types counts": ([benefit("1", "1 30 33")], "active"),
    "active for another service type is no answer": ([benefit("1", "33")], "payer_error"),
    "inactive for another service type is no answer": ([benefit("6", "35")], "payer_error"),
    "no service type is no answer": ([benefit("1", "")], "payer_error"),
    "only a co-payment is no answer": ([benefit("B")], "payer_error"),
    "an active plan beside an old one": ([benefit("6"), benefit("1")], "active"),
    "a contact beside an active plan": ([benefit("U"), benefit("1")], "active"),
    "inactive beside cannot process": ([benefit("V"), benefit("6")], "inactive"),
    "the plan's last day is covered": ([benefit("1", end=TODAY)], "active"),
    "the plan's first day is covered": ([benefit("1", begin=TODAY)], "active"),
    "a plan that ended yesterday": ([benefit("1", end=date(2026, 2, 28))], "inactive"),
    "a plan that begins tomorrow says nothing of today": ([benefit("1", begin=date(2026, 3, 2))], "payer_error"),
}


@pytest.mark.parametrize(("benefits", "result"), BENEFITS.values(), ids=BENEFITS.keys())
def test_benefits_say_whether_the_patient_is_covered(benefits, result):
    verdict = decide(OUTCOMES, benefits, [], on=TODAY)
    assert verdict is not None
    assert verdict[0] == result


@pytest.mark.parametrize("code", NOT_FOUND)
def test_a_payer_that_does_not_know_the_person_says_not_found(code):
    assert decide(OUTCOMES, [], [rejection(code)], on=TODAY) == (
        "not_found",
        f"AAA {code} N (subscriber): {OUTCOMES.rejections[code].text}; do not resubmit",
    )


@pytest.mark.parametrize("code", PAYER_ERROR)
def test_a_payer_that_cannot_answer_says_nothing_of_the_patient(code):
    verdict = decide(OUTCOMES, [], [rejection(code)], on=TODAY)
    assert verdict is not None
    assert verdict[0] == "payer_error"


def test_every_code_of_the_table_is_tested_above():
    assert sorted(OUTCOMES.rejections) == sorted({*NOT_FOUND, *PAYER_ERROR} - {"ZZ"})


def test_what_the_payer_wrote_beside_the_deciding_benefit_is_kept():
    noted = [
        Benefit(code="B", service_types=("98",), notes=("CO-PAY WAIVED",)),
        Benefit(code="6", service_types=("30",), notes=("SEE NEW CARD", "CALL US")),
    ]
    assert decide(OUTCOMES, noted, [], on=TODAY) == ("inactive", "EB 6: inactive | SEE NEW CARD | CALL US")


MIXED = {
    "several reasons not to know the person": ([], ["71", "73"], "not_found"),
    "one reason that is the payer's": ([], ["75", "42"], "payer_error"),
    "coverage beats a rejection of a detail": ([benefit("1")], ["70"], "active"),
    "a rejection beats what is no answer": ([benefit("V")], ["75"], "not_found"),
    "a rejection beats another service type": ([benefit("1", "33")], ["42"], "payer_error"),
}


@pytest.mark.parametrize(("benefits", "codes", "result"), MIXED.values(), ids=MIXED.keys())
def test_several_codes_make_one_result(benefits, codes, result):
    verdict = decide(OUTCOMES, benefits, [rejection(code) for code in codes], on=TODAY)
    assert verdict is not None
    assert verdict[0] == result


def test_nothing_said_is_no_result():
    assert decide(OUTCOMES, [], [], on=TODAY) is None


@pytest.mark.parametrize(("letter", "text"), OUTCOMES.follow_ups.items())
def test_the_message_says_what_to_do_next(letter, text):
    verdict = decide(OUTCOMES, [], [rejection("42", letter)], on=TODAY)
    assert verdict is not None
    assert verdict[1].endswith(f"; {text}")
