"""Runs a practice's receivers until they are told to stop: what comes in over MLLP or HTTP lands in `ehr_events`.

A receiver touches no warehouse and knows no key but its own secret: it only writes files, which the next run takes.
"""

import asyncio
import signal
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn

from hygiene_pipeline.ehr.mllp import Limits, MllpListener
from hygiene_pipeline.failures import PermanentError
from hygiene_pipeline.folders import Folders
from hygiene_pipeline.landing.inbox import DOCUMENTS, FRAMES, Inbox
from hygiene_pipeline.landing.ledger import PLACES
from hygiene_pipeline.practice import load_practice
from hygiene_pipeline.privacy.keys import key_for
from hygiene_pipeline.receive_findings import WEBHOOK_KEY
from hygiene_pipeline.settings.receive import Tls
from hygiene_pipeline.tls import server_context
from hygiene_pipeline.web.fhir_webhook import PATH, Door, webhook_app

_GRACE_SECONDS = 10
_KIB = 1024


def listen(practice_id: str, *, tell: Callable[[str], None]) -> None:
    """Receive HL7 v2 over MLLP until SIGTERM; `tell` hears the address once it is open."""
    asyncio.run(_listen(practice_id, tell))


async def _listen(practice_id: str, tell: Callable[[str], None]) -> None:
    folders = Folders()
    practice = load_practice(folders.practices, practice_id)
    settings = practice.receive.mllp
    inbox = Inbox(_landing(folders, practice_id), FRAMES, now=_now)
    listener = MllpListener(
        store=inbox.store,
        timezone=practice.timezone,
        limits=Limits(
            message_bytes=settings.max_message_kib * _KIB,
            connections=settings.max_connections,
            frame_seconds=settings.frame_seconds,
        ),
        now=_now,
    )
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    opened = _open(settings.host, settings.port)
    await listener.start(opened, tls=server_context(settings.tls))
    tell(f"mllp://{settings.host}:{opened.getsockname()[1]}")
    await stopped.wait()
    await listener.stop(grace_seconds=_GRACE_SECONDS)
    inbox.close()


def receive_notifications(practice_id: str, *, tell: Callable[[str], None]) -> None:
    """Receive FHIR notifications over HTTP until SIGTERM; `tell` hears the address once it is open."""
    folders = Folders()
    practice = load_practice(folders.practices, practice_id)
    settings = practice.receive.webhook
    inbox = Inbox(_landing(folders, practice_id), DOCUMENTS, now=_now)
    door = Door(
        secret=key_for(folders.keys, practice_id, WEBHOOK_KEY),
        header=settings.header,
        max_bytes=settings.max_body_kib * _KIB,
        store=inbox.store,
    )
    opened = _open(settings.host, settings.port)
    server = uvicorn.Server(
        uvicorn.Config(
            webhook_app(door),
            access_log=False,
            log_config=None,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            **_tls_of_uvicorn(settings.tls),
        )
    )
    # uvicorn listens for signals only while it runs, and then raises again what stopped it, which is no failure. What
    # comes before that stops it as soon as it begins.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    scheme = "https" if settings.tls else "http"
    tell(f"{scheme}://{settings.host}:{opened.getsockname()[1]}{PATH}")
    server.run(sockets=[opened])
    inbox.close()


def _landing(folders: Folders, practice_id: str) -> Path:
    return folders.of(practice_id).landing / PLACES["ehr_events"].folder


def _now() -> datetime:
    return datetime.now(UTC)


def _open(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise PermanentError(
            f"{host}:{port}: cannot listen there ({error.strerror}); choose another host or port in receive"
        ) from None


def _tls_of_uvicorn(tls: Tls | None) -> dict[str, Any]:
    # uvicorn makes a context of its own, and says of bad files only that it failed.
    if server_context(tls) is None or tls is None:
        return {}
    asked = {"ssl_ca_certs": str(tls.client_ca), "ssl_cert_reqs": ssl.CERT_REQUIRED} if tls.client_ca else {}
    return {"ssl_certfile": str(tls.certificate), "ssl_keyfile": str(tls.key), **asked}
