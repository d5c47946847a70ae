"""An answer of Tebra's service: what it says of itself (refused, throttled, failed or fine), then its records.

Tebra answers HTTP 200 whatever happened; `SecurityResponse` and `ErrorResponse` inside the envelope tell. They are
looked at before anything else is made of the answer, since an answer that failed does not fit the schema either.
Records are read by the names of their members: zeep drops a member that does not stand where the schema has it, and
takes 5 ms a patient where this takes a twentieth of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from hygiene_pipeline.failures import PermanentError, TransientError

_CREDENTIALS = "check the keys tebra_customer_key, tebra_user and tebra_password"
# The text is Tebra's own and may change; it is the only mark of a throttled call.
_THROTTLED = ("429", "requested more than allowed")

Record = dict[str, str]


class TebraRefusedError(PermanentError):
    """Tebra did not accept the credentials, or their user may not do this."""


class TebraAnswerError(PermanentError):
    """Tebra's answer cannot be used, and asking again would bring the same."""


class TebraBusyError(TransientError):
    """Tebra was asked too fast, did not answer in time, or failed on its side."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """Records by the names of their members, and the key of the next page; None if the answer says nothing of one."""

    records: list[Record]
    next_key: str | None


class Element(Protocol):
    """As much of an XML element as is looked at here."""

    text: str | None
    tag: str

    def iter(self, tag: str) -> Iterator["Element"]:
        """The elements below with a name."""

    def __iter__(self) -> Iterator["Element"]:
        """The elements directly below."""

    def clear(self) -> None:
        """Empty the element."""


def judge(envelope: Element, method: str) -> None:
    """Raise what an answer says of itself; return if it holds a result or a SOAP fault."""
    if not envelope.tag.endswith("}Envelope") or _first(envelope, "Body") is None:
        raise TebraAnswerError(f"tebra: {method}: the answer is no SOAP envelope; check pm.wsdl_url")
    error = _text(envelope, "ErrorResponse", "ErrorMessage").casefold()
    is_error = _text(envelope, "ErrorResponse", "IsError").casefold() == "true"
    # A throttled call was not authenticated either, and says so: this has to come first.
    if is_error and any(mark in error for mark in _THROTTLED):
        raise TebraBusyError(f"tebra: {method}: asked more often than allowed; run again later")
    for flag in ("Authenticated", "CustomerKeyValid"):
        if _text(envelope, "SecurityResponse", flag).casefold() == "false":
            raise TebraRefusedError(f"tebra: {method}: Tebra refused the credentials; {_CREDENTIALS}")
    if _text(envelope, "SecurityResponse", "Authorized").casefold() == "false":
        raise TebraRefusedError(
            f"tebra: {method}: the user may not do this; give its role the permission for {method} in Tebra"
        )
    if is_error:
        raise TebraAnswerError(f"tebra: {method}: Tebra answered with an error; try the same call in its API console")


def take_records(envelope: Element, kind: str) -> Page:
    """Take the records of a kind out of an answer. An empty list comes as one record with nothing in it."""
    records = []
    for element in list(envelope.iter(f"{{*}}{kind}")):
        record = {member.tag.rpartition("}")[2]: (member.text or "").strip() for member in element}
        if any(record.values()):
            records.append(record)
        element.clear()
    key = _first(envelope, "Key")
    return Page(records=records, next_key=None if key is None else _text(envelope, "Key", "nextStartKey"))


def _first(element: Element, name: str) -> Element | None:
    return next(element.iter(f"{{*}}{name}"), None)


def _text(envelope: Element, block: str, name: str) -> str:
    found = _first(envelope, block)
    inner = _first(found, name) if found is not None else None
    return (inner.text or "").strip() if inner is not None else ""
