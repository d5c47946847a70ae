"""The runs that people and schedules start by name."""

import dagster as dg

# Lookups are paid for by the night alone; every other run takes the answers that are there.
_PAID = dg.AssetSelection.assets("hygiene/phone_validation_plan", "sync/phone_lookup_call")
# Neither are vendors asked for exports and lists by any other run; it takes what lies in the landing folder.
_FETCHED = dg.AssetSelection.groups("landing")

nightly = dg.define_asset_job(
    "nightly",
    selection=dg.AssetSelection.all(),
    description="The whole night: take what arrived, find what is stale, correct it, queue the rest, publish, measure.",
)
bare_night = dg.define_asset_job(
    "bare_night",
    selection=dg.AssetSelection.assets(
        "sync/crm_change",
        "sync/message",
        "sync/phone_lookup_call",
        "sync/eligibility_checks_due",
        "hygiene/issue",
        "hygiene/suppressed_outreach",
        "metrics/benchmark",
        "metrics/coverage_of_asking",
        "metrics/phone_cost",
        "metrics/roi",
    )
    .upstream()
    .without_checks(),
    description="What the next day hangs on, and no more: the nights of a simulation that nobody looks at."
    " Blocking tests still stop it; their results are kept in the warehouse and not as events.",
)
referring_providers = dg.define_asset_job(
    "referring_providers",
    selection=dg.AssetSelection.assets("policy/tables")
    | (dg.AssetSelection.assets("hygiene/referral_review", "hygiene/audit_sample").upstream() - _PAID - _FETCHED),
    description="Check referring providers against the network, and draw a sample for a person to audit.",
)
scorecard = dg.define_asset_job(
    "scorecard",
    selection=dg.AssetSelection.assets("policy/tables") | dg.AssetSelection.groups("metrics", "published", "reports"),
    description="Measure the benchmarks on what is known now, publish them and write the report.",
)
