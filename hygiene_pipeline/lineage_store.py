"""Column lineage, worked out once and kept in the warehouse: for all models it takes seconds, and it rarely changes."""

import hashlib
import json
from collections.abc import Collection

import duckdb

from hygiene_pipeline.model_build import Built
from hygiene_pipeline.model_history import column_types
from hygiene_pipeline.sql_lineage import Lineage, column_lineage
from hygiene_pipeline.sql_models import Model


class LineageStore:
    """The lineage of models that are built one after the other on one connection.

    What the catalogue holds is looked up once, and what `follow` is told of is known without another look: a look at
    the columns of every table costs more than building a small one.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, models: Collection[Model]) -> None:
        self._con = con
        self._columns = column_types(con, {table for model in models for table in model.dependencies})
        con.execute(
            "create table if not exists quality.column_lineage (model varchar, fingerprint varchar, lineage varchar)"
        )
        rows = con.execute("select model, fingerprint, lineage from quality.column_lineage").fetchall()
        self._kept = {model: (fingerprint, lineage) for model, fingerprint, lineage in rows}

    def follow(self, built: Built) -> None:
        """Take note of the columns of a table that was just published; a view has none that lineage ends at."""
        if built.rows is not None:
            self._columns[built.model] = dict(built.columns)

    def lineage(self, model: Model) -> Lineage:
        """The lineage of a model's columns; worked out anew only if its SQL or a table it reads has changed shape."""
        upstream = {table: self._columns[table] for table in model.dependencies if table in self._columns}
        shape = json.dumps([model.sql, sorted((table, list(columns)) for table, columns in upstream.items())])
        fingerprint = hashlib.sha256(shape.encode()).hexdigest()
        known, kept = self._kept.get(model.name, (None, ""))
        if known == fingerprint:
            return {
                column: tuple((table, name) for table, name in sources) for column, sources in json.loads(kept).items()
            }
        found = column_lineage(model.sql, upstream)
        text = json.dumps(found)
        self._con.execute("delete from quality.column_lineage where model = ?", [model.name])
        self._con.execute("insert into quality.column_lineage values (?, ?, ?)", [model.name, fingerprint, text])
        self._kept[model.name] = (fingerprint, text)
        return found
