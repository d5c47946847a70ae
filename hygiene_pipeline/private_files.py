"""Files of patients' details: readable by their owner only, and never seen half written."""

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Put a file in place whole, replacing the one before; its folder is made if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
