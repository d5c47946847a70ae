"""The runs between nights: what arrived in one place, what follows for those whom it touches, and the write-back.

They are jobs of three steps and not selections of assets. For an asset of its own each of forty tables would get events
and a look at what it was made from, and that takes longer than to renew the rows of a patient. Every table that a run
changed is recorded as materialized all the same.
"""

from collections.abc import Mapping
from itertools import chain

import dagster as dg

from hygiene_pipeline import night as nights
from hygiene_pipeline.build_marks import marks_of, renewed_now
from hygiene_pipeline.defs.eligibility import hand_over_inquiries
from hygiene_pipeline.defs.partitions import WAREHOUSE_POOL, practices
from hygiene_pipeline.defs.phone import normalise_texts
from hygiene_pipeline.defs.raw import judge_taken, raw_metadata, stop_at_too_little, take_tables
from hygiene_pipeline.defs.resources import Deployment
from hygiene_pipeline.defs.sync import ask_patients, write_back
from hygiene_pipeline.event_run.kinds import CONTACTS, EVENT_RUNS, EventRun
from hygiene_pipeline.event_run.run import renew
from hygiene_pipeline.landing.sources import SOURCES
from hygiene_pipeline.landing.take import is_replay
from hygiene_pipeline.model_build import build_model
from hygiene_pipeline.night import Night
from hygiene_pipeline.progress import tell

_TABLES = {f"raw.{table.name}": table for table in chain.from_iterable(SOURCES.values())}
_PHONES = "staging.phone_number"
_DECIDING = "hygiene.contact_status"
_TOUCHED = {"renewed": "rows of the touched"}

_Shown = Mapping[str, int | str | bool | dg.TableSchema]


@dg.op(out=dg.Out(dg.Nothing), pool=WAREHOUSE_POOL)
def take_what_arrived(context: dg.OpExecutionContext, deployment: Deployment) -> None:
    """Set the clock and take the files of this kind of run; what could not be used is quarantined.

    A CRM that can be asked is asked once it is known about whom; one that only gives extracts is taken here.
    """
    run = EVENT_RUNS[context.job_name]
    with deployment.night(context.partition_key) as night:
        written = nights.begin(night, as_of=deployment.time_of_run())
        _record(context, "policy.tables", {"dagster/row_count": sum(written.values()), "tables": len(written)})
        tell(f"taking {run.takes.removeprefix('raw.').replace('_', ' ')}")
        names = [run.takes, CONTACTS] if night.practice.crm.kind == "files" else [run.takes]
        taken = take_tables(night, [_TABLES[name] for name in names], settle_seconds=deployment.settle_seconds)
        volumes = judge_taken(night, taken)
        for name in names:
            _record(context, name, raw_metadata(night, _TABLES[name], taken.get(_TABLES[name].place)))
    stop_at_too_little(volumes)


@dg.op(ins={"taken": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing), pool=WAREHOUSE_POOL)
def renew_the_touched(context: dg.OpExecutionContext, deployment: Deployment) -> None:
    """Renew the rows of whom the arrivals touch, in every table; where others could be concerned, build each whole.

    The metadata of its output say how many patients were touched, or why each table was built whole.
    """
    run = EVENT_RUNS[context.job_name]
    with deployment.night(context.partition_key) as night:
        tell("finding whom it touches")
        outcome = renew(night, run, nights.models())
        context.add_output_metadata(
            {"touched_patients": outcome.patients, "built_whole_because": outcome.built_whole_because}
        )
        if night.practice.crm.kind != "files":
            _record(context, CONTACTS, raw_metadata(night, _TABLES[CONTACTS], None))
        if outcome.built_whole_because:
            tell("reading phone numbers")
            _record(context, _PHONES, normalise_texts(night))
        try:
            _build_the_rest(context, deployment, night, run)
        except BaseException:
            # The run ends here, and what it has renewed stands.
            _record_renewed(context, night)
            raise


@dg.op(ins={"renewed": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing), pool=WAREHOUSE_POOL)
def correct_the_crm(context: dg.OpExecutionContext, deployment: Deployment) -> None:
    """Write the corrections by compare-and-set, then ask patients to confirm numbers, payers about coverage."""
    run = EVENT_RUNS[context.job_name]
    with deployment.night(context.partition_key) as night:
        tell("writing back to the CRM")
        only_touched = bool(renewed_now(night.warehouse.con, [_DECIDING]))
        try:
            written = write_back(night, only_touched=only_touched)
        finally:
            # Only now: to tell Dagster of forty tables takes a second, which the CRM need not wait.
            _record_renewed(context, night)
        _record(context, "sync.crm_change", written)
        tell("asking patients to confirm numbers")
        _record(context, "sync.message", ask_patients(night))
        if run.also_wanted:
            tell("asking for eligibility checks")
            _record(context, "sync.eligibility_checks_due", hand_over_inquiries(night))


def _build_the_rest(context: dg.OpExecutionContext, deployment: Deployment, night: Night, run: EventRun) -> None:
    """Build the models of the run that have not been renewed row by row, each after those it reads."""
    con, models = night.warehouse.con, nights.models()
    names, every = run.models(models), run.models(models, of_every_source=True)
    # In a replay what other sources hold is of a later time, after one it is of an earlier.
    others = set(every) - set(names)
    if is_replay(night.warehouse, night.clock.as_of) or others - marks_of(con, others).keys():
        names = every
    renewed = renewed_now(con, names)
    for name in names:
        if name in renewed:
            continue
        tell(f"{models[name].layer}: {models[name].table.replace('_', ' ')}")
        built = build_model(
            con, models[name], expectations=deployment.border_checks, publish_comments=deployment.describe
        )
        built.raise_if_blocked()
        _record(context, name, {} if built.rows is None else {"dagster/row_count": built.rows})


def _record_renewed(context: dg.OpExecutionContext, night: Night) -> None:
    """Say of every table of which this run has renewed rows that it was materialized."""
    touched = renewed_now(night.warehouse.con, nights.models())
    for name in sorted({*touched, _PHONES}) if touched else ():
        _record(context, name, _TOUCHED)


def _record(context: dg.OpExecutionContext, table: str, shown: _Shown) -> None:
    """Say in the UI that a table was materialized."""
    context.log_event(
        dg.AssetMaterialization(dg.AssetKey(table.split(".")), metadata=dict(shown), partition=context.partition_key)
    )


def _job(name: str, source: str) -> dg.JobDefinition:
    @dg.job(
        name=name,
        partitions_def=practices,
        description=f"What arrived in {source}, what follows for those whom it touches, and the write-back to the CRM."
        " Blocking tests stop it; their results are kept in the warehouse and not as events.",
    )
    def event_job() -> None:
        correct_the_crm(renew_the_touched(take_what_arrived()))

    return event_job


eligibility_event = _job("eligibility_event", "pm/eligibility")
ehr_event = _job("ehr_event", "ehr_events")
reply_event = _job("reply_event", "replies")
