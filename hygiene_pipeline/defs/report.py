"""The scorecard as one page, for whoever would rather look than read."""

import dagster as dg

from hygiene_pipeline.defs.partitions import OWNERS, WAREHOUSE_POOL, practices
from hygiene_pipeline.defs.resources import Deployment
from hygiene_pipeline.progress import tell
from hygiene_pipeline.report import write_report


@dg.asset(
    key=["reports", "scorecard"],
    deps=[dg.AssetKey(["metrics", table]) for table in ("benchmark", "stale_rate", "sync_lag", "roi", "queue")],
    group_name="reports",
    kinds={"html"},
    owners=OWNERS,
    partitions_def=practices,
    pool=WAREHOUSE_POOL,
)
def scorecard(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult[None]:
    """`reports/scorecard.html`: benchmarks with their bands, staleness over time, the queue, what staleness costs.

    Aggregates only; it may be shown to anybody.
    """
    tell("writing the report")
    with deployment.night(context.partition_key) as night:
        path = write_report(night.warehouse.con, night.folders.reports)
    return dg.MaterializeResult(metadata={"size_in_bytes": path.stat().st_size})
