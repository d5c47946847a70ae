"""Whether a reply has arrived that no run has read yet: it may say stop, so nobody is written to before it is read."""

from pathlib import Path

import duckdb

from hygiene_pipeline.landing.ledger import PLACES, new_files

_TOLD_BY_VENDORS = """
select 'replies/stop_' || message_id || '.ndjson'
from sync.message
where state = 'failed' and reason = 'opted_out'
"""


class UnreadReplies:
    """Looks into a practice's landing folder again each time it is asked; reads files only when something changed."""

    def __init__(self, con: duckdb.DuckDBPyConnection, landing: Path) -> None:
        self._con = con
        self._landing = landing
        self._seen: list[tuple[Path, int, int]] | None = None
        self._is_any = False

    def are_there(self) -> bool:
        """Whether there is a file of replies that was not taken; a stop that a vendor told is in the ledger already."""
        paths = PLACES["replies"].paths(self._landing)
        stats = [path.stat() for path in paths]
        seen = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in zip(paths, stats, strict=True)]
        if seen != self._seen:
            ours = {name for (name,) in self._con.execute(_TOLD_BY_VENDORS).fetchall()}
            fresh, _ = new_files(self._con, PLACES["replies"], self._landing, paths)
            self._seen, self._is_any = seen, any(file.name not in ours for file in fresh)
        return self._is_any
