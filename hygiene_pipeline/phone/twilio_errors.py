"""What Twilio's error codes mean for a lookup, whether they come as a response of their own or inside a package."""

from dataclasses import dataclass

from hygiene_pipeline.failures import HygieneError
from hygiene_pipeline.phone.protocol import (
    NoAnswerError,
    NumberRefusedError,
    PackageFailure,
    Remedy,
    ServiceBusyError,
    ServiceRefusedError,
)

_SERVER_ERROR, _TOO_MANY = 500, 429
_REFUSALS = {
    401: "does not accept the credentials: check account_sid, api_key_sid and the key twilio",
    402: "wants to be paid first: check the balance of the account",
    403: "forbids lookups to these credentials: check what the key may do, and that the account is active",
}
# Of this number alone; 404 because a number that Lookup has no place for is not found.
_OF_THE_NUMBER = (400, 404, 422)


@dataclass(frozen=True, kw_only=True)
class _Code:
    remedy: Remedy
    told: str


_CODES = {
    "60600": _Code(remedy=Remedy.LEAVE_NUMBER, told="has no data for such a number"),
    "60601": _Code(remedy=Remedy.LEAVE_NUMBER, told="needs Twilio's approval for Canadian numbers"),
    "60606": _Code(remedy=Remedy.STOP_PACKAGE, told="is not enabled on the account: have Twilio enable it"),
    "60607": _Code(remedy=Remedy.LEAVE_NUMBER, told="does not cover the number's country"),
    "60608": _Code(remedy=Remedy.AGAIN, told="got no answer from the carrier's side"),
    "60611": _Code(remedy=Remedy.STOP_PACKAGE, told="has used up its quota"),
    "60614": _Code(remedy=Remedy.STOP_PACKAGE, told="is not to be had in this region: check region and edge"),
    "60616": _Code(remedy=Remedy.AGAIN, told="is asked faster than it allows"),
    "60619": _Code(remedy=Remedy.STOP_PACKAGE, told="is missing in this region: check region and edge"),
    "60626": _Code(remedy=Remedy.LEAVE_NUMBER, told="was asked about the number too often"),
}
_UNKNOWN = _Code(remedy=Remedy.LEAVE_NUMBER, told="failed")


def package_failure(package: str, code: object) -> PackageFailure:
    """The failure of a package by its `error_code`, which is a number in some packages and a text in others."""
    known = _CODES.get(str(code), _UNKNOWN)
    return PackageFailure(
        package=package, code=str(code), remedy=known.remedy, told=f"Twilio: {package} {known.told} ({code})"
    )


def explained(error: Exception, *, retry_after: float | None) -> HygieneError:
    """Our error for one of the SDK's, whose texts hold the address; both of its kinds have a status and a code."""
    status, code = _number(getattr(error, "status", None)), _number(getattr(error, "code", None))
    if not status:
        return NoAnswerError(f"Twilio: no usable answer ({type(error).__name__})")
    known = _CODES.get(str(code))
    if status == _TOO_MANY:
        return ServiceBusyError(f"Twilio: too many requests ({code})", retry_after=retry_after)
    if status in _REFUSALS:
        return ServiceRefusedError(f"Twilio {_REFUSALS[status]} ({status}, code {code})")
    if known is not None and known.remedy is Remedy.STOP_PACKAGE:
        return ServiceRefusedError(f"Twilio: a package {known.told} ({status}, code {code})")
    if status >= _SERVER_ERROR or (known is not None and known.remedy is Remedy.AGAIN):
        busy = ServiceBusyError(f"Twilio: not available now ({status}, code {code})", retry_after=retry_after)
        return busy if retry_after is not None else NoAnswerError(str(busy))
    if status in _OF_THE_NUMBER or known is not None:
        return NumberRefusedError(f"Twilio does not take the number ({status}, code {code})")
    return ServiceRefusedError(f"Twilio refuses the request ({status}, code {code})")


def _number(value: object) -> int:
    """A status or code as a number; what a body claims instead is never repeated."""
    text = str(value)
    return int(text) if text.isdecimal() and len(text) < 10 else 0
