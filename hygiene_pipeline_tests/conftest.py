"""What holds for every test."""

import gc

_OBJECTS_BETWEEN_COLLECTIONS = 50_000


def pytest_collection_finish() -> None:
    """Let the garbage collector look seldom, and not at what was imported, which is never garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
