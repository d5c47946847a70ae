"""Column lineage, worked out once and kept in the warehouse: for all models it takes seconds, and it rarely changes."""

import hashlib
import json

import duckdb

from hygiene_pipeline.model_history import column_types
from hygiene_pipeline.sql_lineage import Lineage, column_lineage
from hygiene_pipeline.sql_models import Model


def kept_lineage(con: duckdb.DuckDBPyConnection, model: Model) -> Lineage:
    """The lineage of a model's columns; worked out anew only if its SQL or a table it reads has changed its shape."""
    upstream = column_types(con, model.dependencies)
    shape = json.dumps([model.sql, sorted((table, list(columns)) for table, columns in upstream.items())])
    fingerprint = hashlib.sha256(shape.encode()).hexdigest()
    con.execute(
        "create table if not exists quality.column_lineage (model varchar, fingerprint varchar, lineage varchar)"
    )
    known = con.execute(
        "select lineage from quality.column_lineage where model = ? and fingerprint = ?", [model.name, fingerprint]
    ).fetchone()
    if known:
        return {
            column: tuple((table, name) for table, name in sources) for column, sources in json.loads(known[0]).items()
        }
    found = column_lineage(model.sql, upstream)
    con.execute("delete from quality.column_lineage where model = ?", [model.name])
    con.execute("insert into quality.column_lineage values (?, ?, ?)", [model.name, fingerprint, json.dumps(found)])
    return found
