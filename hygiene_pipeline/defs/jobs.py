"""The runs that people and schedules start by name."""

import dagster as dg

EVENT_SOURCES = {
    "eligibility": ("raw/pm_eligibility",),
    "ehr_events": ("raw/ehr_event",),
    "replies": ("raw/replies",),
}
_WRITTEN = dg.AssetSelection.assets("sync/crm_change", "sync/message")


def _event_selection(*sources: str) -> dg.AssetSelection:
    """What arrived, what follows from it, and no table that neither the arrival nor the write-back needs."""
    arrived = dg.AssetSelection.assets(*sources, "raw/crm_contacts")
    return dg.AssetSelection.assets("policy/tables") | (arrived.downstream() & _WRITTEN.upstream()) | _issues()


def _issues() -> dg.AssetSelection:
    return dg.AssetSelection.assets("hygiene/issue").upstream() & dg.AssetSelection.groups("hygiene")


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
        "sync/phone_lookups_due",
        "hygiene/issue",
        "metrics/benchmark",
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
    | (dg.AssetSelection.assets("hygiene/referral_review", "hygiene/audit_sample").upstream()),
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
        selection=_event_selection(*EVENT_SOURCES[source]),
        description=f"What arrived in {source}, what follows from it, and the write-back to the CRM.",
    )
    for name, source in (
        ("eligibility_event", "eligibility"),
        ("ehr_event", "ehr_events"),
        ("reply_event", "replies"),
    )
)
