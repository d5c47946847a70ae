"""The raw layer: what the source systems dropped, one asset a table; what could not be used is quarantined."""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from hygiene_pipeline.defs.partitions import OWNERS, WAREHOUSE_POOL, practices
from hygiene_pipeline.defs.resources import Deployment
from hygiene_pipeline.failures import NightStoppedError
from hygiene_pipeline.landing.crm_extract import extract_contacts
from hygiene_pipeline.landing.fetch import EHR
from hygiene_pipeline.landing.fetch_pm import FETCHED
from hygiene_pipeline.landing.sources import SOURCES, RawTable
from hygiene_pipeline.landing.take import Taken, is_replay, take
from hygiene_pipeline.landing.volume import Volume, judge
from hygiene_pipeline.night import Night
from hygiene_pipeline.progress import tell

_CHECK = "brought_enough"
# Which asset asks a vendor for the files of a place, where a vendor is asked.
_FETCHED_BY = {EHR: "ehr_export", **dict.fromkeys(FETCHED, "pm_lists")}


def _asset(source: str, tables: Sequence[RawTable]) -> dg.AssetsDefinition:
    """One step a source system: takes the places of the selected tables."""

    @dg.multi_asset(
        name=f"raw_{source}",
        specs=[
            dg.AssetSpec(
                ["raw", table.name],
                deps=_upstream(table),
                group_name="raw",
                description=table.description,
                kinds={"duckdb", table.kind},
                owners=OWNERS,
                metadata={"place": table.place},
            )
            for table in tables
        ],
        check_specs=[
            dg.AssetCheckSpec(
                _CHECK,
                asset=["raw", table.name],
                blocking=True,
                description="The source brought anything, and no less than the policy's share of the last time.",
            )
            for table in tables
            if table.judged
        ],
        partitions_def=practices,
        can_subset=True,
        pool=WAREHOUSE_POOL,
    )
    def source_asset(
        context: dg.AssetExecutionContext, deployment: Deployment
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        tell(f"taking what the {source.upper()} brought")
        chosen = [table for table in tables if dg.AssetKey(["raw", table.name]) in context.selected_asset_keys]
        with deployment.night(context.partition_key) as night:
            taken = take_tables(night, chosen, settle_seconds=deployment.settle_seconds)
            volumes = judge_taken(night, taken)
            for table in chosen:
                yield dg.MaterializeResult(
                    asset_key=["raw", table.name], metadata=raw_metadata(night, table, taken.get(table.place))
                )
        for table in chosen:
            if dg.AssetCheckKey(dg.AssetKey(["raw", table.name]), _CHECK) in context.selected_asset_check_keys:
                volume = volumes.pop(table.place, None)
                yield _check(table, volume, context.partition_key)
        # In a run that was started without its checks, nothing else would stop it.
        stop_at_too_little(volumes)

    return source_asset


def _upstream(table: RawTable) -> list[dg.AssetKey]:
    keys = [dg.AssetKey(["policy", "tables"])]
    if table.place in _FETCHED_BY:
        keys.append(dg.AssetKey(["landing", _FETCHED_BY[table.place]]))
    return keys


def take_tables(night: Night, tables: Sequence[RawTable], *, settle_seconds: float) -> dict[str, Taken]:
    """Take what lies in the places of these tables, by place; nothing in a replay of a past night."""
    as_of = night.clock.as_of
    if is_replay(night.warehouse, as_of):
        return {}
    places = dict.fromkeys(table.place for table in tables)
    has_contacts = "crm/contacts.csv" in places
    places.pop("crm/contacts.csv", None)
    taken = take(
        night.warehouse,
        night.practice,
        night.folders,
        places,
        as_of=as_of,
        settle_seconds=settle_seconds,
    )
    if has_contacts:
        taken["crm/contacts.csv"] = extract_contacts(
            night.warehouse, night.practice, night.folders, as_of=as_of, settle_seconds=settle_seconds
        )
    return taken


def judge_taken(night: Night, taken: Mapping[str, Taken]) -> dict[str, Volume]:
    """Whether each place brought enough, by place."""
    present = {place: each.present for place, each in taken.items() if each.present is not None}
    with night.warehouse.transaction():
        volumes = judge(night.warehouse.con, night.practice.policies.delivery, present, as_of=night.clock.as_of)
    return {volume.place: volume for volume in volumes}


def stop_at_too_little(volumes: Mapping[str, Volume]) -> None:
    """Raise for the first place that did not bring enough."""
    for volume in volumes.values():
        if not volume.passed:
            raise NightStoppedError(f"{volume.place}: {volume.reason}")


def raw_metadata(night: Night, table: RawTable, taken: Taken | None) -> dict[str, int | str | dg.TableSchema]:
    """What the UI shows of a raw table: its size and columns, and what this run took into it."""
    columns = night.warehouse.rows(f"describe raw.{table.name}")
    metadata: dict[str, int | str | dg.TableSchema] = {
        "dagster/row_count": int(str(night.warehouse.value(f"select count(*) from raw.{table.name}"))),
        "dagster/table_name": f"raw.{table.name}",
        "dagster/column_schema": dg.TableSchema(
            [dg.TableColumn(str(name), type=str(kind)) for name, kind, *_ in columns]
        ),
    }
    if taken is not None:
        metadata |= {"new_files": taken.files, "new_rows": taken.loaded.rows, "quarantined": taken.loaded.quarantined}
    return metadata


def _check(table: RawTable, volume: Volume | None, practice: str) -> dg.AssetCheckResult:
    reason = volume.reason if volume else "not judged: a file is being written, or a past night is replayed"
    return dg.AssetCheckResult(
        passed=volume is None or volume.passed,
        check_name=_CHECK,
        asset_key=["raw", table.name],
        description=f"{table.place}: {reason}",
        metadata={
            "practice": practice,
            "records": volume.records if volume else 0,
            "previous": (volume.previous or 0) if volume else 0,
        },
    )


@dg.asset(
    key=["quarantine", "record"],
    deps=[dg.AssetKey(["raw", table.name]) for tables in SOURCES.values() for table in tables],
    group_name="quarantine",
    kinds={"duckdb"},
    owners=OWNERS,
    partitions_def=practices,
    pool=WAREHOUSE_POOL,
)
def quarantine_record(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult[None]:
    """Every record that could not be used, with source, file, line, field, reason and its original text.

    Filled by the raw step; counted here by place and reason. A record stays until a person deals with it.
    """
    with deployment.night(context.partition_key) as night:
        rows = night.warehouse.rows(
            "select place, reason, count(*) from quarantine.record group by all order by place, reason"
        )
    records = [
        dg.TableRecord({"place": str(place), "reason": str(reason), "records": int(str(count))})
        for place, reason, count in rows
    ]
    schema = dg.TableSchema(
        [dg.TableColumn("place"), dg.TableColumn("reason"), dg.TableColumn("records", type="integer")]
    )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(int(str(count)) for *_, count in rows),
            "dagster/table_name": "quarantine.record",
            "by_reason": dg.MetadataValue.table(records, schema),
        }
    )


raw_ehr, raw_pm, raw_crm, raw_phone, raw_replies = (_asset(source, tables) for source, tables in SOURCES.items())
