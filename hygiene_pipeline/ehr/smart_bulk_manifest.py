"""Reads a Bulk Data manifest: which files there are, of which kind, and whether our token must be shown for them.

Servers of versions 1.0.1 to 4.0.0 are understood: `error` and `outcome` are the same list, further parts are linked.
"""

import re
from typing import Any
from urllib.parse import urljoin, urlsplit

from hygiene_pipeline.ehr.smart_bulk_http import EhrRefusedError
from hygiene_pipeline.ehr.smart_bulk_state import ExportFile, Manifest, Section

_TYPE = re.compile(r"[A-Z][A-Za-z]{0,63}")
_SECTIONS: dict[str, Section] = {"output": "output", "deleted": "deleted", "error": "error", "outcome": "error"}


def read_manifest(content: object, status_url: str) -> Manifest:
    """A manifest from its JSON; relative addresses are relative to the status address."""
    if not isinstance(content, dict) or not isinstance(content.get("output"), list):
        raise EhrRefusedError("GET [status]: status 200 without a manifest; check base_url")
    files = [
        _file(section, entry, status_url) for key, section in _SECTIONS.items() for entry in _entries(content.get(key))
    ]
    requires = content.get("requiresAccessToken")
    time = content.get("transactionTime")
    return Manifest(
        transaction_time=time if isinstance(time, str) and time else None,
        requires_token=None if requires is None else str(requires).lower() == "true",
        files=tuple(files),
    )


def next_part(content: object, status_url: str) -> str | None:
    """Where the manifest goes on, if it comes in parts."""
    links = _entries(content.get("link") if isinstance(content, dict) else None)
    found = [link["url"] for link in links if link.get("relation") == "next" and isinstance(link.get("url"), str)]
    return urljoin(status_url, found[0]) if found else None


def joined(parts: list[Manifest]) -> Manifest:
    """The parts of a manifest as one."""
    files = tuple(file for part in parts for file in part.files)
    return parts[0].model_copy(update={"files": files})


def renewed(old: Manifest, new: Manifest) -> Manifest | None:
    """The old manifest's files with new links, in the old order; none if they are no longer the same files."""
    fresh = {_plain(file): file for file in new.files}
    if len(fresh) != len(new.files) or [_plain(file) for file in old.files if _plain(file) not in fresh]:
        return None
    if len(old.files) != len(new.files):
        return None
    return new.model_copy(update={"files": tuple(fresh[_plain(file)] for file in old.files)})


def is_own_host(url: str, base_url: str) -> bool:
    """Whether a file lies with the server itself."""
    return urlsplit(url)[:2] == urlsplit(base_url)[:2]


def _plain(file: ExportFile) -> tuple[str, ...]:
    """A file without what a new signature changes."""
    return (file.section, file.type, *urlsplit(file.url)[:3])


def _file(section: Section, entry: dict[str, Any], status_url: str) -> ExportFile:
    name, url, count = entry.get("type"), entry.get("url"), entry.get("count")
    if not isinstance(url, str):
        raise EhrRefusedError(f"GET [status]: a file of {section} has no url; ask whoever runs the server")
    return ExportFile(
        section=section,
        type=name if isinstance(name, str) and _TYPE.fullmatch(name) else "Resource",
        url=urljoin(status_url, url),
        count=count if isinstance(count, int) and not isinstance(count, bool) else None,
    )


def _entries(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
