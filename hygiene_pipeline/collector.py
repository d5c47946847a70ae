"""The garbage collector is kept from going through libraries and definitions again and again: they stay."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_OBJECTS_BETWEEN_LOOKS = 10_000


@contextmanager
def paused() -> Iterator[None]:
    """Let the collector wait, unless somebody has switched it off altogether."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def spare_what_is_loaded() -> None:
    """Count all that there is as in use for good, and look for garbage less often: runs make much and keep little."""
    gc.freeze()
    _, *older = gc.get_threshold()
    gc.set_threshold(max(_OBJECTS_BETWEEN_LOOKS, gc.get_threshold()[0]), *older)
