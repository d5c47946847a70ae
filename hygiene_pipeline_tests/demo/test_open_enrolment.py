"""Open enrolment: 900 of 3,200 patients change plan on 1 January, payers time out for a day, and answers come late.

The practice lets answers of the old year count no longer (`plan_year.ends_answers`). With the shipped policy, by which
an answer counts for its ninety days, `benchmarks/open_enrolment.py` tells the story.
"""

from dataclasses import dataclass

import pytest

from hygiene_pipeline_tests.demo.open_enrolment import Ended, Told, live

# The last night of the old year, New Year, the first answers beside those of the outage, and those of asking again.
NIGHTS = OLD_YEAR, NEW_YEAR, ANSWERS, AGAIN = (0, 1, 4, 6)


CHANGING = 900


@dataclass(frozen=True)
class Lived:
    nights: dict[int, Told]
    ended: Ended


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    nights: dict[int, Told] = {}
    ended = live(
        tmp_path_factory.mktemp("enrolment"),
        patients=3200,
        changing=CHANGING,
        inquiries_a_day=1600,
        nights=NIGHTS,
        ends_answers=True,
        on_night=lambda told: nights.update({told.day: told}),
    )
    return Lived(nights, ended)


def test_the_crm_shows_many_wrong_policies_after_new_year(lived: Lived) -> None:
    assert len(lived.ended.changed) == CHANGING
    assert len(lived.nights[ANSWERS].wrongly_active) > CHANGING // 2


def test_at_the_end_no_contact_shows_wrong_coverage_as_active(lived: Lived) -> None:
    assert lived.ended.wrongly_active == set()


def test_nobody_was_flagged_because_a_payer_was_down(lived: Lived) -> None:
    night = lived.nights[ANSWERS]
    assert len(night.only_errors) > CHANGING
    told = [night.status[key] for key in night.only_errors if key in night.status]
    # What the PM was told meanwhile is another matter.
    flagged = {row["insurance_reason"] for row in told if row["insurance_state"] == "stale"}
    assert flagged <= {"payer_mismatch", "member_id_mismatch", "coverage_terminated"}
    without = [row for row in night.status.values() if row["insurance_reason"] == "payer_error"]
    assert night.asking["payer_could_not_answer"] == len(without)
    assert len(without) > 750


def test_whom_a_failure_flagged_really_had_no_such_policy(lived: Lived) -> None:
    flagged = {row["contact_id"] for row in lived.ended.written if row["new_value"] == "verify_required"}
    assert len(flagged) > CHANGING // 2
    known_wrong = set().union(*(night.wrongly_active for night in lived.nights.values()))
    assert flagged <= known_wrong


@pytest.mark.parametrize("day", NIGHTS)
def test_what_is_counted_as_right_is_right(lived: Lived, day: int) -> None:
    night = lived.nights[day]
    current = {key for key, row in night.status.items() if row["insurance_state"] == "current"}
    assert night.metric["numerator"] == len(current)
    assert current & night.wrongly_active == set()


@pytest.mark.parametrize("day", NIGHTS)
def test_the_accuracy_is_that_of_the_contacts_that_are_known(lived: Lived, day: int) -> None:
    night = lived.nights[day]
    known = {key for key, row in night.status.items() if row["insurance_state"] in ("current", "stale")}
    assert night.metric["denominator"] == night.asking["known"] == len(known)
    stale = {key for key, row in night.status.items() if row["insurance_state"] == "stale"}
    # What is known to be wrong is wrong: another policy than the patient's, or a status that the payer contradicts.
    doubtful = {key for key in stale if night.status[key]["insurance_reason"] != "status_mismatch"}
    assert doubtful <= night.wrongly_active | {key for key in stale if night.crm[key]["insurance_status"] != "active"}


def test_the_story_day_by_day(lived: Lived) -> None:
    known = {day: night.asking["share_known"] for day, night in lived.nights.items()}
    asked = {day: night.asking["share_answered_this_plan_year"] for day, night in lived.nights.items()}
    assert known[OLD_YEAR] > 0.85
    # Nothing is known of the new plans, so next to nothing is counted, right or wrong.
    assert known[NEW_YEAR] < 0.1
    assert asked[NEW_YEAR] == 0
    assert 0.4 < asked[ANSWERS] < 0.7
    assert 0.5 < lived.nights[ANSWERS].metric["value"] < 0.9
    assert asked[AGAIN] > 0.9
