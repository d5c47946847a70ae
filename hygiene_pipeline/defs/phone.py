"""Phone numbers: what people typed, normalised once a text; and the lookups that are asked for each night."""

from datetime import UTC, datetime

import dagster as dg

from hygiene_pipeline.defs.partitions import OWNERS, WAREHOUSE_POOL, practices
from hygiene_pipeline.defs.resources import Deployment
from hygiene_pipeline.night import Night
from hygiene_pipeline.phone.request_file import write_request_file
from hygiene_pipeline.phone.texts import normalise_every_text
from hygiene_pipeline.progress import tell
from hygiene_pipeline.sync.paid_lookups import (
    Asked,
    LookupsStoppedError,
    ask_vendor,
    is_latest,
    is_of_tonight,
    night_of,
)

_TYPED_IN = ("pm_patients", "crm_contacts", "fhir_patient", "ehr_event", "phone_lookups", "replies")


@dg.asset(
    key=["staging", "phone_number"],
    deps=[dg.AssetKey(["raw", table]) for table in _TYPED_IN],
    group_name="staging",
    kinds={"duckdb", "python"},
    owners=OWNERS,
    partitions_def=practices,
    pool=WAREHOUSE_POOL,
)
def phone_number(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult[None]:
    """One row per distinct text that any source gave as a phone number, with its E.164 or the reason there is none.

    libphonenumber's verdicts: the common forms by its own patterns inside DuckDB, the rest by the library.
    """
    tell("reading phone numbers")
    with deployment.night(context.partition_key) as night:
        return dg.MaterializeResult(metadata=normalise_texts(night))


def normalise_texts(night: Night) -> dict[str, int | str]:
    """Read every text anew; what the UI shows of the table."""
    with night.warehouse.transaction():
        normalise_every_text(night.warehouse.con, default_region=night.practice.policies.phone.default_region)
    [(rows, invalid)] = night.warehouse.rows("select count(*), count(reason) from staging.phone_number")
    return {
        "dagster/row_count": int(str(rows)),
        "dagster/table_name": "staging.phone_number",
        "invalid": int(str(invalid)),
    }


@dg.asset(
    key=["sync", "phone_lookup_call"],
    deps=[dg.AssetKey(["hygiene", "phone_validation_plan"]), dg.AssetKey(["policy", "tables"])],
    group_name="sync",
    kinds={"duckdb", "python"},
    owners=OWNERS,
    partitions_def=practices,
    pool=WAREHOUSE_POOL,
)
def phone_lookup_call(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult[None]:
    """The ledger of paid lookups: one row per number that a vendor was asked about, with the answer and its price.

    Asks for what the plan holds, most at risk first, and stores each answer as it comes, so that the rest of the night
    works with it. For lookups bought elsewhere the numbers go into `outbox/phone_lookups_due.csv`. A past night asks
    nobody; neither does a practice that switched lookups off.
    """
    tell("asking for phone lookups")
    with deployment.night(context.partition_key) as night:
        as_of = night.clock.as_of
        if night.practice.phone_lookup.kind == "files" and is_latest(night.warehouse, as_of=as_of):
            phones = night.warehouse.rows(
                "select phone from hygiene.phone_validation_plan where not is_left_out order by rank, phone"
            )
            write_request_file(night.folders.outbox, [str(phone) for (phone,) in phones])
        is_tonight = is_of_tonight(night.warehouse, as_of=as_of, now=datetime.now(UTC))
        asked = ask_vendor(night.warehouse, night.practice, night.keys, as_of=as_of) if is_tonight else Asked()
        total = night.warehouse.value("select count(*) from sync.phone_lookup_call")
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": int(str(total)),
            "dagster/table_name": "sync.phone_lookup_call",
            "kind": night.practice.phone_lookup.kind,
            "planned": asked.planned,
            "answered": asked.answered,
            "failed": asked.failed,
            "cost_usd": asked.cost_usd,
            "left_out_by_budget": asked.left_out,
            "stopped_packages": "; ".join(asked.stopped_packages),
            "held_back_as_replay": not is_tonight,
        }
    )


@dg.asset(
    key=["sync", "phone_lookup_run"],
    deps=[dg.AssetKey(["sync", "phone_lookup_call"])],
    group_name="sync",
    kinds={"duckdb"},
    owners=OWNERS,
    partitions_def=practices,
    pool=WAREHOUSE_POOL,
)
def phone_lookup_run(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult[None]:
    """One row per night on which a vendor was to be asked: what was planned, answered, lost and spent.

    Fails if the asking was stopped, by missing credentials for one. Nothing waits for this step, so the night's other
    work is done all the same, and the run says why it is not whole.
    """
    with deployment.night(context.partition_key) as night:
        asked = night_of(night.warehouse, as_of=night.clock.as_of)
        total = night.warehouse.value("select count(*) from sync.phone_lookup_run")
    if asked.stopped_by:
        raise LookupsStoppedError(asked.stopped_by)
    return dg.MaterializeResult(
        metadata={"dagster/row_count": int(str(total)), "dagster/table_name": "sync.phone_lookup_run"}
    )
