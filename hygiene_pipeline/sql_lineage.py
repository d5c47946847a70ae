"""Which upstream columns each column of a model is made of, read out of its SQL by sqlglot.

A map for readers, not a gate: what sqlglot cannot resolve is left out. sqlglot is imported on first use, it is slow.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Protocol, Self

Lineage = dict[str, tuple[tuple[str, str], ...]]
"""Column of the model -> (table, column) of the tables it reads, sorted."""


class _Node(Protocol):
    """A step of sqlglot's trail from an output column to its sources."""

    name: str
    source: object
    downstream: Sequence[Self]

    def walk(self) -> Iterator[Self]: ...


_Schemas = tuple[tuple[str, tuple[str, ...]], ...]


def column_lineage(sql: str, upstream: Mapping[str, Mapping[str, str]]) -> Lineage:
    """The lineage of every output column; `upstream` gives the columns of the tables read (`staging.crm_contact`)."""
    schemas = tuple(sorted((table, tuple(columns)) for table, columns in upstream.items()))
    return dict(_lineage(sql, schemas))


@lru_cache(maxsize=512)
def _lineage(sql: str, schemas: _Schemas) -> Lineage:
    nested: dict[str, dict[str, dict[str, str]]] = {}
    for table, columns in schemas:
        schema, _, name = table.partition(".")
        # Types do not matter to lineage, and sqlglot does not know all of DuckDB's.
        nested.setdefault(schema, {})[name] = dict.fromkeys(columns, "varchar")
    known = {table: frozenset(columns) for table, columns in schemas}
    quiet = logging.getLogger("sqlglot")
    before, quiet.disabled = quiet.disabled, True
    try:
        found = {column: _sources(node, known) for column, node in _trails(sql, nested).items()}
    finally:
        quiet.disabled = before
    return {column: sources for column, sources in found.items() if sources}


def _trails(sql: str, schema: dict[str, dict[str, dict[str, str]]]) -> dict[str, _Node]:
    """The trail of every column at once; if one of them cannot be followed, of each that can."""
    from sqlglot import parse_one
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage
    from sqlglot.optimizer import build_scope, qualify

    unable = (SqlglotError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError)
    try:
        names = {"validate_qualify_columns": False, "identify": False, "allow_partial_qualification": True}
        query = qualify.qualify(parse_one(sql, dialect="duckdb"), dialect="duckdb", schema=schema, **names)
        scope = build_scope(query)
    except unable:
        return {}
    if scope is None:
        return {}
    ways = {"dialect": "duckdb", "scope": scope, "trim_selects": False, "copy": False}
    try:
        return dict(lineage(None, query, schema, **ways))
    except unable:
        trails: dict[str, _Node] = {}
        for column in query.named_selects:
            with contextlib.suppress(*unable):
                trails[column] = lineage(column, query, schema, **ways)
        return trails


def _sources(node: _Node, known: Mapping[str, frozenset[str]]) -> tuple[tuple[str, str], ...]:
    """The ends of the trail that are columns of known tables."""
    ends = set()
    for end in node.walk():
        if end.downstream:
            continue
        table = f"{getattr(end.source, 'db', '')}.{getattr(end.source, 'name', '')}".lower()
        column = str(end.name).rpartition(".")[2]
        if column in known.get(table, ()):
            ends.add((table, column))
    return tuple(sorted(ends))
