"""What a select reads and gives, by DuckDB's own parser, and what no model may say.

Only the text is looked at: nothing is run, and no table need exist.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import duckdb

from hygiene_pipeline.sql_spelling import literal

CHANGING: Final = frozenset(
    {
        *("now", "today", "getdate", "get_current_timestamp", "transaction_timestamp"),
        *("current_date", "current_time", "current_timestamp", "current_localtime", "current_localtimestamp"),
        *("localtime", "localtimestamp", "random", "uuid", "gen_random_uuid", "uuidv4", "uuidv7"),
    }
)
"""Functions that give another answer on another day: `policy.clock` holds the time, and nothing is drawn by lot."""


class SqlRefusedError(ValueError):
    """A text that cannot be a model; `name` says which."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True, kw_only=True)
class SqlFacts:
    """The tables a select reads (those named with a schema), and its output columns as far as they are spelt out."""

    reads: frozenset[str]
    output_names: tuple[str, ...]


def read_sql(texts: Mapping[str, str]) -> dict[str, SqlFacts]:
    """The facts of every text, by the name it was given under."""
    return dict(_read(tuple(texts.items())))


@lru_cache(maxsize=16)
def _read(texts: tuple[tuple[str, str], ...]) -> dict[str, SqlFacts]:
    """All texts are parsed in one query.

    They go in as literals: DuckDB imports pandas for its first bound parameter, which costs seconds.
    """
    if not texts:
        return {}
    spelt = ", ".join(literal(text) for _, text in texts)
    with duckdb.connect(":memory:") as con:
        rows = con.execute(f"select json_serialize_sql(text) from (select unnest([{spelt}]) as text)").fetchall()
    return {name: _facts(name, text, tree) for (name, text), (tree,) in zip(texts, rows, strict=True)}


def _facts(name: str, text: str, tree: str) -> SqlFacts:
    if "{{" in text or "{%" in text:
        raise SqlRefusedError(name, "has a template in it; a model is plain SQL")
    parsed = json.loads(tree)
    if parsed["error"]:
        where = _line(text, parsed.get("position"))
        raise SqlRefusedError(name, f"{where}not a select that DuckDB reads: {_one_line(parsed['error_message'])}")
    if len(parsed["statements"]) != 1 or text.rstrip().endswith(";"):
        raise SqlRefusedError(name, "must be one select with no semicolon")
    nodes = list(_nodes(parsed))
    for node in nodes:
        if called := _changing(node):
            where = _line(text, node.get("query_location"))
            raise SqlRefusedError(name, f"{where}{called} changes from run to run; read the time from policy.clock")
    reads = {
        f"{node['schema_name']}.{node['table_name']}".lower()
        for node in nodes
        if node.get("type") == "BASE_TABLE" and node.get("schema_name")
    }
    return SqlFacts(reads=frozenset(reads), output_names=_output_names(parsed["statements"][0]["node"]))


def _nodes(tree: object) -> Iterator[dict[str, Any]]:
    """Every object of a tree, each before those in it; without recursion, as every process start waits for it."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(reversed(node.values()))
        elif isinstance(node, list):
            waiting.extend(reversed(node))


def _changing(node: Mapping[str, Any]) -> str | None:
    """The name of a changing function that this node calls; `current_date` is parsed as a column."""
    if node.get("class") == "FUNCTION" and str(node["function_name"]).lower() in CHANGING:
        return f"{node['function_name']}()"
    names = node.get("column_names")
    keyword = node.get("class") == "COLUMN_REF" and isinstance(names, list) and len(names) == 1
    return str(names[0]) if keyword and names and str(names[0]).lower() in CHANGING else None


def _output_names(node: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the select list; a star gives none, an expression without a name none either."""
    while "select_list" not in node and "left" in node:
        node = node["left"]
    named = (
        item.get("alias") or (item["column_names"][-1] if item.get("class") == "COLUMN_REF" else "")
        for item in node.get("select_list", [])
    )
    return tuple(str(name) for name in named if name)


def _line(text: str, position: object) -> str:
    """`line 7: ` of a byte offset that the parser gave, or nothing."""
    if not str(position).isdecimal():
        return ""
    before = text.encode()[: int(str(position))].decode(errors="replace")
    return f"line {before.count(chr(10)) + 1}: "


def _one_line(message: str) -> str:
    return " ".join(message.split())
