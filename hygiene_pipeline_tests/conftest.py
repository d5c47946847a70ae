"""What holds for every test."""

import gc
import os

from hypothesis import HealthCheck, settings

_OBJECTS_BETWEEN_COLLECTIONS = 50_000

# By these a machine without a terminal has all that is printed coloured, which no test is about.
for _name in ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS"):
    os.environ.pop(_name, None)

# The same examples wherever and whenever, and no example fails for being slow: other work may have the cores.
settings.register_profile(
    "everywhere", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("everywhere")


def pytest_collection_finish() -> None:
    """Let the garbage collector look seldom, and not at what was imported, which is never garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
