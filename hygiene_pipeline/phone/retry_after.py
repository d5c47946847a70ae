"""How long a server asks to wait: the header Retry-After, as seconds or as a date."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, 0 or more; None if the server did not say, or not so that it can be read.

    A date is compared with the server's own `Date`: our clock may be another.
    """
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    try:
        return max(float(text), 0.0)
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(text)
        said_at = parsedate_to_datetime(headers.get("Date", ""))
        return max((until - said_at).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None
