"""The shape of every policy. A wrong value is refused by key, with what is allowed."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from hygiene_pipeline.pm.outcomes import Outcomes
from hygiene_pipeline.policies.care import CarePolicy
from hygiene_pipeline.policies.insurance import InsurancePolicy
from hygiene_pipeline.policies.reengagement import ReengagementPolicy
from hygiene_pipeline.policies.strict import Strict
from hygiene_pipeline.settings.phone_lookup import LookupPackage

Share = Annotated[float, Field(ge=0, le=1)]
System = Literal["ehr", "pm", "crm", "patient", "eligibility"]
StalenessType = Literal["phone", "insurance", "care", "referring_provider", "email", "address", "identity"]
Metric = Literal[
    "contact_validity_rate",
    "insurance_status_accuracy",
    "care_status_sync_lag_hours",
    "stale_record_rate",
    "phone_validation_cadence_days",
]


class Placeholder(Strict):
    """A pattern over all digits of a number that nobody answers."""

    pattern: str
    note: str


class PhonePolicy(Strict):
    """When a number counts as confirmed and when it is asked about again; days and US dollars."""

    confirmed_for_days: PositiveInt
    revalidate_after_days: PositiveInt
    shared_number_limit: PositiveInt
    default_region: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    lookup_price_usd: NonNegativeFloat
    package_prices_usd: dict[LookupPackage, NonNegativeFloat]
    monthly_budget_usd: NonNegativeFloat | None
    placeholders: list[Placeholder]


class FieldPolicy(Strict):
    """Which systems may say a field, in order, and whether the CRM is corrected automatically."""

    strategy: Literal["authoritative", "most_recent", "most_recently_confirmed", "opt_out_wins", "staff_review"]
    sources: list[System]
    write: Literal["auto", "review", "never"]


class SourceOfTruthPolicy(Strict):
    """One FieldPolicy a field."""

    fields: dict[str, FieldPolicy]


class PriorityPolicy(Strict):
    """The cuts between tiers, and the days until an issue of a tier is due."""

    visit_soon_days: PositiveInt
    seen_within_months: PositiveInt
    dormant_after_months: PositiveInt
    due_days: dict[Literal[1, 2, 3, 4], PositiveInt]


class AssignmentPolicy(Strict):
    """Which role works on which kind of staleness."""

    roles: dict[StalenessType, str]
    fallback: str


class BenchmarkBand(Strict):
    """Where a metric's bands begin, in its own unit."""

    unit: Literal["share", "hours", "days"]
    higher_is_better: bool
    target: float
    acceptable_from: float


class BenchmarkPolicy(Strict):
    """The bands of all metrics."""

    lag_window_days: PositiveInt
    metrics: dict[Metric, BenchmarkBand]


class PlaceDelivery(Strict):
    """What share of its last delivery a place must bring."""

    min_share: Share
    is_required: bool


class DeliveryPolicy(Strict):
    """One PlaceDelivery a place of full extracts."""

    places: dict[str, PlaceDelivery]


class AuditPolicy(Strict):
    """How many records are checked by hand."""

    sample_size: PositiveInt


class Policies(Strict):
    """All policies of one practice: the shipped values with the practice's overrides."""

    phone: PhonePolicy
    insurance: InsurancePolicy
    care: CarePolicy
    source_of_truth: SourceOfTruthPolicy
    priorities: PriorityPolicy
    assignment: AssignmentPolicy
    benchmarks: BenchmarkPolicy
    delivery: DeliveryPolicy
    reengagement: ReengagementPolicy
    audit: AuditPolicy
    x12_outcomes: Outcomes
