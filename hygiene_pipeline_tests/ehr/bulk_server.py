"""A FHIR server on 127.0.0.1 that exports as SMART Bulk Data says, strict where the specification is, and breakable.

    with BulkServer() as server:
        server.holds("Patient", [{"resourceType": "Patient", "id": "p1"}])
        server.trouble["status"] = [Trouble(status=429, retry_after="0"), Trouble(status=500)]

Each trouble is met once, in order, by the next request of that kind: `configuration`, `token`, `kickoff`, `status`,
`file` or `delete`. What was asked is written down.
"""

import gzip
import json
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import parse_qs

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

TRANSACTION_TIME = "2026-03-01T04:00:00.000Z"
_LONGEST_ASSERTION = 300


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What goes wrong once: a status, tokens that end, a body that breaks off after so many bytes or stalls there.

    A body that is no longer than that is sent as it is: who has all of it may ask for the next over the connection.
    """

    status: int = 0
    retry_after: str | None = None
    code: str | None = None
    ends_tokens: bool = False
    drop_after: int | None = None
    stall_after: int | None = None


@dataclass(kw_only=True)
class Kept:
    """A file to be exported; `announced` overrides the true count."""

    section: str
    type: str
    content: bytes
    count: int | None


@dataclass(kw_only=True)
class Asked:
    """A request that came."""

    kind: str
    method: str
    url: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(self.url.partition("?")[2])


def ndjson(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@dataclass(kw_only=True)
class BulkServer:
    """One server. `polls` is how often it says that an export is not ready."""

    client_key: PublicKeyTypes | None = None
    client_id: str = "hygiene"
    algorithms: tuple[str, ...] = ("RS384", "ES384")
    capabilities: tuple[str, ...] = ("permission-v1",)
    token_seconds: int = 300
    requires_token: bool | None = None
    takes_ranges: bool = True
    has_tags: bool = True
    packs: bool = False
    polls: int = 1
    retry_after: str | None = "0"
    transaction_time: str = TRANSACTION_TIME
    one_at_a_time: bool = True
    splits_manifest: bool = False
    files: list[Kept] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)
    trouble: dict[str, list[Trouble]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    exports: dict[str, int] = field(default_factory=dict)
    signature: int = 1
    tokens: set[str] = field(default_factory=set)
    granted: Counter[str] = field(default_factory=Counter)
    _jtis: set[str] = field(default_factory=set)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _released: threading.Event = field(default_factory=threading.Event)
    stalled: int = 0

    def __enter__(self) -> "BulkServer":
        routes = [
            Route("/r4/.well-known/smart-configuration", self._configuration),
            Route("/r4/metadata", self._metadata),
            Route("/token", self._token, methods=["POST"]),
            Route("/r4/{path:path}$export", self._kick_off, methods=["GET", "POST"]),
            Route("/status/{export}", self._status, methods=["GET"]),
            Route("/status/{export}", self._delete, methods=["DELETE"]),
            Route("/status/{export}/more", self._more),
            Route("/files/{export}/{number:int}", self._file),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes), host="127.0.0.1", port=0, log_level="critical", lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.002)
        self.root = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join()

    def reset(self) -> "BulkServer":
        """As if new, at the same address."""
        fresh = BulkServer()
        for each in fields(self):
            setattr(self, each.name, getattr(fresh, each.name))
        return self

    @property
    def base_url(self) -> str:
        return f"{self.root}/r4"

    def holds(
        self, name: str, resources: list[dict[str, Any]], *, section: str = "output", count: int | None = -1
    ) -> None:
        """A file for every export that is started; -1 announces the true count."""
        announced = len(resources) if count == -1 else count
        self.files.append(Kept(section=section, type=name, content=ndjson(*resources), count=announced))

    def of(self, kind: str, method: str | None = None) -> list[Asked]:
        """The requests of a kind."""
        return [each for each in self.asked if each.kind == kind and method in (None, each.method)]

    def await_that(self, is_so: Callable[["BulkServer"], bool]) -> None:
        """Wait until a request has made it so."""
        with self._changed:
            assert self._changed.wait_for(lambda: is_so(self), timeout=60)

    def release(self) -> None:
        """Let what is stalled go on."""
        self._released.set()

    async def _note(self, kind: str, request: Request) -> Response | None:
        """Write a request down; the trouble it meets, if that is an answer."""
        body = await request.body()
        headers = {name.lower(): value for name, value in request.headers.items()}
        with self._changed:
            self.asked.append(Asked(kind=kind, method=request.method, url=str(request.url), headers=headers, body=body))
            self._changed.notify_all()
        waiting = self.trouble.get(kind, [])
        if waiting and waiting[0].ends_tokens:
            waiting.pop(0)
            self.tokens.clear()
        if waiting and waiting[0].status:
            trouble = waiting.pop(0)
            headers = {"Retry-After": trouble.retry_after} if trouble.retry_after else {}
            return _outcome(trouble.status, trouble.code, headers)
        return None

    def _refuses(self, request: Request) -> bool:
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return self.client_key is not None and bearer not in self.tokens

    async def _metadata(self, request: Request) -> Response:
        return await self._note("metadata", request) or JSONResponse({"resourceType": "CapabilityStatement"})

    async def _configuration(self, request: Request) -> Response:
        return await self._note("configuration", request) or JSONResponse(
            {
                "token_endpoint": f"{self.root}/token",
                "token_endpoint_auth_signing_alg_values_supported": list(self.algorithms),
                "capabilities": list(self.capabilities),
            }
        )

    async def _token(self, request: Request) -> Response:
        met = await self._note("token", request)
        if met:
            return met
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        error = self._fault_of(form)
        if error:
            return JSONResponse({"error": error, "error_description": "patient Jane Canary"}, status_code=400)
        token = f"token-{len(self._jtis)}"
        self.tokens.add(token)
        self.granted[str(form["scope"])] += 1
        answer = {"access_token": token, "token_type": "bearer", "expires_in": self.token_seconds}
        return JSONResponse({**answer, "scope": str(form["scope"])})

    def _fault_of(self, form: dict[str, str]) -> str | None:
        assertion = str(form.get("client_assertion"))
        expected = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        if form.get("grant_type") != "client_credentials" or form.get("client_assertion_type") != expected:
            return "invalid_request"
        try:
            header = jwt.get_unverified_header(assertion)
            claims = jwt.decode(
                assertion,
                self.client_key,
                algorithms=list(self.algorithms),
                audience=f"{self.root}/token",
                options={"require": ["iss", "sub", "aud", "exp", "jti"]},
            )
        except jwt.InvalidTokenError:
            return "invalid_client"
        is_ours = claims["iss"] == claims["sub"] == self.client_id and header.get("kid") == "key-1"
        is_short = claims["exp"] - time.time() <= _LONGEST_ASSERTION
        if not is_ours or not is_short or header.get("typ") != "JWT" or claims["jti"] in self._jtis:
            return "invalid_client"
        self._jtis.add(claims["jti"])
        return None if str(form.get("scope", "")).startswith("system/") else "invalid_scope"

    async def _kick_off(self, request: Request) -> Response:
        met = await self._note("kickoff", request)
        if met:
            return met
        if self._refuses(request):
            return _outcome(401, "login")
        if "respond-async" not in request.headers.get("Prefer", ""):
            return _outcome(400, "invalid")
        if self.one_at_a_time and self.exports:
            return _outcome(429, "throttled", {"Retry-After": "0"})
        name = f"e{len(self.of('kickoff'))}"
        self.exports[name] = self.polls
        return Response(status_code=202, headers={"Content-Location": f"{self.root}/status/{name}"})

    async def _status(self, request: Request) -> Response:
        met = await self._note("status", request)
        if met:
            return met
        if self._refuses(request):
            return _outcome(401, "login")
        name = request.path_params["export"]
        if name not in self.exports:
            return _outcome(404, "not-found")
        if self.exports[name] > 0:
            self.exports[name] -= 1
            headers = {"X-Progress": "Jane Canary, 40% done"}
            return Response(
                status_code=202, headers=headers | ({"Retry-After": self.retry_after} if self.retry_after else {})
            )
        files = self.files[:1] if self.splits_manifest else self.files
        links = [{"relation": "next", "url": f"{self.root}/status/{name}/more"}] if self.splits_manifest else []
        return JSONResponse(self._manifest(name, files, 0) | {"link": links})

    async def _more(self, request: Request) -> Response:
        met = await self._note("status", request)
        return met or JSONResponse(self._manifest(request.path_params["export"], self.files[1:], 1))

    def _manifest(self, name: str, files: list[Kept], first: int) -> dict[str, Any]:
        listed: dict[str, list[dict[str, Any]]] = {"output": [], "deleted": [], "error": [], "outcome": []}
        for number, kept in enumerate(files, start=first):
            link = {"type": kept.type, "url": f"{self.root}/files/{name}/{number}?sig={self.signature}"}
            listed[kept.section].append(link | ({} if kept.count is None else {"count": kept.count}))
        requires = self.client_key is not None if self.requires_token is None else self.requires_token
        manifest = {"transactionTime": self.transaction_time, "request": "?", "requiresAccessToken": requires}
        return manifest | {section: found for section, found in listed.items() if found or section == "output"}

    async def _delete(self, request: Request) -> Response:
        met = await self._note("delete", request)
        if met:
            return met
        known = self.exports.pop(request.path_params["export"], None)
        return Response(status_code=404 if known is None else 202)

    async def _file(self, request: Request) -> Response:
        met = await self._note("file", request)
        if met:
            return met
        if request.path_params["export"] in self.lost:
            return _outcome(404, "not-found")
        is_signed = "Authorization" in request.headers
        wants_token = self.client_key is not None if self.requires_token is None else self.requires_token
        if wants_token and self._refuses(request):
            return _outcome(401, "login")
        # A storage service refuses a request that is signed twice.
        if not wants_token and is_signed:
            return _outcome(400, "invalid")
        if request.query_params.get("sig") != str(self.signature):
            return _outcome(403, "forbidden")
        return self._content(request)

    def _content(self, request: Request) -> Response:
        kept = self.files[request.path_params["number"]]
        content, headers = kept.content, {"Content-Type": "application/fhir+ndjson"}
        if self.packs and "gzip" in request.headers.get("Accept-Encoding", ""):
            content, headers["Content-Encoding"] = gzip.compress(content, mtime=0), "gzip"
        if self.has_tags:
            headers["ETag"] = f'"{len(content)}-{self.signature}"'
        start, status = 0, 200
        asked = request.headers.get("Range", "")
        is_same = request.headers.get("If-Range") in (None, headers.get("ETag"))
        if self.takes_ranges and asked and is_same:
            start, status = int(asked.removeprefix("bytes=").removesuffix("-")), 206
            if start >= len(content):
                return Response(status_code=416, headers={"Content-Range": f"bytes */{len(content)}"})
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        headers["Content-Length"] = str(len(content) - start)
        waiting = self.trouble.get("file", [])
        trouble = waiting.pop(0) if waiting else Trouble()
        return StreamingResponse(self._body(content[start:], trouble), status_code=status, headers=headers)

    async def _body(self, content: bytes, trouble: Trouble) -> AsyncIterator[bytes]:
        if trouble.drop_after is not None:
            yield content[: trouble.drop_after]
            raise ConnectionResetError
        if trouble.stall_after is not None and trouble.stall_after < len(content):
            yield content[: trouble.stall_after]
            with self._changed:
                self.stalled += 1
                self._changed.notify_all()
            await run_in_threadpool(self._released.wait)
            yield content[trouble.stall_after :]
            return
        yield content


def _outcome(status: int, code: str | None, headers: dict[str, str] | None = None) -> Response:
    """What servers say when they refuse; a careless one quotes a patient."""
    issue = {"severity": "error", "code": code, "diagnostics": "Patient Jane Canary, MRN 0000"}
    content = {"resourceType": "OperationOutcome", "issue": [issue]} if code else None
    return JSONResponse(content, status_code=status, headers=headers)
