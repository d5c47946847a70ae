"""The minimal lower layer protocol: HL7 v2 messages over TCP, each answered once what becomes of it is certain.

Knows frames, connections and answers. Where messages are kept is the caller's: `store` returns when a message would
outlive a power cut, and raises OSError when it was not kept. Messages of one connection are stored together and
answered in their order, so a sender that does not wait for answers is served as fast as the disk allows.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from hygiene_pipeline.ehr import hl7_v2
from hygiene_pipeline.ehr.acknowledge import NOT_STORED, TOO_LARGE, acknowledgement
from hygiene_pipeline.ehr.event import BadEvent
from hygiene_pipeline.ehr.hl7_text import END_BLOCK, START_BLOCK

_logger = logging.getLogger(__name__)
_HEADER_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one sender may ask of us; sizes in bytes, times in seconds."""

    message_bytes: int
    connections: int
    frame_seconds: float
    unanswered: int = 256


@dataclass(frozen=True)
class _TooLarge:
    head: bytes


class MllpListener:
    """A server for one practice; `timezone` is the practice's, `now` gives the time of an answer."""

    def __init__(
        self,
        *,
        store: Callable[[bytes], Awaitable[None]],
        timezone: str,
        limits: Limits,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._timezone = timezone
        self._limits = limits
        self._now = now
        self._server: asyncio.Server | None = None
        self._readers: set[asyncio.Task[None]] = set()
        self._conversations: set[asyncio.Task[None]] = set()

    async def start(self, opened: socket.socket, *, tls: ssl.SSLContext | None = None) -> None:
        """Answer on a socket that is open to listen on."""
        self._server = await asyncio.start_server(
            self._converse, sock=opened, limit=self._limits.message_bytes, ssl=tls
        )

    async def stop(self, *, grace_seconds: float) -> None:
        """Take no more; answer what was read whole; then close, after `grace_seconds` at the latest."""
        if self._server is None:
            return
        self._server.close()
        for task in self._readers:
            task.cancel()
        if self._conversations:
            _, late = await asyncio.wait(self._conversations, timeout=grace_seconds)
            for task in late:
                task.cancel()
        await self._server.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._conversations) >= self._limits.connections:
            _logger.warning("a connection was refused: %d are open", len(self._conversations))
            writer.transport.abort()
            return
        self._conversations.add(task)
        _keep_alive(writer)
        answers: asyncio.Queue[asyncio.Task[bytes] | None] = asyncio.Queue(self._limits.unanswered)
        answering = asyncio.create_task(self._answer(answers, writer))
        reading = asyncio.create_task(self._read(reader, answers))
        self._readers.add(reading)
        try:
            await asyncio.wait({reading, answering}, return_when=asyncio.FIRST_COMPLETED)
            reading.cancel()
            await asyncio.wait({reading})
            if not answering.done():
                await answers.put(None)
            await answering
        finally:
            self._readers.discard(reading)
            self._conversations.discard(task)
            answering.cancel()
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, answers: "asyncio.Queue[asyncio.Task[bytes] | None]") -> None:
        try:
            async for block in self._blocks(reader):
                await answers.put(asyncio.create_task(self._take(block)))
                if isinstance(block, _TooLarge):
                    await self._read_away(reader)
                    return
        except ConnectionError as error:
            _logger.info("a sender went away (%s)", type(error).__name__)

    async def _blocks(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes | _TooLarge]:
        """The frames of a connection until it ends; bytes between frames belong to nothing."""
        while True:
            try:
                await reader.readuntil(START_BLOCK)
            except asyncio.IncompleteReadError as end:
                if end.partial.strip():
                    _logger.warning("%d bytes came outside of any frame", len(end.partial))
                return
            except asyncio.LimitOverrunError:
                _logger.warning("a sender sends no frames: its connection is closed")
                return
            try:
                async with asyncio.timeout(self._limits.frame_seconds):
                    block = (await reader.readuntil(END_BLOCK)).removesuffix(END_BLOCK)
            except (TimeoutError, asyncio.IncompleteReadError):
                _logger.warning("a frame never ended: its connection is closed, the sender got no answer")
                return
            except asyncio.LimitOverrunError:
                _logger.warning("a frame is larger than %d bytes: refused", self._limits.message_bytes)
                yield _TooLarge(await reader.read(_HEADER_BYTES))
                return
            # A sender that broke off in the middle begins anew.
            yield block.rpartition(START_BLOCK)[2]

    async def _read_away(self, reader: asyncio.StreamReader) -> None:
        """Closing on unread bytes would reset the connection before the sender has read its answer."""
        try:
            async with asyncio.timeout(self._limits.frame_seconds):
                while await reader.read(self._limits.message_bytes):
                    pass
        except TimeoutError:
            return

    async def _take(self, block: bytes | _TooLarge) -> bytes:
        if isinstance(block, _TooLarge):
            return acknowledgement(block.head, "AR", at=self._now(), fault=TOO_LARGE)
        fault = fault_of(block, timezone=self._timezone)
        try:
            await self._store(block)
        except OSError as error:
            _logger.warning("a message could not be stored (%s %s)", type(error).__name__, error.errno)
            return acknowledgement(block, "AE", at=self._now(), fault=NOT_STORED)
        if fault is not None:
            _logger.warning("a message was refused: %s %s", fault.field, fault.reason)
        return acknowledgement(block, "AR" if fault else "AA", at=self._now(), fault=fault)

    async def _answer(self, answers: "asyncio.Queue[asyncio.Task[bytes] | None]", writer: asyncio.StreamWriter) -> None:
        is_there = True
        while (taking := await answers.get()) is not None:
            answer = await taking
            try:
                if is_there:
                    writer.write(START_BLOCK + answer + END_BLOCK)
                    await writer.drain()
            except ConnectionError:
                # What was read is stored all the same; the sender sends it again and is answered then.
                is_there = False


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """A sender may be silent for hours; one whose machine is gone must not hold its connection for ever."""
    opened = writer.get_extra_info("socket")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def fault_of(block: bytes, *, timezone: str) -> BadEvent | None:
    """What makes a message unusable, as the pipeline will find when it takes it; none if it can be used."""
    return next(iter(hl7_v2.parse(block, timezone=timezone).bad), None)
