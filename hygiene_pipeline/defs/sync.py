"""Writing back: changes planned and applied to the CRM by compare-and-set, and messages that win numbers back."""

from collections import Counter
from datetime import UTC, datetime
from functools import partial

import dagster as dg

from hygiene_pipeline.defs.partitions import OWNERS, WAREHOUSE_POOL, practices
from hygiene_pipeline.defs.resources import Deployment
from hygiene_pipeline.night import Night
from hygiene_pipeline.progress import tell
from hygiene_pipeline.sync.channels import open_channels
from hygiene_pipeline.sync.delivery import Pass, send_messages
from hygiene_pipeline.sync.messages import plan_messages, show_messages, write_messages
from hygiene_pipeline.sync.outbox import apply_changes, plan_changes
from hygiene_pipeline.sync.writer import crm_writer


@dg.asset(
    key=["sync", "crm_change"],
    deps=[
        dg.AssetKey(["reconciled", "field_decision"]),
        dg.AssetKey(["reconciled", "crm_value_since"]),
        dg.AssetKey(["hygiene", "contact_status"]),
        dg.AssetKey(["identity", "patient_link"]),
        dg.AssetKey(["staging", "crm_contact"]),
        dg.AssetKey(["policy", "tables"]),
    ],
    group_name="sync",
    kinds={"duckdb", "python"},
    owners=OWNERS,
    partitions_def=practices,
    pool=WAREHOUSE_POOL,
)
def crm_change(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult[None]:
    """The outbox and ledger of writes: one row per change of one field of one CRM contact.

    A change is written only if the CRM still shows the value that the decision was taken on; otherwise it is a
    conflict and the newer edit stands. `crm.sync` in the practice file says whether anything is written at all.
    """
    tell("writing back to the CRM")
    with deployment.night(context.partition_key) as night:
        return dg.MaterializeResult(metadata=write_back(night))


def write_back(night: Night, *, only_touched: bool = False) -> dict[str, int | str | bool]:
    """Plan the changes, of all contacts or of those whom an event run touched, and apply them; what the UI shows."""
    as_of = night.clock.as_of
    with night.warehouse.transaction():
        planned = plan_changes(night.warehouse.con, as_of=as_of, only_touched=only_touched)
    with crm_writer(night.practice, night.folders) as crm:
        applied = apply_changes(night.warehouse.con, crm, as_of=as_of, mode=night.practice.crm.sync)
    return {
        "dagster/row_count": int(str(night.warehouse.value("select count(*) from sync.crm_change"))),
        "dagster/table_name": "sync.crm_change",
        "mode": night.practice.crm.sync,
        "newly_planned": planned.new,
        "applied": applied.applied,
        "handed_over": applied.handed_over,
        "conflicts": applied.conflicts,
        "failed": applied.failed,
        "held_back_as_replay": applied.is_held_back,
    }


@dg.asset(
    key=["sync", "message"],
    deps=[
        dg.AssetKey(["hygiene", "contact_status"]),
        dg.AssetKey(["staging", "crm_contact"]),
        dg.AssetKey(["staging", "reply"]),
        # After the CRM was corrected: nobody is asked about a number that was just replaced.
        dg.AssetKey(["sync", "crm_change"]),
    ],
    group_name="sync",
    kinds={"duckdb", "python"},
    owners=OWNERS,
    partitions_def=practices,
    pool=WAREHOUSE_POOL,
)
def message(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult[None]:
    """One row per try to have a patient confirm a phone number, or the reason not to.

    Goes to the email or the alternate number, never to the bad one; without clinical content, within calling hours,
    and never against an opt-out. `messages` in the practice file says what carries it; a dry run only shows it.
    """
    tell("asking patients to confirm numbers")
    with deployment.night(context.partition_key) as night:
        return dg.MaterializeResult(metadata=ask_patients(night))


def ask_patients(night: Night) -> dict[str, int | str]:
    """Plan the messages, and send or show them; what the UI shows."""
    con, practice, as_of = night.warehouse.con, night.practice, night.clock.as_of
    with night.warehouse.transaction():
        planned = plan_messages(con, practice, as_of=as_of)
    ended: Counter[str] = Counter()
    if practice.messages.send == "dry_run":
        ended["would_be_sent"] = show_messages(con, practice, night.folders.outbox, as_of=as_of)
    else:
        ended["sent"] = write_messages(con, practice, night.folders.outbox, as_of=as_of)
        now = partial(datetime.now, UTC)
        this = Pass(practice=practice, as_of=as_of, now=now, landing=night.folders.landing)
        with open_channels(practice, night.keys, at=now()) as channels:
            ended += send_messages(con, channels, this)
    return {
        "dagster/row_count": int(str(night.warehouse.value("select count(*) from sync.message"))),
        "dagster/table_name": "sync.message",
        "mode": practice.messages.send,
        "new": planned,
        **ended,
    }
