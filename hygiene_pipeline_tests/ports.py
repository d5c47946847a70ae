"""Ports of this machine for tests of what nobody listens at."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def closed_door() -> Iterator[socket.socket]:
    """A port that nobody listens at, and that nobody else can take meanwhile."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        yield door
