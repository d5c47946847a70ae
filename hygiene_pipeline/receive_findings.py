"""Whether a practice's receivers could open their doors, and whether anybody stands there now."""

import socket
from collections.abc import Iterator
from contextlib import suppress

from hygiene_pipeline.failures import PermanentError
from hygiene_pipeline.finding import Finding
from hygiene_pipeline.folders import Folders
from hygiene_pipeline.practice import Practice
from hygiene_pipeline.privacy.keys import find_key
from hygiene_pipeline.settings.receive import Mllp, Webhook
from hygiene_pipeline.tls import server_context

WEBHOOK_KEY = "webhook"
_PATIENCE_SECONDS = 0.5


def receive_findings(folders: Folders, practice: Practice) -> Iterator[Finding]:
    """One finding a door. A closed one stops no night: events then come with the next export."""
    yield _door("mllp", practice.receive.mllp, "hygiene listen")
    has_secret = find_key(folders.keys, practice.practice, WEBHOOK_KEY) is not None
    yield _door(
        "webhook", practice.receive.webhook, "hygiene webhook", does="" if has_secret else " and makes its secret"
    )


def _door(name: str, door: Mllp | Webhook, command: str, *, does: str = "") -> Finding:
    subject = f"receive {name}"
    try:
        server_context(door.tls)
    except PermanentError as error:
        return Finding(subject=subject, is_fine=False, told=str(error), is_fatal=False)
    address = f"{door.host}:{door.port}"
    told = f"{address} is open" if _answers(door) else f"{address} is closed; {command} opens it{does}"
    return Finding(subject=subject, is_fine=True, told=told, is_fatal=False)


def _answers(door: Mllp | Webhook) -> bool:
    with suppress(OSError), socket.create_connection((door.host, door.port), timeout=_PATIENCE_SECONDS):
        return True
    return False
