"""What vendors are asked for before a night takes files: one asset for each source system that may have to be asked.

A step of its own and in no pool: a vendor may take an hour to answer, and no other practice's night waits for that.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from hygiene_pipeline.defs.partitions import OWNERS, practices
from hygiene_pipeline.defs.resources import Deployment
from hygiene_pipeline.folders import Folders
from hygiene_pipeline.landing.fetch import EHR, Fetched, fetch, is_asked
from hygiene_pipeline.landing.fetch_pm import FETCHED
from hygiene_pipeline.landing.take import has_taken, is_replay
from hygiene_pipeline.practice import load_practice


def _asset(name: str, places: Sequence[str], *, kind: str, description: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=["landing", name],
        deps=[dg.AssetKey(["policy", "tables"])],
        group_name="landing",
        description=f"{description} Nothing is asked where files are dropped, nor when a past night is replayed.",
        kinds={kind},
        owners=OWNERS,
        partitions_def=practices,
    )
    def fetched(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult[None]:
        found = _fetch(deployment, context.partition_key, places)
        told = {key: value for place in places for key, value in found.get(place, {}).items()}
        return dg.MaterializeResult(metadata=told)

    return fetched


def _fetch(deployment: Deployment, practice_id: str, places: Sequence[str]) -> Fetched:
    """Ask the vendor behind these places, if any, while the warehouse is closed."""
    folders = Folders()
    practice = load_practice(folders.practices, practice_id)
    if not is_asked(practice, places):
        return {}
    with deployment.night(practice_id) as night:
        as_of = night.clock.as_of
        if is_replay(night.warehouse, as_of):
            return {}
        is_first_export = not has_taken(night.warehouse, EHR)
    return fetch(
        practice,
        folders.of(practice_id),
        folders.keys,
        places,
        as_of=as_of,
        is_first_export=is_first_export,
        clock=lambda: datetime.now(UTC),
    )


ehr_export = _asset(
    "ehr_export",
    (EHR,),
    kind="fhir",
    description="The bulk export of an EHR that is asked for one: whole, or not there.",
)
pm_lists = _asset(
    "pm_lists",
    FETCHED,
    kind="csv",
    description="The lists of a practice management system that is asked for them: all of them, or as they were.",
)
