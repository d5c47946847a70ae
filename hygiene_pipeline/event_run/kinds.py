"""The kinds of event runs: what each takes, and which models follow from that and are needed before the next night."""

from collections.abc import Mapping
from dataclasses import dataclass

from hygiene_pipeline.landing.sources import SOURCES
from hygiene_pipeline.sql_models import Model, topological

CONTACTS = "raw.crm_contacts"
_WRITE_BACK = (
    "hygiene.contact_status",
    "hygiene.issue",
    "identity.patient_link",
    "reconciled.crm_value_since",
    "reconciled.field_decision",
    "staging.crm_contact",
    "staging.reply",
)
"""What corrections, messages and the work queue are made of."""


@dataclass(frozen=True, kw_only=True)
class EventRun:
    """A kind of event run: the raw table it takes, tables that its arrivals fill beside it, what else it must build."""

    job: str
    takes: str
    also_fed: tuple[str, ...] = ()
    also_wanted: tuple[str, ...] = ()

    @property
    def fed(self) -> tuple[str, ...]:
        """Every raw table that may have got rows."""
        return (self.takes, CONTACTS, *self.also_fed)

    def models(self, models: Mapping[str, Model], *, of_every_source: bool = False) -> list[str]:
        """The models to be built, each after those it reads: those that follow from what arrived and lead to a use.

        A new spelling of a phone number concerns the table that holds it, and that one got rows itself. Where the
        tables of other sources may be of another time, `of_every_source` takes them in.
        """
        ordered = topological(models)
        changed = set(self.fed) | (models.keys() if of_every_source else set())
        for name in ordered:
            if not changed.isdisjoint(models[name].dependencies):
                changed.add(name)
        needed = {*_WRITE_BACK, *self.also_wanted}
        for name in reversed(ordered):
            if name in needed:
                needed.update(models[name].dependencies)
        return [name for name in ordered if name in changed and name in needed]


EVENT_RUNS = {
    run.job: run
    for run in (
        EventRun(
            job="ehr_event",
            takes="raw.ehr_event",
            # Resources of a FHIR notification go to the tables of the bulk export, whose files are left to the night.
            also_fed=tuple(f"raw.{table.name}" for table in SOURCES["ehr"] if table.place == "ehr"),
        ),
        EventRun(
            job="eligibility_event",
            takes="raw.pm_eligibility",
            # What a payer's answer changes beside the CRM: who is asked next, who is sent nothing about coverage.
            also_wanted=(
                "hygiene.eligibility_inquiry",
                "hygiene.eligibility_recheck_plan",
                "hygiene.suppressed_outreach",
            ),
        ),
        EventRun(job="reply_event", takes="raw.replies"),
    )
}
