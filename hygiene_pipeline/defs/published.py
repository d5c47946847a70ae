"""One database a role, with the minimum that the role needs, replaced by one rename."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import dagster as dg

from hygiene_pipeline import night as nights
from hygiene_pipeline.defs.partitions import OWNERS, WAREHOUSE_POOL, practices
from hygiene_pipeline.defs.resources import Deployment
from hygiene_pipeline.night import Night
from hygiene_pipeline.privacy.border import meet_expectations, take_as_it_is
from hygiene_pipeline.privacy.publish import publish
from hygiene_pipeline.privacy.roles import Role, load_roles
from hygiene_pipeline.progress import tell

_TABLES_OF_THE_BUILD = ("policy", "quality", "history")


def _spec(name: str, role: Role) -> dg.AssetSpec:
    upstream = [table for table in role.tables if not table.startswith(_TABLES_OF_THE_BUILD)]
    return dg.AssetSpec(
        ["published", name],
        deps=[dg.AssetKey(table.split(".")) for table in upstream],
        group_name="published",
        kinds={"duckdb"},
        owners=OWNERS,
        description=f"`published/{name}.duckdb`: {role.description} Tables: {', '.join(sorted(role.tables))}.",
    )


_ROLES = load_roles()


@dg.multi_asset(
    name="published",
    specs=[_spec(name, role) for name, role in _ROLES.roles.items()],
    partitions_def=practices,
    can_subset=True,
    pool=WAREHOUSE_POOL,
)
def published(context: dg.AssetExecutionContext, deployment: Deployment) -> Iterator[dg.MaterializeResult[None]]:
    """Build each role's database aside, see that it meets its expectations, and put it in place of the old one."""
    tell("publishing")
    chosen = [name for name in _ROLES.roles if dg.AssetKey(["published", name]) in context.selected_asset_keys]
    with deployment.night(context.partition_key) as night, ThreadPoolExecutor() as threads:
        # Much of one role's work is one core's, so another role's goes beside it.
        building = {
            name: threads.submit(_build, night, name, night.key(name), is_checked=deployment.border_checks)
            for name in chosen
        }
        for name, built in building.items():
            if built.exception() is None:
                rows = built.result()
                yield dg.MaterializeResult(
                    asset_key=["published", name],
                    metadata={"dagster/row_count": sum(rows.values()), "tables": len(rows)},
                )
        for built in building.values():
            built.result()


def _build(night: Night, name: str, key: str, *, is_checked: bool) -> dict[str, int]:
    """Publish for one role, over a connection of its own; the rows by table."""
    with night.warehouse.beside() as con:
        return publish(
            con,
            _ROLES,
            name,
            night.folders.published / f"{name}.duckdb",
            key=key,
            check=partial(meet_expectations, name) if is_checked else take_as_it_is,
            grains={model.name: model.grain for model in nights.models().values()},
        )
