"""The CRM that a practice file names, ready to be written to."""

from collections.abc import Iterator
from contextlib import contextmanager

from hygiene_pipeline.crm.embedded import EmbeddedCrm
from hygiene_pipeline.crm.files import FilesCrm
from hygiene_pipeline.crm.protocol import CrmWriter
from hygiene_pipeline.folders import PracticeFolders
from hygiene_pipeline.practice import Practice


@contextmanager
def crm_writer(practice: Practice, folders: PracticeFolders) -> Iterator[CrmWriter]:
    """Open the practice's CRM for writing."""
    if practice.crm.kind == "files":
        yield FilesCrm(folders.outbox)
        return
    crm = EmbeddedCrm(folders.crm)
    try:
        yield crm
    finally:
        crm.close()
