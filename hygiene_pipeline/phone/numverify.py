"""Numverify by apilayer: what the numbering plan says of a number, one GET each.

Its data are carriers' prefixes, not live lines: it can find a number that nobody can have, and a line's type, but prove
neither that somebody answers nor that nobody does. An error may come with status 200, so the body is read first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import httpx

from hygiene_pipeline.failures import HygieneError
from hygiene_pipeline.phone.protocol import (
    LookupAnswer,
    LookupRequest,
    NoAnswerError,
    NumberRefusedError,
    PhoneLookup,
    ServiceBusyError,
    ServiceRefusedError,
)
from hygiene_pipeline.phone.retry_after import retry_after_seconds
from hygiene_pipeline.phone.wire_logs import keep_requests_out_of_logs

_TOO_MANY, _SERVER_ERROR, _CLIENT_ERROR = 429, 500, 400
_REFUSALS = {
    101: "does not accept the key: check the key numverify",
    102: "has switched the account off",
    103: "does not know this address: check base_url",
    104: "has no lookups left this month: raise the plan, or wait for the next month",
    105: "does not include this in the plan (HTTPS, for one, is refused to the free plan)",
    404: "does not know this address: check base_url",
}
_BUSY = 106
_OF_THE_NUMBER = {210: "no number was given", 211: "not a number", 310: "no such country"}
_LINE_TYPES = {
    "mobile": "mobile",
    "landline": "landline",
    "toll_free": "tollFree",
    "premium_rate": "premium",
    "paging": "pager",
    "special_services": "uan",
    "satellite": "satellite",
}


@dataclass(frozen=True, kw_only=True)
class NumverifyAccess:
    """Where and with which key Numverify is asked; one address takes the key in a header, another in the query."""

    key: str = field(repr=False)
    base_url: str = "https://api.apilayer.com/number_verification"
    key_in: Literal["header", "query"] = "header"
    timeout_seconds: float = 10.0
    connections: int = 10


class NumverifyLookup(PhoneLookup):
    """Asks Numverify, from several threads at once; each call is charged."""

    provider = "numverify"

    def __init__(self, access: NumverifyAccess) -> None:
        keep_requests_out_of_logs()
        self._url = f"{access.base_url.rstrip('/')}/validate"
        in_query = access.key_in == "query"
        self._timeout = access.timeout_seconds
        self._client = httpx.Client(
            headers={} if in_query else {"apikey": access.key},
            params={"access_key": access.key} if in_query else {},
            timeout=access.timeout_seconds,
            limits=httpx.Limits(max_connections=access.connections, max_keepalive_connections=access.connections),
            follow_redirects=False,
        )

    def ask(self, request: LookupRequest) -> LookupAnswer:
        """One GET; it takes digits only."""
        try:
            response = self._client.get(self._url, params={"number": request.phone.removeprefix("+")})
        except httpx.TimeoutException:
            raise NoAnswerError(f"Numverify: no answer within {self._timeout:g} s") from None
        except httpx.HTTPError as error:
            raise NoAnswerError(f"Numverify: the connection failed ({type(error).__name__})") from None
        if failure := _failure(response):
            raise failure
        return _answer(request, _body(response))

    def examine(self, phone: str) -> str:
        """Nothing: whatever is asked counts against the month."""
        return "the key is there, and not tried since every call is charged"

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()


def _failure(response: httpx.Response) -> HygieneError | None:
    """Our error for what this response refuses, or None. Nothing of its texts is repeated."""
    body = _body(response)
    if body.get("success") is False:
        error = body.get("error")
        return _by_code(error.get("code") if isinstance(error, Mapping) else None, response)
    status = response.status_code
    if status == _TOO_MANY:
        if response.headers.get("x-ratelimit-remaining-month") == "0":
            return ServiceRefusedError(f"Numverify {_REFUSALS[104]} ({status})")
        return ServiceBusyError(
            f"Numverify: too many requests ({status})", retry_after=retry_after_seconds(response.headers)
        )
    if status >= _SERVER_ERROR:
        return NoAnswerError(f"Numverify: not available now ({status})")
    if status in (401, 403):
        return ServiceRefusedError(f"Numverify {_REFUSALS[101]} ({status})")
    if status >= _CLIENT_ERROR:
        return ServiceRefusedError(f"Numverify refuses the request ({status})")
    return None if "valid" in body else NoAnswerError(f"Numverify: the answer cannot be read ({status})")


def _by_code(code: object, response: httpx.Response) -> HygieneError:
    number = int(code) if isinstance(code, int | str) and str(code).isdecimal() else 0
    if number == _BUSY:
        return ServiceBusyError(
            f"Numverify: too many requests (code {number})", retry_after=retry_after_seconds(response.headers)
        )
    if number in _OF_THE_NUMBER:
        return NumberRefusedError(f"Numverify does not take the number: {_OF_THE_NUMBER[number]} (code {number})")
    return ServiceRefusedError(f"Numverify {_REFUSALS.get(number, 'refuses the request')} (code {number})")


def _body(response: httpx.Response) -> Mapping[str, object]:
    """The JSON object of a response; an empty one for anything else."""
    try:
        content: object = response.json()
    except ValueError:
        return {}
    return content if isinstance(content, Mapping) else {}


def _answer(request: LookupRequest, body: Mapping[str, object]) -> LookupAnswer:
    is_assignable, line_type, carrier = body["valid"], body.get("line_type"), body.get("carrier")
    return LookupAnswer(
        phone=request.phone,
        is_assignable=is_assignable if isinstance(is_assignable, bool) else None,
        line_type=_LINE_TYPES.get(line_type, line_type) if isinstance(line_type, str) and line_type else None,
        carrier=carrier if isinstance(carrier, str) and carrier else None,
        answered=request.packages,
    )
