"""A lookup vendor on 127.0.0.1: real HTTP, answers by script, and a count of the calls it saw and the answers it gave.

It keeps connections open and answers many at once, as the vendors do. A body is what a script gives for a number; the
script may ask for a pause, break the connection, or hold a call for ever.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

BREAK, HOLD = "break", "hold"
PATIENCE_SECONDS = 60
"""A client's timeout for what comes, long enough for any machine."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request as the server read it."""

    path: str
    number: str
    query: dict[str, str]
    headers: dict[str, str]
    nth: int


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is sent back; `after` seconds, or `BREAK` or `HOLD` instead of a status."""

    body: Any = None
    status: int | str = 200
    headers: dict[str, str] = field(default_factory=dict)
    after: float = 0.0


Script = Callable[[Call], Reply]


def patience_with(reply: Reply) -> float:
    """A client's timeout: short only for what never comes."""
    return 0.2 if reply.status == HOLD else PATIENCE_SECONDS


class VendorServer(ThreadingHTTPServer):
    """Serves one script in threads of its own."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.lock = threading.Lock()
        self.calls: list[Call] = []
        self.seen: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed closes its connections; that is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: VendorServer
    protocol_version = "HTTP/1.1"
    # Nagle's algorithm waits 40 ms between header and body.
    wbufsize = -1

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        number = query.get("number") or unquote(parts.path.rsplit("/", 1)[-1])
        with self.server.lock:
            self.server.seen[number] += 1
            call = Call(
                path=parts.path,
                number=number,
                query=query,
                headers=dict(self.headers),
                nth=self.server.seen[number],
            )
            self.server.calls.append(call)
        self._send(call, self.server.script(call))

    def _send(self, call: Call, reply: Reply) -> None:
        if reply.after:
            threading.Event().wait(reply.after)
        if reply.status == HOLD:
            self.server.released.wait()
        if isinstance(reply.status, str):
            self.close_connection = True
            return
        text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
        content = text.encode()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        # Before the client can have it, so that whoever heard of the answer finds it counted.
        with self.server.lock:
            self.server.answered[call.number] += 1
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a test reads what the client logs."""


@contextmanager
def serving(script: Script) -> Iterator[VendorServer]:
    """The server while it runs; the calls it holds are let go at the end."""
    server = VendorServer(script)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


LINE = {
    "mobile_country_code": "311",
    "mobile_network_code": "180",
    "carrier_name": "AT&T Wireless",
    "type": "mobile",
    "error_code": None,
}
STATUS = {"status": "active", "error_code": None}
OWNER = {"last_verified_date": "2025-01-01", "is_number_reassigned": "no", "error_code": None}
PACKAGES: dict[str, Any] = {"line_type_intelligence": LINE, "line_status": STATUS, "reassigned_number": OWNER}
_OTHERS = "caller_name sim_swap call_forwarding identity_match sms_pumping_risk phone_number_quality_score pre_fill"


def twilio_body(call: Call, **changes: Any) -> dict[str, Any]:
    """What Twilio says of a good number for the fields asked for; a change of a package is merged into it."""
    asked = [name for name in call.query.get("Fields", "").split(",") if name]
    packages = {name: {**PACKAGES[name], **changes.pop(name, {})} if name in asked else None for name in PACKAGES}
    return {
        "calling_country_code": "1",
        "country_code": "US",
        "phone_number": call.number,
        "national_format": "(617) 253-0000",
        "valid": True,
        "validation_errors": None,
        **packages,
        **dict.fromkeys(_OTHERS.split()),
        "url": f"https://lookups.twilio.com/v2/PhoneNumbers/{call.number}",
        **changes,
    }


def twilio(call: Call) -> Reply:
    """A vendor that knows every number."""
    return Reply(body=twilio_body(call))


def numverify_body(call: Call, **changes: Any) -> dict[str, Any]:
    """What Numverify says of a good number."""
    return {
        "valid": True,
        "number": call.number,
        "local_format": call.number[1:],
        "international_format": f"+{call.number}",
        "country_prefix": "+1",
        "country_code": "US",
        "country_name": "United States of America",
        "location": "Cambridge",
        "carrier": "Verizon",
        "line_type": "landline",
        **changes,
    }
