"""A run that is not recorded goes and ends as a recorded one, tells its caller the same, and leaves nothing else."""

from collections.abc import Iterator

import dagster as dg
import pytest

from hygiene_pipeline.defs.unrecorded import unrecorded_runs

PARTITIONS = dg.StaticPartitionsDefinition(["one", "other"])


@dg.multi_asset(
    specs=[dg.AssetSpec("source"), dg.AssetSpec("table", deps=["source"])],
    check_specs=[dg.AssetCheckSpec("contract", asset="table", blocking=True)],
    partitions_def=PARTITIONS,
)
def layer(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    yield dg.MaterializeResult(asset_key="source")
    yield dg.MaterializeResult(asset_key="table", metadata={"dagster/row_count": 3})
    is_sound = context.partition_key == "one"
    yield dg.AssetCheckResult(asset_key="table", check_name="contract", passed=is_sound, description="2 of 3 rows")


@dg.asset(deps=["table"], partitions_def=PARTITIONS)
def report() -> None: ...


def run(instance: dg.DagsterInstance, partition: str) -> dg.ExecuteInProcessResult:
    return dg.materialize([layer, report], instance=instance, partition_key=partition, raise_on_error=False)


def told(result: dg.ExecuteInProcessResult) -> list[tuple[str, str | None]]:
    return [(event.event_type_value, event.step_key) for event in result.all_events]


@pytest.mark.parametrize(
    ("partition", "status"), [("one", dg.DagsterRunStatus.SUCCESS), ("other", dg.DagsterRunStatus.FAILURE)]
)
def test_it_ends_as_a_recorded_run(partition: str, status: dg.DagsterRunStatus) -> None:
    with dg.DagsterInstance.ephemeral() as recorded, unrecorded_runs() as unrecorded:
        # Twice, because the second run of a recorded instance finds what the first one left.
        for _ in range(2):
            expected, found = run(recorded, partition), run(unrecorded, partition)
            assert told(found) == told(expected)
            assert [check.description for check in found.get_asset_check_evaluations()] == ["2 of 3 rows"]
            ended = unrecorded.get_run_by_id(found.run_id)
            assert ended is not None
            assert ended.status == status


def test_nothing_is_kept_of_its_steps() -> None:
    with unrecorded_runs() as instance:
        result = run(instance, "one")
        kept = [entry.get_dagster_event() for entry in instance.all_logs(result.run_id)]
        assert kept
        assert all(event.is_job_event for event in kept)
        assert instance.get_latest_materialization_event(dg.AssetKey("table")) is None


def test_instances_of_others_stay_as_they_are() -> None:
    with unrecorded_runs(), dg.DagsterInstance.ephemeral() as recorded:
        run(recorded, "one")
        assert recorded.get_latest_materialization_event(dg.AssetKey("table")) is not None
