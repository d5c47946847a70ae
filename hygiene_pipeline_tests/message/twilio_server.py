"""A server on this machine that behaves like Twilio's Messages API, with its failures on demand."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

ACCOUNT, KEY, SECRET = "AC" + "0" * 32, "SK" + "1" * 32, "Xyzzyq-open-sesame"
OFFICE = "+16175550100"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """How one request for a message fails; `is_taken`: the message was made all the same."""

    status: int = 500
    code: int = 20500
    is_taken: bool = False
    is_new_form: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    is_silent: bool = False
    goes_away: bool = False


class TwilioServer:
    """The account's messages, and the failures still to come."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self.made: list[dict[str, Any]] = []
        self.failures: list[Failure] = []
        self.requests: list[tuple[str, str]] = []
        self.price: str | None = None
        self.account_status = "active"
        self.is_list_broken = False
        self.closing = threading.Event()

    def make(self, form: dict[str, str]) -> dict[str, Any]:
        made = {
            "sid": f"SM{len(self.made):032x}",
            "account_sid": ACCOUNT,
            "to": form["To"],
            "from": form.get("From"),
            "messaging_service_sid": form.get("MessagingServiceSid"),
            "body": form["Body"],
            "status": "queued",
            "date_created": format_datetime(self.at),
            "date_sent": None,
            "date_updated": format_datetime(self.at),
            "price": self.price,
            "price_unit": "USD",
            "error_code": None,
            "num_segments": "1",
            "direction": "outbound-api",
        }
        self.made.append(made)
        return made


class _Handler(BaseHTTPRequestHandler):
    """One request. `twilio` is set on the class that the server is given."""

    twilio: TwilioServer

    def do_POST(self) -> None:
        form = {name: values[0] for name, values in parse_qs(self._body().decode()).items()}
        if not self._is_known("POST"):
            return
        failure = self.twilio.failures.pop(0) if self.twilio.failures else None
        made = self.twilio.make(form) if failure is None or failure.is_taken else None
        if failure is None:
            self._answer(201, made)
        elif failure.is_silent:
            self.twilio.closing.wait()
        elif not failure.goes_away:
            self._fail(failure, form["To"])

    def do_GET(self) -> None:
        if not self._is_known("GET"):
            return
        if urlsplit(self.path).path.endswith("/Messages.json"):
            if self.twilio.is_list_broken:
                self._fail(Failure(), "")
                return
            latest = list(reversed(self.twilio.made))
            self._answer(200, {"messages": latest, "page": 0, "page_size": 200, "next_page_uri": None})
        elif sid := [each for each in self.twilio.made if f"/Messages/{each['sid']}.json" in self.path]:
            self._answer(200, sid[0])
        elif "/Messages/" in self.path:
            self._fail(Failure(status=404, code=20404), "")
        else:
            self._answer(200, {"sid": ACCOUNT, "status": self.twilio.account_status, "friendly_name": "Riverside"})

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is said."""

    def _is_known(self, method: str) -> bool:
        path = urlsplit(self.path)
        self.twilio.requests.append((method, self.path))
        credentials = base64.b64decode(self.headers.get("Authorization", "Basic ").removeprefix("Basic ")).decode()
        if credentials not in (f"{KEY}:{SECRET}", f"{ACCOUNT}:{SECRET}"):
            self._fail(Failure(status=401, code=20003), "")
            return False
        return path.path.startswith(f"/2010-04-01/Accounts/{ACCOUNT}")

    def _fail(self, failure: Failure, number: str) -> None:
        """Both of Twilio's forms of an error, its words quoting the number as theirs do."""
        words = f"The 'To' number {number} cannot be used"
        legacy = {"code": failure.code, "message": words, "more_info": "https://example.org", "status": failure.status}
        new = {
            "type": f"https://example.org/{failure.code}",
            "title": "Error",
            "status": failure.status,
            "code": failure.code,
            "detail": words,
        }
        body = failure.body or json.dumps(new if failure.is_new_form else legacy).encode()
        self._answer_bytes(failure.status, body, failure.headers)

    def _answer(self, status: int, content: object) -> None:
        self._answer_bytes(status, json.dumps(content).encode(), {})

    def _answer_bytes(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))


@contextmanager
def twilio_server(at: datetime) -> Iterator[tuple[TwilioServer, str]]:
    """The server, whose clock stands at `at`, and its address."""
    twilio = TwilioServer(at)
    http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"twilio": twilio}))
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield twilio, f"http://127.0.0.1:{http.server_address[1]}"
    finally:
        twilio.closing.set()
        http.shutdown()
        http.server_close()
        thread.join()
