"""Lays a slice over the warehouse: every table, its history and its marks in one transaction, or nothing at all."""

from collections.abc import Mapping, Sequence

import duckdb

from hygiene_pipeline import build_marks, model_quality
from hygiene_pipeline.event_run.slices import NotSlicedError, Slice, is_touched
from hygiene_pipeline.model_history import Types, keep_history
from hygiene_pipeline.model_tests import TestCrashedError, Tested, run_together
from hygiene_pipeline.sql_models import Model
from hygiene_pipeline.sql_spelling import quoted
from hygiene_pipeline.warehouse import CATALOG, Warehouse


def tested(parts: Slice, model: Model, types: Types) -> Tested:
    """The data tests of a model on what was built of it; a blocking one that fails ends the slice."""
    parts.con.execute("use whole" if model.name in parts.whole else "use slice")
    try:
        found = run_together(parts.con, model, model.name, types)
    except TestCrashedError as error:
        raise NotSlicedError(str(error)) from None
    finally:
        parts.con.execute(f"use {CATALOG}")
    if failed := [result.test for result in found.results if result.blocks]:
        raise NotSlicedError(f"{model.name} fails {', '.join(failed)}")
    return found


def check_apart(con: duckdb.DuckDBPyConnection, model: Model) -> None:
    """See that the slice holds rows of the touched only, and none that is another's in the warehouse."""
    stray = f"select 1 from slice.{model.name} where ({is_touched(model)}) is not true limit 1"
    if con.execute(stray).fetchone():
        raise NotSlicedError(f"{model.name} has rows of somebody who is not touched")
    if model.grain and not set(model.slice_by) <= set(model.grain):
        same = " and ".join(f"it.{quoted(column)} is not distinct from new.{quoted(column)}" for column in model.grain)
        taken = (
            f"select 1 from {model.name} as it inner join slice.{model.name} as new on {same}"
            f" where ({is_touched(model, 'it.')}) is not true limit 1"
        )
        if con.execute(taken).fetchone():
            raise NotSlicedError(f"{model.name} has a row that was somebody else's")


def merge(
    warehouse: Warehouse, parts: Slice, names: Sequence[str], types: Mapping[str, Types], results: Mapping[str, Tested]
) -> None:
    """Replace the rows of the touched in every table of `names`, and where a whole model differs, what differs."""
    con, models = parts.con, parts.models
    with warehouse.transaction():
        for name in names:
            if models[name].materialized == "view":
                continue
            if name in parts.whole:
                _replace_differing(con, name, tuple(types[name]))
            else:
                _replace_rows(con, models[name], types[name])
        con.execute("insert into staging.phone_number from whole.staging.new_phone_number")
        for name, found in results.items():
            model_quality.keep_results(con, name, found)
        build_marks.keep_marks(con, {name: models[name].code_version for name in names}, is_slice=True)
        con.execute("insert into sync.touched_contact from touched.contact")


def _replace_rows(con: duckdb.DuckDBPyConnection, model: Model, types: Types) -> None:
    con.execute(f"delete from {model.name} where {is_touched(model)}")
    con.execute(f"insert into {model.name} by name from slice.{model.name}")
    if model.history:
        keep_history(con, model, f"slice.{model.name}", types, among=is_touched(model))


def _replace_differing(con: duckdb.DuckDBPyConnection, name: str, columns: Sequence[str]) -> None:
    same = " and ".join(f"old.{quoted(column)} is not distinct from it.{quoted(column)}" for column in columns)
    con.execute(
        f"""create or replace temp table gone_row as (from {name} except all from whole.{name});
            create or replace temp table come_row as (from whole.{name} except all from {name});
            delete from {name} as it using gone_row as old where {same};
            insert into {name} by name from come_row;
            drop table gone_row; drop table come_row"""
    )
