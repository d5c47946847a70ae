"""Calls of Tebra's SOAP service by zeep: credentials, the pace that each method allows, bounded retries.

Knows the service, not what its records mean. No message holds what was sent or answered.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, cast

import stamina
from pyrate_limiter import Limiter, Rate
from requests import RequestException
from zeep import Client, Settings
from zeep.exceptions import Error as ZeepError
from zeep.exceptions import Fault
from zeep.plugins import Plugin

from hygiene_pipeline.failures import TransientError
from hygiene_pipeline.pm.tebra_answer import Element, Page, TebraAnswerError, TebraBusyError, judge, take_records
from hygiene_pipeline.pm.tebra_transport import TebraTransport


@dataclass(frozen=True, kw_only=True)
class _Method:
    """The type of a method's records, and the milliseconds between two calls by Tebra's technical guide."""

    kind: str
    apart: int


_METHODS = {
    "GetAllPatients": _Method(kind="PatientBatchData", apart=5000),
    "GetAppointments": _Method(kind="AppointmentData", apart=1000),
    "GetPractices": _Method(kind="PracticeData", apart=500),
    "GetProviders": _Method(kind="ProviderData", apart=500),
}
# A gap of exactly that long is still refused.
_MARGIN = 250
_FIRST_WAIT_SECONDS = 2.0
_LONGEST_WAIT_SECONDS = 60.0
_NAMESPACE = "http://www.kareo.com/api/schemas/"
# What zeep raises for a document that is XML and yet no WSDL depends on where it stumbles.
_UNREADABLE = (ZeepError, RequestException, LookupError, AttributeError, TypeError, ValueError)

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Who asks: the account's customer key and a user of its own for this. Never shown."""

    customer_key: str = field(repr=False)
    user: str = field(repr=False)
    password: str = field(repr=False)


class _Service(Protocol):
    def __getitem__(self, method: str) -> Callable[..., object]: ...


class _Operation(Protocol):
    name: str


class _Type(Protocol):
    elements: list[tuple[str, object]]


class _Client(Protocol):
    service: _Service

    def get_type(self, name: str) -> _Type: ...


class _Reader(Plugin):
    """Judges every answer and takes its records before zeep makes anything of it."""

    def __init__(self) -> None:
        self.page = Page(records=[], next_key=None)

    def ingress(self, envelope: Element, http_headers: object, operation: _Operation) -> tuple[Element, object]:
        judge(envelope, operation.name)
        self.page = take_records(envelope, _METHODS[operation.name].kind)
        return envelope, http_headers


class TebraCalls:
    """The service of one account.

    `pace` multiplies every wait, between calls and before a retry; 1 is what Tebra allows. `attempts` counts the first.
    """

    def __init__(
        self,
        *,
        wsdl_url: str,
        credentials: Credentials,
        timeout_seconds: float,
        answer_limit: int,
        pace: float,
        attempts: int,
    ) -> None:
        self._attempts = attempts
        self._credentials = credentials
        self._pace = pace
        self._transport = TebraTransport(wsdl_url=wsdl_url, timeout_seconds=timeout_seconds, answer_limit=answer_limit)
        self._limiters = {
            name: Limiter(Rate(1, max(1, int((method.apart + _MARGIN) * pace)))) for name, method in _METHODS.items()
        }
        self._reader = _Reader()
        self._client = self._retried(lambda: self._connect(wsdl_url))

    def close(self) -> None:
        """Let go of the connection and of the threads that count calls."""
        self._transport.session.close()
        for limiter in self._limiters.values():
            limiter.close()

    def declared(self, method: str) -> set[str]:
        """The members that the WSDL gives the records of a method."""
        kind = _METHODS[method].kind
        try:
            return {name for name, _ in self._client.get_type(f"{{{_NAMESPACE}}}{kind}").elements}
        except _UNREADABLE:
            raise TebraAnswerError(f"tebra: the WSDL knows no {kind}; check pm.wsdl_url") from None

    def ask(self, method: str, criteria: Mapping[str, object]) -> Page:
        """What a method that takes `Fields` and `Filter` answers.

        Empty `Fields` bring every field, any one of them next to nothing; a missing `Filter` is a fault of the server.
        """
        header = {
            "CustomerKey": self._credentials.customer_key,
            "Password": self._credentials.password,
            "User": self._credentials.user,
        }
        request = {"RequestHeader": header, "Fields": {}, "Filter": dict(criteria)}
        return self._retried(lambda: self._once(method, request))

    def _once(self, method: str, request: Mapping[str, object]) -> Page:
        self._limiters[method].try_acquire(method)
        try:
            self._client.service[method](request=request)
        except Fault as fault:
            raise _of_fault(fault, method) from None
        except _UNREADABLE as error:
            raise TebraAnswerError(
                f"tebra: {method}: does not fit the WSDL ({type(error).__name__}); check pm.wsdl_url"
            ) from None
        return self._reader.page

    def _connect(self, wsdl_url: str) -> _Client:
        # Lenient about the schema, which Tebra's answers do not always keep; the transport is strict about XML.
        settings = Settings(strict=False, forbid_dtd=True, forbid_entities=True)
        make = cast("Callable[..., _Client]", Client)
        try:
            return make(wsdl_url, transport=self._transport, settings=settings, plugins=[self._reader])
        except _UNREADABLE as error:
            raise TebraAnswerError(
                f"tebra: the WSDL cannot be read ({type(error).__name__}); check pm.wsdl_url"
            ) from None

    def _retried(self, action: Callable[[], _T]) -> _T:
        for attempt in stamina.retry_context(
            on=TransientError,
            attempts=self._attempts,
            timeout=None,
            wait_initial=_FIRST_WAIT_SECONDS * self._pace,
            wait_max=_LONGEST_WAIT_SECONDS * self._pace,
            wait_jitter=_FIRST_WAIT_SECONDS * self._pace,
        ):
            with attempt:
                return action()
        raise TebraBusyError("tebra: no answer; run again later")


def _of_fault(fault: Fault, method: str) -> Exception:
    """A fault that names the client is a request that the server will never take; its text may hold values."""
    if "client" in str(fault.code or "").casefold():
        return TebraAnswerError(f"tebra: {method}: the service takes no such request; check pm.wsdl_url")
    return TebraBusyError(f"tebra: {method}: the service failed (SOAP fault); run again later")
