"""The start of every run: its clock, and the practice's policies as tables."""

from datetime import UTC, datetime

import dagster as dg

from hygiene_pipeline import night as nights
from hygiene_pipeline.defs.partitions import OWNERS, WAREHOUSE_POOL, practices
from hygiene_pipeline.defs.resources import Deployment
from hygiene_pipeline.failures import PermanentError


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
    with deployment.night(context.partition_key) as night:
        written = nights.begin(night, as_of=_as_of(deployment.as_of))
    return dg.MaterializeResult(metadata={"dagster/row_count": sum(written.values()), "tables": len(written)})


def _as_of(text: str) -> datetime:
    if not text:
        return datetime.now(UTC).replace(microsecond=0)
    try:
        as_of = datetime.fromisoformat(text)
    except ValueError:
        raise PermanentError("as_of: is not a time; allowed: ISO 8601 such as 2026-03-01T07:00:00Z") from None
    if as_of.tzinfo is None:
        raise PermanentError("as_of: has no offset; allowed: ISO 8601 with offset such as 2026-03-01T07:00:00Z")
    return as_of.astimezone(UTC)
