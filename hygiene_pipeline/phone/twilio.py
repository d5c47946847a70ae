"""Twilio Lookup v2 by Twilio's own SDK: line type, line status and reassigned number, as they are switched on.

A package can fail inside a response that succeeds, so each is read by itself. `valid` there means no more than that a
carrier may assign the number.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any
from urllib.parse import quote

from hygiene_pipeline.phone.protocol import (
    LookupAnswer,
    LookupRequest,
    NoAnswerError,
    NumberRefusedError,
    PackageFailure,
    PhoneLookup,
    Remedy,
)
from hygiene_pipeline.phone.twilio_errors import explained, package_failure
from hygiene_pipeline.phone.twilio_transport import QuietHttpClient
from hygiene_pipeline.phone.wire_logs import keep_requests_out_of_logs

# The SDK says nothing of its types. This is the base of its two errors, which have nothing else in common.
_TwilioError: type[Exception] = import_module("twilio.base.exceptions").TwilioException
_STATUSES = frozenset({"active", "inactive", "reachable", "unreachable", "unknown"})
_REASSIGNED = frozenset({"yes", "no", "no_data_available"})


@dataclass(frozen=True, kw_only=True)
class TwilioAccess:
    """Where and as whom Twilio is asked. `username` is the SID of an API key or of the account, `secret` its secret."""

    account_sid: str
    username: str
    secret: str = field(repr=False)
    base_url: str = "https://lookups.twilio.com"
    region: str | None = None
    edge: str | None = None
    timeout_seconds: float = 10.0
    connections: int = 10


class TwilioLookup(PhoneLookup):
    """Asks Twilio, from several threads at once; each call is charged by package."""

    provider = "twilio"

    def __init__(self, access: TwilioAccess) -> None:
        keep_requests_out_of_logs()
        self._http = QuietHttpClient(
            access.base_url, timeout_seconds=access.timeout_seconds, connections=access.connections
        )
        client: Any = import_module("twilio.rest").Client(
            access.username,
            access.secret,
            access.account_sid,
            region=access.region,
            edge=access.edge,
            http_client=self._http,
            # Whatever the environment names is another program's Twilio.
            environment={"TWILIO_REGION": ""},
        )
        client.lookups.base_url = access.base_url
        # The SDK makes these on first use, which two threads should not do at once.
        self._numbers: Any = client.lookups.v2.phone_numbers

    def ask(self, request: LookupRequest) -> LookupAnswer:
        """One GET for all packages of the request."""
        parameters = {"fields": ",".join(request.packages)} if request.packages else {}
        if request.last_confirmed_on:
            parameters["last_verified_date"] = f"{request.last_confirmed_on:%Y%m%d}"
        try:
            found = self._numbers(quote(request.phone, safe="")).fetch(**parameters)
        except _TwilioError as error:
            raise explained(error, retry_after=self._http.retry_after) from None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise NoAnswerError("Twilio: the answer cannot be read") from None
        return read_answer(request, found)

    def examine(self, phone: str) -> str:
        """A lookup without packages is free."""
        # If the number is not taken, who asked was let in all the same.
        with suppress(NumberRefusedError):
            self.ask(LookupRequest(phone=phone))
        return "the credentials are accepted"

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()


def read_answer(request: LookupRequest, found: object) -> LookupAnswer:
    """What a fetched number says. Packages are plain mappings, whatever the SDK's hints say."""
    answered: dict[str, Mapping[str, object]] = {}
    failures: list[PackageFailure] = []
    for package in request.packages:
        content: object = getattr(found, package, None)
        if not isinstance(content, Mapping):
            failures.append(_missing(package))
        elif content.get("error_code") not in (None, "", 0, "0"):
            failures.append(package_failure(package, content["error_code"]))
        else:
            answered[package] = content
    line = answered.get("line_type_intelligence", {})
    is_assignable: object = getattr(found, "valid", None)
    return LookupAnswer(
        phone=request.phone,
        is_assignable=is_assignable if isinstance(is_assignable, bool) else None,
        line_type=_text(line.get("type")),
        carrier=_text(line.get("carrier_name")),
        line_status=_one_of(_STATUSES, answered.get("line_status", {}).get("status")),
        reassigned=_one_of(_REASSIGNED, answered.get("reassigned_number", {}).get("is_number_reassigned")),
        answered=tuple(answered),
        failures=tuple(failures),
    )


def _missing(package: str) -> PackageFailure:
    told = f"Twilio: {package} was asked for and is not in the answer"
    return PackageFailure(package=package, code="missing", remedy=Remedy.LEAVE_NUMBER, told=told)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _one_of(known: frozenset[str], value: object) -> str | None:
    """The word if it is one we know, in small letters: the documentation prints them in capitals."""
    word = value.strip().lower() if isinstance(value, str) else ""
    return word if word in known else None
