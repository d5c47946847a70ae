"""Makes landing files of a downloaded export, and moves them into the landing folder once every one of them is there.

Resources arrive as they came. Of what was deleted, one line a resource arrives, as FHIR's own transaction; of what the
server could not export, the outcomes that say so. Nothing else is made, so that absence is never read as deletion.
"""

import gzip
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hygiene_pipeline.ehr.smart_bulk_state import ExportFile, Move, sync_folder

_SEVERITIES = ("fatal", "error", "warning", "information")
_FAULTS = ("fatal", "error")


@dataclass(kw_only=True)
class Prepared:
    """What is about to arrive. `problems` counts the server's outcomes by their worst severity."""

    moves: list[Move] = field(default_factory=list)
    resources: int = 0
    deletions: int = 0
    problems: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class Downloaded:
    """A checked file of an export and what the manifest says of it."""

    file: ExportFile
    path: Path
    lines: int
    is_gzip: bool


def prepare(files: list[Downloaded], *, work: Path, name: str, transaction_time: str | None) -> Prepared:
    """Name every file as it will be called in landing; the names tell the export, the type and a number, no more."""
    prepared = Prepared()
    for number, each in enumerate(files, start=1):
        match each.file.section:
            case "output":
                kind, lines, source = each.file.type, each.lines, each.path
                prepared.resources += lines
            case "deleted":
                kind, source = "Deleted", work / f"{number:05}.deleted"
                lines = _write(source, _deletions(each.path, transaction_time))
                prepared.deletions += lines
            case "error":
                kind, source = "OperationOutcome", work / f"{number:05}.outcome"
                lines = _write(source, _faults(each.path, prepared.problems))
        if lines:
            packed = ".gz" if each.is_gzip and each.file.section == "output" else ""
            target = f"{name}-{number:05}-{kind}.ndjson{packed}"
            prepared.moves.append(Move(source=source.name, target=target))
    return prepared


def arrive(moves: tuple[Move, ...], *, work: Path, landing: Path) -> None:
    """Rename every file into the landing folder; what an earlier attempt has moved is left there."""
    for move in moves:
        source = work / move.source
        if source.exists():
            source.replace(landing / move.target)
    sync_folder(landing)


def _write(path: Path, lines: Iterator[bytes]) -> int:
    written = 0
    with path.open("wb") as file:
        path.chmod(0o600)
        for line in lines:
            file.write(line + b"\n")
            written += 1
        file.flush()
        os.fsync(file.fileno())
    return written


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if is_gzip else path.open("rb") as content:
        for line in content:
            if line.strip():
                yield line.strip()


def _deletions(path: Path, transaction_time: str | None) -> Iterator[bytes]:
    """One transaction with one DELETE for each deleted resource; a line that is no bundle goes on as it is."""
    for line in _lines(path):
        bundle = _object(line)
        if bundle is None or bundle.get("resourceType") != "Bundle":
            yield line
            continue
        entries = bundle.get("entry")
        for entry in entries if isinstance(entries, list) else []:
            request = entry.get("request") if isinstance(entry, dict) else None
            url = request.get("url") if isinstance(request, dict) and request.get("method") == "DELETE" else None
            if isinstance(url, str):
                yield _deletion(url, _last_updated(bundle) or transaction_time)


def _deletion(url: str, at: str | None) -> bytes:
    """The server's bundles may share one id; ours is that of what was deleted."""
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "id": f"deleted-{hashlib.sha256(url.encode()).hexdigest()[:32]}",
        **({"meta": {"lastUpdated": at}} if at else {}),
        "type": "transaction",
        "entry": [{"request": {"method": "DELETE", "url": url}}],
    }
    return json.dumps(bundle, separators=(",", ":")).encode()


def _faults(path: Path, problems: Counter[str]) -> Iterator[bytes]:
    """The outcomes that mean something was not exported; the others are counted only."""
    for line in _lines(path):
        severity = _worst_severity(_object(line))
        problems[severity] += 1
        if severity in _FAULTS:
            yield line


def _worst_severity(outcome: dict[str, Any] | None) -> str:
    """A line that nobody can read may say anything: it counts as an error."""
    issues = outcome.get("issue") if outcome else None
    found = (
        {issue.get("severity") for issue in issues if isinstance(issue, dict)} if isinstance(issues, list) else set()
    )
    return next((severity for severity in _SEVERITIES if severity in found), "error")


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _last_updated(bundle: dict[str, Any]) -> str | None:
    meta = bundle.get("meta")
    found = meta.get("lastUpdated") if isinstance(meta, dict) else None
    return found if isinstance(found, str) else None
