"""A lookup bought elsewhere: the numbers due go out as a file, the answers come back as `phone/lookups.csv`."""

from collections.abc import Sequence
from pathlib import Path

from hygiene_pipeline.private_files import write_whole

FILE_NAME = "phone_lookups_due.csv"


def write_request_file(outbox: Path, phones: Sequence[str]) -> bool:
    """Make the file say exactly these numbers, once each and in this order; returns whether it had to change.

    With nothing due the file holds its header alone, so yesterday's numbers are not bought again. An unchanged file is
    left as it is: its time says since when these numbers are due.
    """
    path = outbox / FILE_NAME
    text = "".join(f"{line}\n" for line in ("phone", *dict.fromkeys(phones)))
    if path.exists() and path.read_bytes() == text.encode():
        return False
    write_whole(path, text)
    return True
