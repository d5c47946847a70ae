"""Encryption keys: taken from the environment in production, otherwise made once below `HYGIENE_KEYS`.

A key is one line of 64 hex digits in `keys/<practice>/<name>.key`, mode 0600 in folders of mode 0700.
`HYGIENE_KEY_<PRACTICE>_<NAME>` wins, and then no file is read or written.
"""

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from hygiene_pipeline.failures import KeyProblemError

WAREHOUSE = "warehouse"


def environment_name(practice: str, name: str) -> str:
    """The environment variable that holds the key `name` of `practice`."""
    return "HYGIENE_KEY_" + re.sub(r"[^A-Z0-9]", "_", f"{practice}_{name}".upper())


def find_key(keys: Path, practice: str, name: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The key if there is one, without making it."""
    from_environment = environ.get(environment_name(practice, name), "").strip()
    if from_environment:
        return from_environment
    path = keys / practice / f"{name}.key"
    try:
        key = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise KeyProblemError(
            f"{path}: cannot be read; restore the key file or set {environment_name(practice, name)}"
        ) from None
    if not key:
        raise KeyProblemError(f"{path}: is empty; restore the key file or set {environment_name(practice, name)}")
    return key


def key_for(keys: Path, practice: str, name: str, environ: Mapping[str, str] = os.environ) -> str:
    """The key `name` of `practice`, made on first use."""
    found = find_key(keys, practice, name, environ)
    return found or _make_key(keys, practice, name)


def _make_key(keys: Path, practice: str, name: str) -> str:
    folder = keys / practice
    for each in (keys, folder):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
        each.chmod(0o700)
    path = folder / f"{name}.key"
    draft = folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        # A link fails if another process was first: then its key is the key.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text(encoding="ascii").strip()
