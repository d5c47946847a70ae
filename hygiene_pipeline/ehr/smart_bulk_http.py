"""How we speak HTTP with a FHIR server: bounded retries, its own Retry-After, an access token that is renewed in time.

An error names the method, the path as a template and the status; never a value, a token or an address with an id in it.
"""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeVar

import httpx
import stamina

from hygiene_pipeline.clear_text import sends_in_clear
from hygiene_pipeline.failures import PermanentError, TransientError

Clock = Callable[[], datetime]
_Result = TypeVar("_Result")
_CODE = re.compile(r"[a-z-]{1,40}")
_TIMEOUT = httpx.Timeout(120.0, connect=20.0)
# Of one token that is refused, a new one cures; of so many in a row, none will.
_REFUSED_TOKENS = 3


class EhrRefusedError(PermanentError):
    """The server will not do it, and asking again changes nothing."""


class EhrUnavailableError(TransientError):
    """The server could not be reached or could not answer, however often we asked.

    `reasons` are the codes of its own account if it said that it failed (5xx), and not just that it is busy.
    """

    def __init__(self, text: str, reasons: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.reasons = reasons


class AskAgainError(Exception):
    """This attempt failed and the next may not; `wait` in seconds if the server named it."""

    def __init__(
        self, problem: str, *, wait: float | None = None, codes: tuple[str, ...] = (), has_failed: bool = False
    ) -> None:
        super().__init__(problem)
        self.problem, self.wait, self.codes, self.has_failed = problem, wait, codes, has_failed


class Tokens(Protocol):
    """Where access tokens come from."""

    def bearer(self) -> str:
        """A token that is good for the next minute."""

    def forget(self, token: str) -> None:
        """The server no longer takes this one."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often a request is tried, and how long we wait in between, in seconds."""

    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 600.0


class Conversation:
    """Requests to one server; may be used by several threads at once."""

    def __init__(self, client: httpx.Client, *, tokens: Tokens | None, patience: Patience, clock: Clock) -> None:
        self.client = client
        self.tokens = tokens
        self.patience = patience
        self.clock = clock
        self._refused: set[str] = set()
        self._retrying = stamina.RetryingCaller(
            attempts=patience.attempts,
            timeout=None,
            wait_initial=patience.first_wait,
            wait_max=patience.longest_wait,
            wait_jitter=patience.first_wait,
        ).on(self._wait_after)

    def ask(
        self,
        method: str,
        url: str,
        *,
        where: str,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        is_signed: bool = True,
    ) -> httpx.Response:
        """The answer, whatever its status but 429 and 5xx; `where` is the path as a template, for messages."""

        def once() -> httpx.Response:
            sent = {**(headers or {}), **self.authorization(is_signed=is_signed)}
            response = self.client.request(method, url, headers=sent, data=form, content=content)
            self.look_for_trouble(response, sent, where)
            return response

        return self.patiently(where, once)

    def authorization(self, *, is_signed: bool) -> dict[str, str]:
        """The header that shows our token; none to whoever must not see it."""
        return {"Authorization": f"Bearer {self.tokens.bearer()}"} if is_signed and self.tokens else {}

    def look_for_trouble(self, response: httpx.Response, sent: Mapping[str, str], where: str) -> None:
        """Raise AskAgainError where a second attempt may help; a token that was refused is forgotten."""
        status = response.status_code
        token = sent.get("Authorization", "").removeprefix("Bearer ")
        if token and self.tokens and status == httpx.codes.UNAUTHORIZED:
            self.tokens.forget(token)
            self._refused.add(token)
            if len(self._refused) >= _REFUSED_TOKENS:
                raise refused(response, where, "it takes none of the tokens that it gave; check scopes")
            raise AskAgainError("status 401", wait=0.0)
        if token:
            self._refused.clear()
        is_passing = status in (408, 429) or (status >= 500 and status != httpx.codes.NOT_IMPLEMENTED)
        codes = outcome_codes(response) if status >= httpx.codes.BAD_REQUEST else ()
        if is_passing or set(codes) == {"transient"}:
            wait = retry_after(response, self.clock)
            raise AskAgainError(f"status {status}", wait=wait, codes=codes, has_failed=response.is_server_error)

    def patiently(self, where: str, act: Callable[[], _Result]) -> _Result:
        """Do it again while that may help; EhrUnavailableError when patience ends."""
        try:
            return self._retrying(act)
        except AskAgainError as error:
            told = f"{where}: {error.problem}{_reasons(error.codes)}, {self.patience.attempts} times"
            reasons = error.codes if error.has_failed else ()
            raise EhrUnavailableError(f"{told}; the next night asks again", reasons) from None
        except httpx.TransportError as error:
            told = f"{where}: {type(error).__name__}, {self.patience.attempts} times"
            raise EhrUnavailableError(f"{told}; the next night asks again") from None
        except httpx.HTTPError as error:
            raise EhrRefusedError(f"{where}: {type(error).__name__}; check base_url") from None

    def _wait_after(self, error: Exception) -> bool | float:
        """Whether to try again, or after how many seconds; never longer than our own patience."""
        if isinstance(error, AskAgainError):
            return True if error.wait is None else min(error.wait, self.patience.longest_wait)
        return isinstance(error, httpx.TransportError)


def new_client(parallel: int) -> httpx.Client:
    """A client for so many requests at once; it never speaks in clear beyond this machine."""
    # At level INFO these write whole addresses, and a signed link is as good as a key.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    limits = httpx.Limits(max_connections=parallel + 1, max_keepalive_connections=parallel + 1)
    return httpx.Client(timeout=_TIMEOUT, limits=limits, event_hooks={"request": [_refuse_clear_text]})


def refused(response: httpx.Response, where: str, way_out: str) -> EhrRefusedError:
    """The error for an answer that another attempt would not change."""
    return EhrRefusedError(f"{where}: status {response.status_code}{_reasons(outcome_codes(response))}; {way_out}")


def retry_after(response: httpx.Response, clock: Clock) -> float | None:
    """Seconds to wait as the server says, given as a number or as a date; none if it does not say."""
    text = response.headers.get("Retry-After", "").strip()
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at.astimezone(UTC) - clock()).total_seconds())


def outcome_codes(response: httpx.Response) -> tuple[str, ...]:
    """The issue codes of an OperationOutcome; its texts may quote a record and are not looked at."""
    try:
        content = response.json()
    except (ValueError, RecursionError, httpx.ResponseNotRead):
        return ()
    issues = content.get("issue") if isinstance(content, dict) else None
    codes = [issue.get("code") for issue in issues if isinstance(issue, dict)] if isinstance(issues, list) else []
    return tuple(code for code in codes if isinstance(code, str) and _CODE.fullmatch(code))


def _reasons(codes: tuple[str, ...]) -> str:
    return f" ({', '.join(dict.fromkeys(codes))})" if codes else ""


def _refuse_clear_text(request: httpx.Request) -> None:
    if sends_in_clear(str(request.url)):
        raise EhrRefusedError("the server leads to an address without https; patients' data are not asked for in clear")
