"""Senders of HL7 v2 over MLLP, as the tests need them: they wait for answers, or do not."""

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

START, END = b"\x0b", b"\x1c\r"
_PATIENCE_SECONDS = 60


def framed(message: str | bytes) -> bytes:
    """A message in its frame."""
    return START + (message.encode() if isinstance(message, str) else message) + END


class Sender:
    """One connection."""

    def __init__(self, opened: socket.socket) -> None:
        self.socket = opened
        self._unread = b""

    def send(self, *messages: str | bytes) -> None:
        """Send without waiting for an answer."""
        self.socket.sendall(b"".join(map(framed, messages)))

    def answer(self) -> dict[str, list[str]]:
        """The next answer, its fields by segment; EOFError if the other side closed."""
        while END not in self._unread:
            received = self.socket.recv(65536)
            if not received:
                raise EOFError
            self._unread += received
        block, _, self._unread = self._unread.partition(END)
        assert block.startswith(START)
        return {line[:3]: line.split("|") for line in block[1:].decode("latin-1").split("\r") if line}

    def ask(self, message: str | bytes) -> str:
        """Send a message and return the code of its answer."""
        self.send(message)
        return self.answer()["MSA"][1]

    def codes(self, messages: Iterable[str | bytes]) -> list[str]:
        """Send all at once and return the codes of the answers."""
        sent = list(messages)
        self.send(*sent)
        return [self.answer()["MSA"][1] for _ in sent]


@contextmanager
def connected(port: int) -> Iterator[Sender]:
    """A sender connected to a port of this machine; one that waits in vain fails."""
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS) as opened:
        yield Sender(opened)
