"""Phone numbers: what people typed, normalised once a text; and which numbers shall be looked up next."""

import dagster as dg

from hygiene_pipeline.defs.partitions import OWNERS, WAREHOUSE_POOL, practices
from hygiene_pipeline.defs.resources import Deployment
from hygiene_pipeline.phone.request_file import write_request_file
from hygiene_pipeline.phone.texts import normalise_every_text
from hygiene_pipeline.progress import tell

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
        region = night.practice.policies.phone.default_region
        with night.warehouse.transaction():
            rows = normalise_every_text(night.warehouse.con, default_region=region)
        invalid = night.warehouse.value("select count(*) from staging.phone_number where reason is not null")
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows,
            "dagster/table_name": "staging.phone_number",
            "invalid": int(str(invalid)),
        }
    )


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
    """The numbers to look up next, most at risk first, as `outbox/phone_lookups_due.csv` for a lookup bought elsewhere.

    Nothing is written when the practice file switches lookups off.
    """
    tell("asking for phone lookups")
    with deployment.night(context.partition_key) as night:
        rows = night.warehouse.rows(
            "select phone from hygiene.phone_validation_plan where not is_left_out order by rank, phone"
        )
        if night.practice.phone_lookup.kind == "files":
            write_request_file(night.folders.outbox, [str(phone) for (phone,) in rows])
    return dg.MaterializeResult(metadata={"dagster/row_count": len(rows)})
