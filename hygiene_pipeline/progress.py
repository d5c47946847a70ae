"""Where long work says how far it is. Whoever wants to show it listens; nobody has to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_listener: ContextVar[Callable[[str], None] | None] = ContextVar("progress_listener", default=None)


def tell(step: str) -> None:
    """Say which step begins; never with a value of a record in it."""
    listener = _listener.get()
    if listener is not None:
        listener(step)


@contextmanager
def listening(listener: Callable[[str], None]) -> Iterator[None]:
    """Hear every step that begins within."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
