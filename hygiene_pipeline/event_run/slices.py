"""The slice: the warehouse's tables in two catalogs beside it, in which an event run builds models by their own SQL.

In `slice` a table holds the rows of the touched; a model that is sliced is built there. `whole` shows each table as it
will be, the slice laid over the warehouse; a model that depends on everybody is built there. `numbers` shows of that
whoever has a number of the touched; what is known of a number is built from there. All have the schemas of the
warehouse, so a model's text means one or the other by the catalog in use. The warehouse itself is only read.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import duckdb

from hygiene_pipeline.event_run.touched import PATIENT_RESOURCES
from hygiene_pipeline.model_history import Types, described
from hygiene_pipeline.sql_models import Model
from hygiene_pipeline.sql_spelling import quoted
from hygiene_pipeline.warehouse import CATALOG, SCHEMAS

OF_KEY = {
    ("contact_id",): "touched.contact",
    ("ehr_patient_id",): "touched.ehr",
    ("pm_patient_id",): "touched.pm",
    ("patient_id",): "touched.patient",
    ("source", "source_id"): "touched.record",
    ("phone",): "touched.phone",
    ("digits",): "touched.digits",
}
"""Where the touched keys are, by the columns that a model is sliced by."""

_RAW = {
    "raw.crm_contacts": "contact_id in (from touched.contact)",
    "raw.replies": "contact_id in (from touched.contact)",
    "raw.ehr_event": "mrn in (from touched.mrn)",
    "raw.fhir_patient": "id in (from touched.ehr)",
    **{
        raw: f"id in (select resource_id from touched.resource where resource_type = '{kind}')"
        for raw, kind in PATIENT_RESOURCES.items()
    },
    "history.identity_patient_link": "(source, source_id) in (select (source, source_id) from touched.record)"
    " or patient_id in (from touched.patient)",
}
_OF_NUMBERS = {
    "staging.crm_contact": "phone in (from touched.phone) or phone_digits in (from touched.digits)",
    "staging.ehr_patient": "phone in (from touched.phone)",
    "staging.phone_lookup": "phone in (from touched.phone)",
    "staging.pm_patient": "phone in (from touched.phone)",
    "staging.reply": '"value" in (from touched.phone)',
}
_SCHEMED = ("slice", "whole", "numbers")
_CATALOGS = (*_SCHEMED, "touched")


class NotSlicedError(Exception):
    """This run cannot be a slice; the words say why, without a value."""


@contextmanager
def catalogs(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """The catalogs beside the warehouse, gone afterwards."""
    for catalog in _CATALOGS:
        con.execute(f"attach ':memory:' as {catalog}")
    try:
        for schema in SCHEMAS:
            con.execute(";".join(f"create schema {catalog}.{schema}" for catalog in _SCHEMED))
        yield
    finally:
        con.execute(f"use {CATALOG}")
        for catalog in _CATALOGS:
            con.execute(f"detach {catalog}")


def is_touched(model: Model, alias: str = "") -> str:
    """The condition that a row of a sliced model is one of the touched."""
    columns = ", ".join(f"{alias}{quoted(column)}" for column in model.slice_by)
    keys = OF_KEY[model.slice_by]
    if len(model.slice_by) == 1:
        return f"{columns} in (from {keys})"
    return f"({columns}) in (select ({', '.join(map(quoted, model.slice_by))}) from {keys})"


class Slice:
    """The tables in the catalogs so far, each laid when a model first reads it."""

    def __init__(self, con: duckdb.DuckDBPyConnection, models: Mapping[str, Model]) -> None:
        self.con = con
        self.models = models
        self.sliced: list[str] = []
        self.whole: list[str] = []
        self._laid: set[str] = set()
        self._shown: set[str] = set()

    def build(self, model: Model) -> Types:
        """Build a sliced model for the touched; its columns and types."""
        for table in (*model.dependencies, *model.history_reads, *model.tested_against):
            self.lay(table)
        types = self._make("slice", model)
        self._laid.add(model.name)
        self.sliced.append(model.name)
        return types

    def build_of_numbers(self, model: Model) -> Types:
        """Build a model that is sliced by telephone number from everybody who has one of the touched."""
        for table in (*model.dependencies, *model.tested_against):
            if table in self.sliced and table not in _OF_NUMBERS:
                self.con.execute(f"create or replace view numbers.{table} as from slice.{table}")
            else:
                self.show(table)
                condition = _OF_NUMBERS.get(table, "true")
                self.con.execute(f"create or replace view numbers.{table} as from whole.{table} where {condition}")
        types = self._make("slice", model, reading="numbers")
        self._laid.add(model.name)
        self.sliced.append(model.name)
        return types

    def build_whole(self, model: Model) -> Types:
        """Build a model that depends on everybody."""
        for table in (*model.dependencies, *model.history_reads, *model.tested_against):
            self.show(table)
        types = self._make("whole", model)
        self._shown.add(model.name)
        self.whole.append(model.name)
        return types

    def lay(self, table: str) -> None:
        """Let `slice` have a table: what of it concerns the touched, or all of it."""
        if table in self._laid:
            return
        self._laid.add(table)
        condition = _RAW.get(table)
        if condition is None and table in self.models and self.models[table].slice_by:
            condition = is_touched(self.models[table])
        if condition is None:
            self.show(table)
            self.con.execute(f"create or replace view slice.{table} as from whole.{table}")
            return
        source = f"whole.{table}" if table in self.whole else f"{CATALOG}.{table}"
        self.con.execute(f"create or replace table slice.{table} as from {source} where {condition}")

    def show(self, table: str) -> None:
        """Let `whole` have a table as it will be."""
        if table in self._shown:
            return
        self._shown.add(table)
        kept = f"from {CATALOG}.{table}"
        if table in self.sliced:
            untouched = f"{kept} where ({is_touched(self.models[table])}) is not true"
            self.con.execute(f"create view whole.{table} as ({untouched}) union all by name (from slice.{table})")
        else:
            self.con.execute(f"create view whole.{table} as {kept}")

    def show_as(self, table: str, query: str) -> None:
        """Let `whole` have a table that no model makes as this query has it."""
        self._shown.add(table)
        self.con.execute(f"create or replace view whole.{table} as {query}")

    def forget(self) -> None:
        """Begin anew, after the touched turned out to be more."""
        for catalog in _SCHEMED:
            for schema in SCHEMAS:
                self.con.execute(f"drop schema {catalog}.{schema} cascade; create schema {catalog}.{schema}")
        self.sliced.clear()
        self.whole.clear()
        self._laid.clear()
        self._shown.clear()

    def _make(self, catalog: str, model: Model, *, reading: str = "") -> Types:
        self.con.execute(f"use {reading or catalog}")
        try:
            self.con.execute(f"create or replace table {catalog}.{model.name} as from ({model.sql}\n)")
            return described(self.con, f"{catalog}.{model.name}")
        except duckdb.Error as error:
            # The words of an error may quote a value.
            raise NotSlicedError(f"{model.name} could not be built: {type(error).__name__}") from None
        finally:
            self.con.execute(f"use {CATALOG}")
