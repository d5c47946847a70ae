"""What a scorecard holds: plain records of some nights, aggregates only.

No id of a patient, contact or issue belongs in here; staff are named by their id of the staff list.
"""

from dataclasses import dataclass
from datetime import date, datetime
from math import sqrt

_Z95 = 1.959964


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One benchmark of one night; `acceptable_from` is where its acceptable band begins, coming from poor."""

    metric: str
    value: float | None
    numerator: int
    denominator: int
    unit: str
    grade: str
    target: float
    acceptable_from: float
    higher_is_better: bool


@dataclass(frozen=True, kw_only=True)
class StaleRate:
    """How many active contacts are stale in one field, or (`any`) in some field."""

    staleness_type: str
    contacts: int
    stale: int
    rate: float | None


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What the accuracy of insurance rests on: how many were ever asked, how many are known, how old answers are."""

    share_asked: float | None = None
    share_known: float | None = None
    median_answer_age_days: float | None = None


@dataclass(frozen=True, kw_only=True)
class Roi:
    """What staleness costs, US dollars; None where there is no contact to measure."""

    wasted_per_month: float | None
    annual_waste: float | None
    hygiene_cost: float | None
    net_annual_saving: float | None


@dataclass(frozen=True, kw_only=True)
class QueueLine:
    """The open work of one person in one tier."""

    tier: int
    assignee: str
    open_issues: int
    overdue: int


@dataclass(frozen=True, kw_only=True)
class PhoneCost:
    """What phone lookups cost up to a night, US dollars: so far, this month of this budget, a corrected number."""

    lookups: int = 0
    spent_usd: float = 0.0
    spent_in_month_usd: float = 0.0
    budget_usd: float | None = None
    corrected_numbers: int = 0
    usd_per_corrected_number: float | None = None


@dataclass(frozen=True, kw_only=True)
class Activity:
    """What was done from the beginning up to a night."""

    messages_sent: int
    messages_suppressed: int
    changes_applied: int


@dataclass(frozen=True, kw_only=True)
class Night:
    """All that was measured for one as_of; `label` is its local date, `day` counts from the first measured night."""

    as_of: datetime
    label: date
    day: int
    measures: tuple[Measure, ...]
    stale: tuple[StaleRate, ...]
    lag_p95_hours: float | None
    asking: Asking
    roi: Roi | None
    queue: tuple[QueueLine, ...]
    phone_cost: PhoneCost
    activity: Activity


@dataclass(frozen=True, kw_only=True)
class Detector:
    """How a detector did against a known truth.

    `unseen` are misses that no source had shown; `harm` counts good values that were overwritten in its name.
    """

    detector: str
    true_positives: int
    false_positives: int
    false_negatives: int
    unseen: int
    harm: int

    @property
    def flagged(self) -> int:
        """What it called stale."""
        return self.true_positives + self.false_positives

    @property
    def showable(self) -> int:
        """What was stale and some source had shown."""
        return self.true_positives + self.false_negatives - self.unseen

    @property
    def precision(self) -> float | None:
        """Share of what it called stale that was; None if it called nothing so."""
        return self.true_positives / self.flagged if self.flagged else None

    @property
    def recall(self) -> float | None:
        """Share found of what was stale and some source had shown; None if there was nothing."""
        return self.true_positives / self.showable if self.showable else None

    @property
    def recall_of_everything(self) -> float | None:
        """Share found of what was stale, shown by a source or not; None if there was nothing."""
        stale = self.true_positives + self.false_negatives
        return self.true_positives / stale if stale else None


@dataclass(frozen=True, kw_only=True)
class Scorecard:
    """The nights of one practice side by side, oldest first."""

    practice: str
    nights: tuple[Night, ...]
    detectors: tuple[Detector, ...]


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a proportion; 95 of 100 is 0.888 to 0.978, so it does not prove 95 %."""
    if trials <= 0 or not 0 <= successes <= trials:
        raise ValueError("a proportion needs at least one trial and no more successes than trials")
    p, n, z = successes / trials, trials, _Z95
    middle, spread = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max((middle - spread) / (1 + z * z / n), 0.0), min((middle + spread) / (1 + z * z / n), 1.0)
