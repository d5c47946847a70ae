"""A SOAP server on this machine that behaves as Tebra's is known to, in what it gives and in how it refuses.

It insists on the contract in the SOAPAction, on the order of the credentials and on a `Filter`; answers 200 whatever
happened; throttles by the time between two calls of a method; gives an empty list as one record without an id. What is
put into `trouble` by method is used up first, call by call.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from xml.sax.saxutils import escape

from lxml import etree

from hygiene_pipeline_tests.pm.kareo_wsdl import LISTS, NAMESPACE, wsdl

CUSTOMER_KEY, USER, PASSWORD = "key<1>", "sync@lakeside.example", "pass&word"
PRACTICE = "Lakeside Family Medicine"
THROTTLE_MS = {"GetAllPatients": 5000, "GetAppointments": 1000, "GetProviders": 500, "GetPractices": 500}
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
Record = dict[str, str]


@dataclass
class Reply:
    """What a call is answered with instead of its list: a status and a body, or with silence."""

    status: int = 200
    body: str | bytes = ""
    is_silent: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None


def result(method: str, inner: str, *, error: str = "", security: str = "") -> str:
    """An envelope with the result of a method."""
    error = error or "<IsError>false</IsError><ErrorMessage/>"
    security = security or (
        "<Authenticated>true</Authenticated><Authorized>true</Authorized><CustomerKeyValid>true</CustomerKeyValid>"
    )
    return (
        f'<s:Envelope xmlns:s="{_SOAP}"><s:Body><{method}Response xmlns="{NAMESPACE}"><{method}Result>'
        f"<ErrorResponse>{error}</ErrorResponse><SecurityResponse>{security}</SecurityResponse>{inner}"
        f"</{method}Result></{method}Response></s:Body></s:Envelope>"
    )


def fault(code: str, words: str) -> str:
    """An envelope with a fault."""
    return (
        f'<s:Envelope xmlns:s="{_SOAP}"><s:Body><s:Fault><faultcode>{code}</faultcode>'
        f"<faultstring>{words}</faultstring></s:Fault></s:Body></s:Envelope>"
    )


def refused(method: str, *, authenticated: bool = True, authorized: bool = True, key_valid: bool = True) -> Reply:
    """A refusal, inside 200."""
    flags = {"Authenticated": authenticated, "Authorized": authorized, "CustomerKeyValid": key_valid}
    spelt = "".join(f"<{name}>{str(value).lower()}</{name}>" for name, value in flags.items())
    return Reply(body=result(method, "", security=spelt))


def throttled(method: str) -> Reply:
    """A call that came too early, inside 200: what is not asked for was not authenticated either."""
    words = "429: endpoint requested more than allowed. An element the schema does not know follows."
    error = f"<IsError>true</IsError><ErrorMessage>{words}</ErrorMessage><Surprise>1</Surprise>"
    return Reply(body=result(method, "", error=error, security="<Authenticated>false</Authenticated>"))


class TebraServer:
    """The records of one account, and what went over the wire."""

    def __init__(self, *, pace: float) -> None:
        self.pace = pace
        self.closing = Event()
        self.patients: list[Record] = []
        self.appointments: list[Record] = []
        self.providers: list[Record] = []
        self.practices: list[Record] = [{"ID": "7", "PracticeName": PRACTICE}]
        self.trouble: dict[str, list[Reply]] = defaultdict(list)
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.came_at: list[float] = []
        self.lacks: frozenset[str] = frozenset()
        self.wsdl_reply: Reply | None = None
        self.url = ""
        self._last: dict[str, float] = {}

    def answer(self, action: str, envelope: bytes) -> Reply:
        """The answer to one call."""
        method = action.strip('"').removeprefix(f"{NAMESPACE}KareoServices/")
        if method not in LISTS:
            return Reply(status=500, body=fault("a:ActionNotSupported", "ContractFilter mismatch"))
        request = etree.fromstring(envelope).find(f".//{{{NAMESPACE}}}request")
        header = request.find(f"{{{NAMESPACE}}}RequestHeader")
        given = [(etree.QName(each).localname, each.text) for each in header]
        if given != [("CustomerKey", CUSTOMER_KEY), ("Password", PASSWORD), ("User", USER)]:
            return refused(method, authenticated=False)
        criteria = request.find(f"{{{NAMESPACE}}}Filter")
        if criteria is None or len(request.find(f"{{{NAMESPACE}}}Fields")):
            return Reply(status=500, body=fault("s:Server", "NullReferenceException"))
        asked = {etree.QName(each).localname: each.text or "" for each in criteria}
        self.calls.append((method, asked))
        self.came_at.append(time.monotonic())
        if self._is_too_early(method):
            return throttled(method)
        if self.trouble[method]:
            return self.trouble[method].pop(0)
        return Reply(body=self._listed(method, asked))

    def _is_too_early(self, method: str) -> bool:
        now, last = time.monotonic(), self._last.get(method)
        self._last[method] = now
        return last is not None and (now - last) * 1000 <= THROTTLE_MS[method] * self.pace

    def _listed(self, method: str, asked: Record) -> str:
        if method == "GetAllPatients":
            start, size = int(asked.get("StartKey") or 0), int(asked["BatchSize"])
            page = self.patients[start : start + size]
            key = start + size if start + size < len(self.patients) else 0
            return result(method, f"<Key><nextStartKey>{key}</nextStartKey></Key>" + _list(method, page))
        if method == "GetAppointments":
            first, last = asked["StartDate"], asked["EndDate"]
            found = [each for each in self.appointments if first <= each["at"] <= last]
            return result(method, _list(method, found))
        if method == "GetProviders":
            return result(method, _list(method, self.providers))
        return result(method, _list(method, [p for p in self.practices if asked["PracticeName"] in p["PracticeName"]]))


def _list(method: str, records: list[Record]) -> str:
    element, record = LISTS[method]
    inner = "".join(
        f"<{record}>{''.join(f'<{n}>{escape(v)}</{n}>' for n, v in each.items() if n != 'at')}</{record}>"
        for each in records or [{}]
    )
    return f"<{element}>{inner}</{element}>"


@contextmanager
def tebra_server(*, pace: float = 0) -> Iterator[TebraServer]:
    """A server in a thread, with nothing in it; `pace` multiplies the time that it wants between two calls."""
    tebra = TebraServer(pace=pace)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # The address of a server behind a load balancer, which nobody outside can reach.
            whole = Reply(body=wsdl("http://10.0.0.5/services/KareoServices.svc", without=tebra.lacks))
            self._send(tebra.wsdl_reply or whole)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._send(tebra.answer(self.headers.get("SOAPAction", ""), body))

        def _send(self, reply: Reply) -> None:
            if reply.is_silent:
                tebra.closing.wait()
                return
            data = reply.body.encode() if isinstance(reply.body, str) else reply.body
            self.send_response(reply.status)
            for name, value in ({"Content-Type": "text/xml; charset=utf-8"} | reply.headers).items():
                self.send_header(name, value)
            # A server that breaks off closes without having said how long it would be.
            if reply.cut_at is None:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: reply.cut_at])

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    tebra.url = f"http://127.0.0.1:{server.server_address[1]}/services/soap/2.1/KareoServices.svc?wsdl"
    try:
        yield tebra
    finally:
        tebra.closing.set()
        server.shutdown()
        server.server_close()
