"""The runs that people and schedules start by name."""

import dagster as dg

from hygiene_pipeline import night as nights
from hygiene_pipeline.landing.sources import SOURCES
from hygiene_pipeline.sql_models import topological

EVENT_SOURCES = {
    "eligibility": ("raw/pm_eligibility",),
    "ehr_events": ("raw/ehr_event",),
    "replies": ("raw/replies",),
}
# Sound resources of a FHIR notification go to the tables of the bulk export, whose files are left to the night.
_ALSO_FED = {"ehr_events": [f"raw/{table.name}" for table in SOURCES["ehr"] if table.place == "ehr"]}
# Lookups are paid for by the night alone; every other run takes the answers that are there.
_PAID = dg.AssetSelection.assets("hygiene/phone_validation_plan", "sync/phone_lookup_call")
# Neither are vendors asked for exports and lists by any other run; it takes what lies in the landing folder.
_FETCHED = dg.AssetSelection.groups("landing")
_WRITTEN = dg.AssetSelection.assets("sync/crm_change", "sync/message")
# What a payer's answer changes beside the CRM: who is asked next, and to whom nothing is sent about coverage.
_ASKED = dg.AssetSelection.assets(
    "hygiene/eligibility_recheck_plan",
    "hygiene/eligibility_inquiry",
    "hygiene/suppressed_outreach",
    "sync/eligibility_checks_due",
)


def _event_selection(source: str) -> dg.AssetSelection:
    """What arrived, what follows from it, and no table that neither the arrival nor the write-back needs."""
    taken = dg.AssetSelection.assets(*EVENT_SOURCES[source], "raw/crm_contacts")
    fed = taken | dg.AssetSelection.assets(*_ALSO_FED.get(source, []))
    follows = (fed.downstream() & _WRITTEN.upstream()) - dg.AssetSelection.groups("raw") - _PAID - _unchanged(source)
    selected = dg.AssetSelection.assets("policy/tables") | taken | follows | _issues()
    return selected | _ASKED if source == "eligibility" else selected


def _unchanged(source: str) -> dg.AssetSelection:
    """Staging tables that the arrival reaches only by new spellings of phone numbers, of which they hold none."""
    models = nights.models()
    changed = {
        key.replace("/", ".") for key in (*EVENT_SOURCES[source], "raw/crm_contacts", *_ALSO_FED.get(source, []))
    }
    for name in topological(models, list(models)):
        if not changed.isdisjoint(models[name].dependencies):
            changed.add(name)
    same = [name for name, model in models.items() if model.layer == "staging" and name not in changed]
    return dg.AssetSelection.assets(*(name.split(".") for name in same))


def _issues() -> dg.AssetSelection:
    return (dg.AssetSelection.assets("hygiene/issue").upstream() & dg.AssetSelection.groups("hygiene")) - _PAID


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
        selection=_event_selection(source).without_checks(),
        description=f"What arrived in {source}, what follows from it, and the write-back to the CRM."
        " Blocking tests still stop it; their results are kept in the warehouse and not as events.",
    )
    for name, source in (
        ("eligibility_event", "eligibility"),
        ("ehr_event", "ehr_events"),
        ("reply_event", "replies"),
    )
)
