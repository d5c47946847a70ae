"""The runs that people and schedules start by name."""

import dagster as dg

from hygiene_pipeline import night as nights
from hygiene_pipeline.event_run.kinds import CONTACTS, EVENT_RUNS, EventRun

# Lookups are paid for by the night alone; every other run takes the answers that are there.
_PAID = dg.AssetSelection.assets("hygiene/phone_validation_plan", "sync/phone_lookup_call")
# Neither are vendors asked for exports and lists by any other run; it takes what lies in the landing folder.
_FETCHED = dg.AssetSelection.groups("landing")
_WRITTEN = dg.AssetSelection.assets("staging/phone_number", "sync/crm_change", "sync/message")


def _event_selection(run: EventRun) -> dg.AssetSelection:
    """What arrived, what follows from it, and no table that neither the arrival nor the write-back needs."""
    tables = [run.takes, CONTACTS, *run.models(nights.models())]
    selected = dg.AssetSelection.assets("policy/tables", *(name.split(".") for name in tables)) | _WRITTEN
    return selected | dg.AssetSelection.assets("sync/eligibility_checks_due") if run.also_wanted else selected


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
eligibility_event, ehr_event, reply_event = (
    dg.define_asset_job(
        name,
        # An event is worth a minute, and recording each test costs more than running it.
        selection=_event_selection(EVENT_RUNS[name]).without_checks(),
        description=f"What arrived in {source}, what follows for those whom it touches, and the write-back to the CRM."
        " Blocking tests still stop it; their results are kept in the warehouse and not as events.",
    )
    for name, source in (
        ("eligibility_event", "pm/eligibility"),
        ("ehr_event", "ehr_events"),
        ("reply_event", "replies"),
    )
)
