"""Receives FHIR R4 subscription notifications, bundles and single resources over HTTP, behind a shared secret.

A request is answered 200 only after its body would outlive a power cut, so that the server may forget it. Handshakes
and heartbeats are answered and not kept. A refusal is an OperationOutcome that repeats nothing of the body.
"""

import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hygiene_pipeline.ehr import fhir_events

PATH = "/fhir/notification"
_MEDIA_TYPES = frozenset({"application/fhir+json", "application/json"})
_FHIR_JSON = "application/fhir+json"
_BEARER = "Bearer "
_logger = logging.getLogger(__name__)


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, told: str) -> None:
        super().__init__(told)
        self.status = status
        self.code = code
        self.told = told


@dataclass(frozen=True, kw_only=True)
class Door:
    """Who may come in, with how many bytes, and what becomes of it; `store` raises OSError when it kept nothing."""

    secret: str
    header: str
    max_bytes: int
    store: Callable[[bytes], Awaitable[None]]


def webhook_app(door: Door) -> Starlette:
    """The receiver as an ASGI application: `POST /fhir/notification`, and `GET /health` for a monitor."""

    async def receive(request: Request) -> Response:
        try:
            return await _received(request, door)
        except _RefusedError as refused:
            _logger.warning("a notification was refused: %d %s", refused.status, refused.code)
            return _outcome(refused)

    async def health(request: Request) -> Response:
        return Response(status_code=204)

    return Starlette(
        routes=[Route(PATH, receive, methods=["POST"]), Route("/health", health, methods=["GET"])],
    )


async def _received(request: Request, door: Door) -> Response:
    _check_secret(request, door)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES:
        raise _RefusedError(415, "not-supported", f"send {_FHIR_JSON}")
    body = await _body(request, door.max_bytes)
    document = _document(body)
    parsed = fhir_events.parse_document(document)
    if parsed.events or parsed.bad:
        await _store(body, door)
    if parsed.bad and not parsed.events:
        # Kept all the same: a person finds it in quarantine.
        fault = parsed.bad[0]
        raise _RefusedError(422, "invariant", f"{fault.field}: {fault.reason}" if fault.field else fault.reason)
    return Response(status_code=200)


def _check_secret(request: Request, door: Door) -> None:
    given = request.headers.get(door.header, "").removeprefix(_BEARER)
    if not hmac.compare_digest(given.encode(), door.secret.encode()):
        raise _RefusedError(401, "login", f"the header {door.header} does not hold the secret")


async def _body(request: Request, limit: int) -> bytes:
    too_large = _RefusedError(413, "too-long", f"a body may have {limit} bytes")
    if not request.headers.get("content-length", "0").isdecimal():
        raise _RefusedError(400, "invalid", "content-length is not a number")
    if int(request.headers.get("content-length", "0")) > limit:
        raise too_large
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise too_large
            chunks.append(chunk)
    except ClientDisconnect:
        raise _RefusedError(400, "incomplete", "the body ended early") from None
    return b"".join(chunks)


def _document(body: bytes) -> dict[str, object]:
    try:
        document = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise _RefusedError(400, "structure", "the body is not JSON in UTF-8") from None
    if not isinstance(document, dict) or not isinstance(document.get("resourceType"), str):
        raise _RefusedError(400, "structure", "the body is not a FHIR resource")
    return document


async def _store(body: bytes, door: Door) -> None:
    try:
        await door.store(body)
    except OSError as error:
        _logger.warning("a notification could not be stored (%s %s)", type(error).__name__, error.errno)
        raise _RefusedError(503, "transient", "not stored; send it again") from None


def _outcome(refused: _RefusedError) -> Response:
    issue = {"severity": "error", "code": refused.code, "diagnostics": refused.told}
    return JSONResponse(
        {"resourceType": "OperationOutcome", "issue": [issue]}, status_code=refused.status, media_type=_FHIR_JSON
    )
