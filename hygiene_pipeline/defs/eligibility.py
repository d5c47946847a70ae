"""Eligibility: the inquiries that are due, handed to whoever asks payers."""

import dagster as dg

from hygiene_pipeline.defs.partitions import OWNERS, WAREHOUSE_POOL, practices
from hygiene_pipeline.defs.resources import Deployment
from hygiene_pipeline.night import Night
from hygiene_pipeline.progress import tell
from hygiene_pipeline.sync.inquiries import write_inquiries


@dg.asset(
    key=["sync", "eligibility_checks_due"],
    deps=[
        dg.AssetKey(["hygiene", "eligibility_recheck_plan"]),
        # Whom each trace is about is kept before the file leaves.
        dg.AssetKey(["hygiene", "eligibility_inquiry"]),
    ],
    group_name="sync",
    kinds={"csv"},
    owners=OWNERS,
    partitions_def=practices,
    pool=WAREHOUSE_POOL,
)
def eligibility_checks_due(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult[None]:
    """The eligibility inquiries due, the most urgent first, as `outbox/eligibility/checks_due.csv` for the PM.

    Patients by their PM id, one line an inquiry; only the file's owner may read it.
    """
    tell("asking for eligibility checks")
    with deployment.night(context.partition_key) as night:
        return dg.MaterializeResult(metadata=hand_over_inquiries(night))


def hand_over_inquiries(night: Night) -> dict[str, int]:
    """Write the file anew; what the UI shows."""
    service_type = night.practice.policies.x12_outcomes.service_type
    return {"dagster/row_count": write_inquiries(night.warehouse.con, night.folders.outbox, service_type=service_type)}
