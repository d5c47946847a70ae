"""Watches an export being made: polls as often as the server asks for, until there is a manifest or time is over."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from hygiene_pipeline.ehr.smart_bulk_http import Conversation, EhrUnavailableError, refused, retry_after
from hygiene_pipeline.ehr.smart_bulk_manifest import joined, next_part, read_manifest
from hygiene_pipeline.ehr.smart_bulk_state import Manifest
from hygiene_pipeline.failures import HygieneError, TransientError

_STATUS = "GET [status]"
_PERCENT = re.compile(r"(?<![\d.])(100|\d{1,2})(?:\.\d+)? ?%")
_GONE = (httpx.codes.NOT_FOUND, httpx.codes.GONE)
# A person may give back what was taken away; until then the export is neither lost nor failed.
_DENIED = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
# Reasons in an OperationOutcome that say: this time, not for good.
_PASSING = frozenset({"transient", "timeout", "throttled", "lock-error", "no-store", "incomplete"})


class ExportLostError(TransientError):
    """The server no longer knows the export, or no longer gives its files."""


class ExportFailedError(TransientError):
    """The server could not make the export; the next night asks for another."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """How to wait: `wait_seconds` in all, with `sleep` in between; `tell` hears how far the server is."""

    conversation: Conversation
    wait_seconds: float
    tell: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep
    seconds: Callable[[], float] = time.monotonic

    def manifest(self, status_url: str) -> Manifest | None:
        """The whole manifest, or none if the server is not ready in time.

        Raises ExportLostError if the server does not know the export, ExportFailedError if it could not make it.
        """
        patience = self.conversation.patience
        until, pause = self.seconds() + self.wait_seconds, patience.first_wait
        parts: dict[str, Manifest] = {}
        url: str | None = status_url
        while url is not None and url not in parts:
            response = self._look(url)
            if response.status_code == httpx.codes.OK:
                content = _json(response)
                parts[url] = read_manifest(content, url)
                url = next_part(content, url)
                continue
            asked = retry_after(response, self.conversation.clock)
            pause = min(patience.longest_wait, pause * 2 if asked is None else max(asked, patience.first_wait))
            if self.seconds() + pause > until:
                return None
            percent = _PERCENT.search(response.headers.get("X-Progress", ""))
            self.tell(f"the EHR prepares the export{f': {percent[1]} %' if percent else ''}")
            self.sleep(pause)
        return joined(list(parts.values()))

    def _look(self, url: str) -> httpx.Response:
        """One look: still being made, or done."""
        try:
            response = self.conversation.ask("GET", url, where=_STATUS, headers={"Accept": "application/json"})
        except EhrUnavailableError as error:
            # A server that names a lasting reason is not out of order; it says that the export has failed.
            if error.reasons and not _PASSING.issuperset(error.reasons):
                raise ExportFailedError(str(error)) from None
            raise
        if response.status_code in (httpx.codes.OK, httpx.codes.ACCEPTED):
            return response
        raise _explained(response)


def _explained(response: httpx.Response) -> HygieneError:
    if response.status_code in _GONE:
        told = f"{_STATUS}: status {response.status_code}, the server does not know the export"
        return ExportLostError(f"{told}; the next night asks for another")
    if response.status_code in _DENIED:
        return refused(response, _STATUS, "check what this client may read; the export is kept until then")
    return ExportFailedError(str(refused(response, _STATUS, "the export failed; the next night asks for another")))


def _json(response: httpx.Response) -> object:
    try:
        return response.json()
    except ValueError:
        return None
