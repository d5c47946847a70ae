"""The start of every run: its clock, and the practice's policies as tables."""

import dagster as dg

from hygiene_pipeline import expectations
from hygiene_pipeline import night as nights
from hygiene_pipeline.defs.partitions import OWNERS, WAREHOUSE_POOL, practices
from hygiene_pipeline.defs.resources import Deployment


@dg.asset(
    key=["policy", "tables"],
    group_name="policy",
    kinds={"yaml", "duckdb"},
    owners=OWNERS,
    partitions_def=practices,
    pool=WAREHOUSE_POOL,
)
def policy_tables(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult[None]:
    """The practice file and its policies as `policy.*` tables, and the run's clock.

    One table a policy, written anew at the start of every run, so that SQL joins thresholds instead of repeating them.
    `policy.clock` holds the only time that SQL knows.
    """
    if deployment.border_checks:
        expectations.make_ready()
    with deployment.night(context.partition_key) as night:
        written = nights.begin(night, as_of=deployment.time_of_run())
    return dg.MaterializeResult(metadata={"dagster/row_count": sum(written.values()), "tables": len(written)})
