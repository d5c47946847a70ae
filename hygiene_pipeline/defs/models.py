"""The SQL layers: every file of `dbt_like_sql/<layer>/` is an asset, its `models.yml` tests are its checks.

A layer is one step that builds the selected models in the order of their dependencies. A table is built aside, tested,
and only then put in place; if a blocking check fails, the old table stands and the run stops.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import dagster as dg
from duckdb import DuckDBPyConnection

from hygiene_pipeline import night as nights
from hygiene_pipeline.defs.partitions import OWNERS, WAREHOUSE_POOL, practices
from hygiene_pipeline.defs.resources import Deployment
from hygiene_pipeline.lineage_store import LineageStore
from hygiene_pipeline.model_build import BlockingTestFailedError, Built, ModelFailedError, build_model, finished
from hygiene_pipeline.model_contracts import ContractError
from hygiene_pipeline.model_tests import TestResult
from hygiene_pipeline.progress import tell
from hygiene_pipeline.sql_models import Model, ModelTest, followed, topological

_POLICY = dg.AssetKey(["policy", "tables"])


def _key(table: str) -> dg.AssetKey:
    """The asset of a table; the policy tables are written together and are one asset."""
    return _POLICY if table.startswith("policy.") else dg.AssetKey(table.split("."))


def _check_name(test: ModelTest) -> str:
    """Checks of one model come in up to four: SQL tests and Great Expectations, each blocking or warning."""
    engine = "expectations" if test.type.startswith("expect_") else "contract"
    return engine if test.blocking else f"{engine}_warnings"


def _spec(model: Model, follows: Sequence[str]) -> dg.AssetSpec:
    columns = [dg.TableColumn(column.name, description=column.description) for column in model.columns]
    return dg.AssetSpec(
        _key(model.name),
        deps=sorted({_key(table) for table in (*model.dependencies, *follows)} | {_POLICY}),
        description=f"{model.description}\n\n```sql\n{model.sql.strip()}\n```",
        group_name=model.layer,
        kinds={"duckdb", "sql"},
        owners=[model.owner] if model.owner else OWNERS,
        code_version=model.code_version,
        metadata={"dagster/column_schema": dg.TableSchema(columns), "dagster/table_name": model.name},
    )


def _checks(model: Model) -> list[dg.AssetCheckSpec]:
    ordered = sorted(model.every_test, key=_check_name)
    return [
        dg.AssetCheckSpec(
            name,
            asset=_key(model.name),
            blocking=not name.endswith("_warnings"),
            description="; ".join(f"{test.type} {test.column or ''}".strip() for test in tests),
        )
        for name, tests in groupby(ordered, key=_check_name)
    ]


def _layer(layer: str, models: dict[str, Model]) -> dg.AssetsDefinition:
    own = {name: model for name, model in models.items() if model.layer == layer}
    follows = followed(models)

    @dg.multi_asset(
        name=layer,
        specs=[_spec(model, follows[name]) for name, model in own.items()],
        check_specs=[check for model in own.values() for check in _checks(model)],
        partitions_def=practices,
        can_subset=True,
        pool=WAREHOUSE_POOL,
    )
    def layer_assets(
        context: dg.AssetExecutionContext, deployment: Deployment
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        wanted = {name for name in own if _key(name) in context.selected_asset_keys}
        with deployment.night(context.partition_key) as night:
            con = night.warehouse.con
            lineages = LineageStore(con, list(own.values())) if deployment.describe else None
            looked_at: list[Built] = []
            try:
                for name in topological(models, wanted):
                    tell(f"{layer}: {own[name].table.replace('_', ' ')}")
                    built = build_model(
                        con,
                        own[name],
                        expectations=deployment.border_checks,
                        publish_comments=deployment.describe,
                        wait=False,
                    )
                    if built.asked:
                        looked_at.append(built)
                    if built.published:
                        yield _materialized(own[name], built, lineages)
                    yield from _evaluations(context, own[name], built)
                    built.raise_if_blocked()
            except (ModelFailedError, ContractError, BlockingTestFailedError):
                yield from _told_late(context, own, con, looked_at)
                raise
            yield from _told_late(context, own, con, looked_at)

    return layer_assets


def _told_late(
    context: dg.AssetExecutionContext, models: Mapping[str, Model], con: DuckDBPyConnection, looked_at: Sequence[Built]
) -> Iterator[dg.AssetCheckResult]:
    """What expectations that only warn found elsewhere while the next models were built here."""
    for early in looked_at:
        yield from _evaluations(context, models[early.model], finished(con, early), after=early)


def _materialized(model: Model, built: Built, lineages: LineageStore | None) -> dg.MaterializeResult[None]:
    """A published model; its columns and where they come from only in a run that describes them."""
    metadata: dict[str, int | dg.TableSchema | dg.TableColumnLineage] = {}
    if built.rows is not None:
        metadata["dagster/row_count"] = built.rows
    if lineages is not None:
        lineages.follow(built)
        words = {column.name: column.description for column in model.columns}
        metadata["dagster/column_schema"] = dg.TableSchema(
            [dg.TableColumn(name, type=kind, description=words.get(name)) for name, kind in built.columns]
        )
        metadata["dagster/column_lineage"] = _lineage(lineages, model)
    return dg.MaterializeResult(asset_key=_key(model.name), metadata=metadata)


def _lineage(lineages: LineageStore, model: Model) -> dg.TableColumnLineage:
    return dg.TableColumnLineage(
        {
            column: [
                dg.TableColumnDep(asset_key=_key(table), column_name=source)
                for table, source in sources
                if not table.startswith("policy.")
            ]
            for column, sources in lineages.lineage(model).items()
        }
    )


def _evaluations(
    context: dg.AssetExecutionContext, model: Model, built: Built, *, after: Built | None = None
) -> Iterator[dg.AssetCheckResult]:
    """The checks of which something is known, and was not yet when the model stood `after` its build."""
    results = {result.test: result for result in built.results}
    told = {result.test for result in after.results} if after else set()
    ordered = sorted(model.every_test, key=_check_name)
    for name, tests in groupby(ordered, key=_check_name):
        names = [test.name for test in tests]
        ran = [results[test] for test in names if test in results]
        is_awaited = built.asked is not None and not ran
        if is_awaited or (told & set(names)):
            continue
        if dg.AssetCheckKey(_key(model.name), name) in context.selected_asset_check_keys:
            yield _evaluation(model, name, ran, context.partition_key)


def _evaluation(model: Model, name: str, ran: Sequence[TestResult], practice: str) -> dg.AssetCheckResult:
    failed = [result for result in ran if not result.passed]
    told = "; ".join(f"{each.test}: {each.error or f'{each.failing} of {each.checked} rows'}" for each in failed)
    return dg.AssetCheckResult(
        asset_key=_key(model.name),
        check_name=name,
        passed=not failed,
        severity=dg.AssetCheckSeverity.WARN if name.endswith("_warnings") else dg.AssetCheckSeverity.ERROR,
        description=told or ("all tests passed" if ran else "left out of this run"),
        metadata={
            "practice": practice,
            "tests": len(ran),
            "failing_rows": sum(each.failing for each in failed),
            "failing_keys": "quality.check_failure in the warehouse",
        },
    )


@dg.definitions
def layers() -> dg.Definitions:
    """One step a layer, in which every model is an asset of its own."""
    models = nights.models()
    return dg.Definitions(assets=[_layer(layer, models) for layer in dict.fromkeys(m.layer for m in models.values())])
