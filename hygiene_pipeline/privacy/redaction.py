"""The border that no value crosses: failures leave a step by their kind and place, never with what a library quoted.

DuckDB, CSV readers and JSON parsers quote the data they choke on. Dagster stores every exception; so everything that is
not known to be free of values is replaced here.
"""

import traceback
from types import TracebackType

from hygiene_pipeline.failures import HygieneError

_PACKAGE = "hygiene_pipeline"


class RedactedFailureError(HygieneError):
    """A failure whose text was withheld; says its kind and where in our code it came up."""


class redacted:
    """`with redacted(): …` lets HygieneError and the named `safe` kinds through and replaces every other exception."""

    def __init__(self, *safe: type[Exception]) -> None:
        self._safe: tuple[type[Exception], ...] = (HygieneError, *safe)

    def __enter__(self) -> None:
        """Nothing to do on the way in."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, self._safe):
            raise RedactedFailureError(f"{type(error).__name__} at {_place(error)}; the text is withheld") from None


def _place(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _PACKAGE in frame.filename]
    if not frames:
        return "an unknown place"
    last = frames[-1]
    return f"{_PACKAGE}{last.filename.rpartition(_PACKAGE)[2]}:{last.lineno}"
