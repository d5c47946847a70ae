"""The MLLP listener over real sockets: who gets which answer, and that nothing is acknowledged before it is stored."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from hygiene_pipeline.ehr.mllp import Limits, MllpListener
from hygiene_pipeline_tests.ehr.sender import END, START, connected, framed
from hygiene_pipeline_tests.ehr.test_hl7_v2 import message

NOW = datetime(2026, 3, 1, 7, tzinfo=UTC)
LIMITS = {"message_bytes": 20_000, "connections": 4, "frame_seconds": 60}
# Long enough for any machine: it ends only what would never have come.
PATIENCE = 60


class Listening:
    """A listener in a thread of its own, and what it stored."""

    def __init__(self, **limits: Any) -> None:
        self.stored: list[bytes] = []
        self.is_full = False
        self.may_store = threading.Event()
        self.may_store.set()
        # Released by each message that was read whole and is to be stored.
        self.asked_to_store = threading.Semaphore(0)
        self._limits = Limits(**{**LIMITS, **limits})
        self._loop = asyncio.new_event_loop()
        self._listener = MllpListener(
            store=self._store, timezone="America/New_York", limits=self._limits, now=lambda: NOW
        )

    async def _store(self, content: bytes) -> None:
        self.asked_to_store.release()
        await asyncio.to_thread(self.may_store.wait)
        if self.is_full:
            raise OSError(28, "No space left on device")
        self.stored.append(content)

    def stop(self) -> None:
        """As SIGTERM does."""
        self._do(self._listener.stop(grace_seconds=PATIENCE))

    def _do(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(2 * PATIENCE)

    @contextmanager
    def open(self) -> Iterator[int]:
        """The port while it listens."""
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        opened = socket.create_server(("127.0.0.1", 0))
        try:
            self._do(self._listener.start(opened))
            yield opened.getsockname()[1]
        finally:
            self.may_store.set()
            self.stop()
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()


@pytest.fixture
def listening() -> Listening:
    return Listening()


@pytest.fixture
def port(listening: Listening) -> Iterator[int]:
    with listening.open() as port:
        yield port


REJECTED = {
    "what is no HL7": (b"GET / HTTP/1.1", ["AR", ""], ["100", ""]),
    "another version": (message().replace("|P|2.5", "|P|3.0"), ["AR", "M1"], ["203", "MSH^1^12"]),
    "no patient": (message(PID=""), ["AR", "M1"], ["100", "PID^1"]),
    "no record number": (message(PID="PID|1||"), ["AR", "M1"], ["101", "PID^1^3"]),
    "no such day": (message(EVN="EVN||20260231"), ["AR", "M1"], ["102", "EVN^1^2"]),
    "not its charset": (message().replace("Doe", "D\u00f6e").encode("latin-1"), ["AR", "M1"], ["102", "MSH^1"]),
}


@pytest.mark.parametrize("case", REJECTED)
def test_what_can_never_be_used_is_kept_and_rejected(port: int, listening: Listening, case: str) -> None:
    sent, msa, error = REJECTED[case]
    with connected(port) as sender:
        sender.send(sent)
        answer = sender.answer()
        assert sender.ask(message(control="M9")) == "AA", "and the next one is served"
    assert [*answer["MSA"][1:], ""][:2] == msa
    code = answer["ERR"][3].split("^")[0]
    assert [code, answer["ERR"][2] if msa[1] else ""] == error
    assert len(listening.stored) == 2


def test_an_answer_goes_back_to_where_the_message_came_from(port: int) -> None:
    with connected(port) as sender:
        sender.send(message("ADT^A03^ADT_A03", "M7"))
        msh = sender.answer()["MSH"]
    assert msh[2:6] == ["CRM", "CLINIC", "EPIC", "CLINIC"]
    assert (msh[6], msh[8], msh[10], msh[11]) == ("20260301070000+0000", "ACK^A03", "P", "2.5")


def test_an_old_version_is_told_its_error_in_its_own_form(port: int) -> None:
    with connected(port) as sender:
        sender.send(message(PID="PID|1||").replace("|P|2.5", "|P|2.3"))
        assert sender.answer()["ERR"] == ["ERR", "PID^1^3^101&Required field missing&HL70357"]


@pytest.mark.parametrize(
    ("charset", "codec"),
    [("8859/1", "latin-1"), ("8859/2", "iso8859-2"), ("UNICODE UTF-8", "utf-8"), ("GB 18030-2000", "gb18030")],
)
def test_a_message_is_read_in_its_own_charset(port: int, charset: str, codec: str) -> None:
    text = message().replace("|P|2.5", f"|P|2.5||||||{charset}").replace("Doe", "D\u00e9")
    with connected(port) as sender:
        assert sender.ask(text.encode(codec)) == "AA"


def test_nothing_is_answered_before_it_is_stored(port: int, listening: Listening) -> None:
    listening.may_store.clear()
    with connected(port) as sender:
        sender.send(message())
        assert listening.asked_to_store.acquire(timeout=PATIENCE)
        sender.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sender.answer()
        sender.socket.settimeout(PATIENCE)
        listening.may_store.set()
        assert sender.answer()["MSA"][1] == "AA"


def test_a_full_disk_is_told_and_the_message_can_be_sent_again(port: int, listening: Listening) -> None:
    listening.is_full = True
    with connected(port) as sender:
        sender.send(message())
        answer = sender.answer()
        assert (answer["MSA"][1:3], answer["ERR"][3].split("^")[0]) == (["AE", "M1"], "207")
        listening.is_full = False
        assert sender.ask(message()) == "AA"


def test_a_sender_that_does_not_wait_is_answered_in_order(port: int) -> None:
    with connected(port) as sender:
        sender.send(*(message(control=f"M{number}") for number in range(300)))
        assert [sender.answer()["MSA"][2] for _ in range(300)] == [f"M{number}" for number in range(300)]


def test_a_frame_may_come_byte_by_byte_with_noise_around(port: int) -> None:
    with connected(port) as sender:
        for byte in b"\r\n" + framed(message()) + b"\n":
            sender.socket.sendall(bytes([byte]))
        assert sender.answer()["MSA"][1] == "AA"


def test_a_sender_that_broke_off_begins_anew(port: int, listening: Listening) -> None:
    with connected(port) as sender:
        sender.socket.sendall(START + b"MSH|^~\\&|cut" + framed(message()))
        assert sender.answer()["MSA"][1] == "AA"
    assert listening.stored == [message().encode()]


def test_a_frame_that_never_ends_costs_its_connection_and_no_other() -> None:
    listening = Listening(frame_seconds=0.3)
    with listening.open() as port, connected(port) as slow, connected(port) as other:
        slow.socket.sendall(START + b"MSH|")
        with pytest.raises(EOFError):
            slow.answer()
        assert other.ask(message()) == "AA"
    assert len(listening.stored) == 1


def test_a_message_larger_than_allowed_is_rejected(port: int, listening: Listening) -> None:
    with connected(port) as sender:
        sender.send(message() + "NTE|1||" + "x" * 200_000)
        answer = sender.answer()
        assert (answer["MSA"][1:3], answer["ERR"][-1]) == (["AR", "M1"], "too_large")
        sender.socket.shutdown(socket.SHUT_WR)
        with pytest.raises(EOFError):
            sender.answer()
    assert not listening.stored


def test_more_connections_than_allowed_are_closed(port: int) -> None:
    with connected(port) as one, connected(port) as two, connected(port) as three, connected(port) as four:
        assert [each.ask(message()) for each in (one, two, three, four)] == ["AA"] * 4
        with connected(port) as fifth, pytest.raises((EOFError, ConnectionError)):
            fifth.ask(message())
        assert one.ask(message(control="M2")) == "AA"


def test_what_was_read_whole_is_answered_before_it_stops(port: int, listening: Listening) -> None:
    listening.may_store.clear()
    with connected(port) as sender:
        sender.send(message(control="M1"), message(control="M2"))
        sender.socket.sendall(START + b"MSH|half")
        stopping = threading.Thread(target=listening.stop)
        # Only what is in by then is answered.
        assert all(listening.asked_to_store.acquire(timeout=PATIENCE) for _ in range(2))
        stopping.start()
        listening.may_store.set()
        assert [sender.answer()["MSA"][1:3] for _ in range(2)] == [["AA", "M1"], ["AA", "M2"]]
        with pytest.raises(EOFError):
            sender.answer()
        stopping.join()
    with pytest.raises(ConnectionRefusedError), connected(port):
        pass
    assert len(listening.stored) == 2


def test_no_value_of_a_message_is_in_an_answer_beyond_its_header_or_in_a_log(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    secret = message(PID="PID|1||^^^X^MR||Zweistein^Albert", control="M1")
    with connected(port) as sender:
        sender.socket.sendall(framed(secret))
        received = sender.socket.recv(65536)
    assert b"Zweistein" not in received
    assert END in received
    assert "Zweistein" not in caplog.text
