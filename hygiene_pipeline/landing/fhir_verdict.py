"""Which lines of the page may become raw rows, and why not: screen first, then the strict judge for the few it names.

The verdict:
- certain faults of the screen (no id, wrong type, unknown code, impossible date in an element we keep) reject the line;
- a suspicious nested value rejects it if the judge finds a fault in an element we keep;
- a server's account of what it could not export rejects itself, so that a person sees it;
- a small sample, fixed by the resource's own content, is judged too. A fault found only there is counted in
  `quarantine.fhir_conformance` and rejects nothing: half of a vendor's records may carry an odd extension.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from hygiene_pipeline.ehr.fhir_judge import Fault, is_resource_type, judge
from hygiene_pipeline.landing.fhir_lines import resource_types
from hygiene_pipeline.landing.fhir_schemas import RESOURCES, elements
from hygiene_pipeline.landing.file import LandingFile
from hygiene_pipeline.landing.ndjson_file import BOM, Line

_UNKNOWN = "unknown_resource_type"
# In an export it stands for what the server could not export.
_OUTCOME = "OperationOutcome"
_SAMPLE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """What is known of the page before the judge has spoken: lines with a certain fault, lines to be judged."""

    faults: Mapping[int, Fault | None]
    suspicious: frozenset[int]
    sampled: frozenset[int]

    @property
    def wanted(self) -> list[int]:
        """The ordinals whose text is needed, in file order."""
        return sorted(self.faults.keys() | self.suspicious | self.sampled)


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """The count of what the sample showed, by file, resource type and fault."""
    con.execute(
        """create table if not exists quarantine.fhir_conformance (
             source_file varchar, file_id varchar, resource_type varchar, field varchar, reason varchar,
             judged bigint, failed bigint, taken_at timestamptz)"""
    )


def sample(con: duckdb.DuckDBPyConnection, relation: str, share: float) -> set[int]:
    """The lines of a relation that fall into the sample, which their content alone decides."""
    found = con.execute(f"select line from {relation} where {_is_sampled(share)}").fetchall()
    return {int(row[0]) for row in found}


def verdicts_of(con: duckdb.DuckDBPyConnection, passed: Collection[int], share: float) -> Verdicts:
    """What `fhir_line` says; a fault of none means that only the text tells (no object, no type).

    Lines that `passed` without a closer look are in the sample, and so is this share of the others.
    """
    faults: dict[int, Fault | None] = {}
    found = con.execute(
        f"""select ordinal, fault, is_suspicious from fhir_line
            where fault is not null or is_suspicious or {_is_sampled(share)} and resource_type is not null"""
    ).fetchall()
    suspicious: set[int] = set()
    sampled = set(passed)
    for ordinal, verdict, is_odd in found:
        if verdict is not None:
            field, _, reason = str(verdict).partition("|")
            faults[ordinal] = Fault(field=field, reason=reason)
        else:
            (suspicious if is_odd else sampled).add(int(ordinal))
    for name in set(resource_types(con)) - RESOURCES.keys():
        if name == _OUTCOME:
            faults.update(_of_type(con, name, Fault(field="issue", reason="not_exported")))
        elif is_resource_type(name):
            faults.update(_without_id(con, name))
        else:
            faults.update(_of_type(con, name, Fault(field="resourceType", reason=_UNKNOWN)))
    untyped = con.execute("select ordinal from fhir_line where resource_type is null")
    faults.update(dict.fromkeys((int(row[0]) for row in untyped.fetchall()), None))
    return Verdicts(faults=faults, suspicious=frozenset(suspicious), sampled=frozenset(sampled - faults.keys()))


def final_fault(verdicts: Verdicts, line: Line, counts: Counter[tuple[str, str, str]]) -> Fault | None:
    """Why this wanted line is rejected, or none; what the judge says of the sample goes into `counts`."""
    known = verdicts.faults.get(line.ordinal)
    if known is not None:
        return known
    text_fault, resource = read(line.text)
    if text_fault is not None or resource is None:
        return text_fault
    found = judge(resource)
    if line.ordinal in verdicts.faults:
        return found or Fault(field="", reason="not_json")
    name = str(resource.get("resourceType"))
    counts[name, found.field if found else "", found.reason if found else ""] += 1
    if line.ordinal in verdicts.suspicious and found is not None and _is_kept(name, found.field):
        return found
    return None


def read(text: bytes) -> tuple[Fault | None, dict[str, Any] | None]:
    """A line's JSON object, or why there is none."""
    try:
        decoded = text.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError:
        return Fault(field="", reason="not_utf8"), None
    try:
        found = json.loads(decoded, strict=True)
    except json.JSONDecodeError as error:
        return Fault(field="", reason="truncated" if _is_cut_off(decoded, error) else "not_json"), None
    except RecursionError:
        return Fault(field="", reason="not_json"), None
    if not isinstance(found, dict):
        return Fault(field="", reason="wrong_type"), None
    return None, found


def _is_cut_off(text: str, error: json.JSONDecodeError) -> bool:
    """Whether the text is sound up to its end and only lacks the rest."""
    is_half_word = any(word.startswith(text[error.pos :]) for word in ("true", "false", "null", "-"))
    return text.startswith("{") and (error.msg.startswith("Unterminated") or is_half_word)


def _is_sampled(share: float) -> str:
    return f"hash(row_hash) % {_SAMPLE} < {int(share * _SAMPLE)}"


def _is_kept(resource: str, field: str) -> bool:
    return field.split(".")[0] in {"", *(element.name for element in elements(resource))}


def _of_type(con: duckdb.DuckDBPyConnection, name: str, fault: Fault) -> dict[int, Fault | None]:
    found = con.execute("select ordinal from fhir_line where resource_type = ?", [name])
    return dict.fromkeys((int(row[0]) for row in found.fetchall()), fault)


def _without_id(con: duckdb.DuckDBPyConnection, name: str) -> dict[int, Fault | None]:
    found = con.execute(
        r"""select ordinal, id is null from fhir_line where resource_type = ?
            and not coalesce(regexp_full_match(id, '[A-Za-z0-9\-.]{1,64}'), false)""",
        [name],
    )
    return {int(row[0]): Fault(field="id", reason="missing_id" if row[1] else "invalid_id") for row in found.fetchall()}


def count_sample(
    con: duckdb.DuckDBPyConnection,
    file: LandingFile,
    counts: Counter[tuple[str, str, str]],
    *,
    extracted_at: datetime,
) -> None:
    """Write down how many were judged and which faults the judge found, without values."""
    judged: Counter[str] = Counter()
    for (name, _, _), count in counts.items():
        judged[name] += count
    rows = [
        [file.name, file.file_id, name, field, reason, judged[name], count if reason else 0, extracted_at]
        for (name, field, reason), count in sorted(counts.items())
    ]
    if rows:
        con.executemany("insert into quarantine.fhir_conformance values (?, ?, ?, ?, ?, ?, ?, ?)", rows)
