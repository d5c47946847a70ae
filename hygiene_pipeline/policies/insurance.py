"""The policy of insurance: how long an answer stands, who is asked about next, and what outreach is held back."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from hygiene_pipeline.policies.strict import Strict

FollowUp = Literal["C", "N", "P", "R", "S", "W", "X", "Y"]
Table = tuple[str, list[Sequence[object]]]


class PlanYear(Strict):
    """The day on which plans change, for how many days after it older answers are renewed, and whether they count."""

    month: Annotated[int, Field(ge=1, le=12)]
    day: Annotated[int, Field(ge=1, le=31)]
    for_days: PositiveInt
    ends_answers: bool

    @model_validator(mode="after")
    def _is_a_day_of_every_year(self) -> Self:
        date(2001, self.month, self.day)
        return self

    def began_on(self, on: date) -> date:
        """The latest of these days up to `on`."""
        this_year = date(on.year, self.month, self.day)
        return this_year if this_year <= on else date(on.year - 1, self.month, self.day)

    def counted_days(self, answer_valid_days: int, on: date) -> int:
        """How many days back an answer counts on a day."""
        return min(answer_valid_days, (on - self.began_on(on)).days) if self.ends_answers else answer_valid_days


class RecheckPolicy(Strict):
    """Who is asked about next; `daily_limit` null is no limit."""

    ahead_days: Annotated[int, Field(ge=0)]
    before_visit_days: PositiveInt
    visit_answer_days: PositiveInt
    plan_year: PlanYear
    retry_after_hours: Annotated[list[PositiveFloat], Field(min_length=1)]
    max_retries: PositiveInt
    daily_limit: PositiveInt | None
    held_follow_ups: list[FollowUp]
    wait_days: dict[FollowUp, PositiveInt]


class InsurancePolicy(Strict):
    """How many days an eligibility answer stands, who is asked next, and for which reasons outreach is held back."""

    answer_valid_days: PositiveInt
    recheck: RecheckPolicy
    suppressed_reasons: list[
        Literal[
            "coverage_inactive",
            "subscriber_not_found",
            "coverage_terminated",
            "payer_mismatch",
            "member_id_mismatch",
            "status_mismatch",
            "verify_required",
        ]
    ]


def insurance_tables(insurance: InsurancePolicy, *, on: date) -> dict[str, Table]:
    """Columns and rows of the tables that SQL joins, on a local day."""
    recheck = insurance.recheck
    return {
        "insurance": (
            "answer_valid_days integer",
            [(recheck.plan_year.counted_days(insurance.answer_valid_days, on),)],
        ),
        "recheck": (
            "ahead_days integer, before_visit_days integer, visit_answer_days integer,"
            " plan_year_began_on date, plan_year_days integer, max_retries integer, daily_limit integer",
            [
                (
                    recheck.ahead_days,
                    recheck.before_visit_days,
                    recheck.visit_answer_days,
                    recheck.plan_year.began_on(on),
                    recheck.plan_year.for_days,
                    recheck.max_retries,
                    recheck.daily_limit,
                )
            ],
        ),
        "recheck_retry": (
            "errors integer, wait_hours double",
            [*enumerate(recheck.retry_after_hours, start=1)],
        ),
        "recheck_follow_up": (
            "follow_up varchar, wait_days integer, is_held boolean",
            [
                *((letter, None, True) for letter in recheck.held_follow_ups),
                *((letter, days, False) for letter, days in recheck.wait_days.items()),
            ],
        ),
        "suppressed_reason": ("reason varchar", [(reason,) for reason in insurance.suppressed_reasons]),
    }
