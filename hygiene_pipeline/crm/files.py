"""A CRM that takes and gives files: an import file out; its contacts come back as `crm/contacts.csv`.

There is nothing to compare with at the moment of writing, so the old value stands in the file, and a change counts
as applied only when a later extract shows it.
"""

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from sys import maxsize

from hygiene_pipeline.crm.protocol import CrmWriter, FieldChange, Outcome, WriteResult
from hygiene_pipeline.private_files import write_whole

IMPORT_COLUMNS = ("contact_id", "field", "old_value", "new_value", "change_id")


class FilesCrm(CrmWriter):
    """Writes `crm_import_<time>.csv` into the outbox folder: all changes of one pass, one a line."""

    # One file holds the whole pass.
    batch_size = maxsize

    def __init__(self, outbox: Path) -> None:
        self._outbox = outbox

    def write(self, changes: Sequence[FieldChange], *, at: datetime) -> list[WriteResult]:
        """Hand the changes over. The same changes at the same time give the same file, byte for byte."""
        if changes:
            stamp = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
            kind = "undo" if changes[0].restores else "import"
            write_whole(self._outbox / f"crm_{kind}_{stamp}.csv", _csv(changes))
        return [WriteResult(change_id=change.change_id, outcome=Outcome.HANDED_OVER) for change in changes]


def _csv(changes: Sequence[FieldChange]) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(IMPORT_COLUMNS)
    writer.writerows(
        (change.contact_id, change.field, change.expected or "", change.value or "", change.change_id)
        for change in changes
    )
    return text.getvalue()
