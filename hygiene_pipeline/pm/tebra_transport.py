"""How zeep reaches Tebra: one host, over bounded answers that are whole and free of document type declarations.

zeep's own transport logs envelopes, and its lenient parser mends what was cut off: a list cut in the middle would read
as a shorter list. So an answer is read here, checked as it streams in, and never logged.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import cast
from urllib.parse import urlsplit, urlunsplit
from xml.parsers import expat

import requests
from zeep.wsdl.utils import etree_to_string

from hygiene_pipeline.failures import HygieneError
from hygiene_pipeline.pm.tebra_answer import TebraAnswerError, TebraBusyError, TebraRefusedError

_BLOCK = 1 << 16
_OK, _FAILED, _TOO_MANY = 200, 500, 429
# WCF sends faults with 500; any other status comes from something in between.
_WITH_ENVELOPE = {_OK, _FAILED}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """As much of a response as zeep looks at."""

    status_code: int
    content: bytes
    headers: Mapping[str, str]
    encoding: str | None = "utf-8"


class TebraTransport:
    """Posts to the service beside the WSDL, whatever address the WSDL names, and follows no redirect.

    `timeout_seconds` bounds a silence and, ten times over, a whole answer; `answer_limit` is in bytes.
    """

    def __init__(self, *, wsdl_url: str, timeout_seconds: float, answer_limit: int) -> None:
        self.session = requests.Session()
        self._origin = urlsplit(wsdl_url)
        self._address = urlunsplit(self._origin._replace(query="", fragment=""))
        self._timeout = timeout_seconds
        self._limit = answer_limit

    def load(self, url: str) -> bytes:
        """A document of the WSDL; those of another host are refused."""
        there = urlsplit(url)
        if (there.scheme, there.netloc) != (self._origin.scheme, self._origin.netloc):
            raise TebraAnswerError("tebra: the WSDL refers to another host; check pm.wsdl_url")
        answer = self._exchange("GET", url)
        if answer.status_code != _OK:
            raise _of_status(answer.status_code)
        return answer.content

    def post_xml(self, address: str, envelope: object, headers: Mapping[str, str]) -> Answer:
        """Send an envelope; a fault comes back as any other answer."""
        message = cast("Callable[..., bytes]", etree_to_string)(envelope)
        answer = self._exchange("POST", self._address, message, dict(headers))
        if answer.status_code not in _WITH_ENVELOPE:
            raise _of_status(answer.status_code)
        return answer

    def _exchange(
        self, verb: str, url: str, message: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        until = monotonic() + 10 * self._timeout
        try:
            with self.session.request(
                verb, url, data=message, headers=headers, timeout=self._timeout, allow_redirects=False, stream=True
            ) as response:
                if response.status_code not in _WITH_ENVELOPE:
                    return Answer(status_code=response.status_code, content=b"", headers=response.headers)
                content = self._whole(response, until)
        except requests.exceptions.SSLError:
            raise TebraAnswerError("tebra: the server's certificate is not trusted; check pm.wsdl_url") from None
        except requests.RequestException as error:
            # The class alone: the message may hold a query.
            raise TebraBusyError(f"tebra: no answer ({type(error).__name__}); run again later") from None
        return Answer(status_code=response.status_code, content=content, headers=response.headers)

    def _whole(self, response: requests.Response, until: float) -> bytes:
        """The bytes of a well-formed document, within the limits of length and time."""
        content = bytearray()
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = _refuse_doctype
        try:
            for block in response.iter_content(_BLOCK):
                content += block
                if len(content) > self._limit:
                    raise TebraAnswerError(f"tebra: an answer exceeds {self._limit:,} bytes; lower pm.batch_size")
                if monotonic() > until:
                    raise TebraBusyError("tebra: an answer did not end in time; run again later")
                parser.Parse(block, False)
            parser.Parse(b"", True)
        except expat.ExpatError:
            raise TebraBusyError("tebra: an answer was cut off or is no XML; run again later") from None
        return bytes(content)


def _refuse_doctype(*_: object) -> None:
    raise TebraAnswerError("tebra: an answer holds a document type declaration; check pm.wsdl_url")


def _of_status(status: int) -> HygieneError:
    if status in {401, 403}:
        return TebraRefusedError(f"tebra: HTTP {status}: the service refuses this client; check pm.wsdl_url")
    if status == _TOO_MANY or status >= _FAILED:
        return TebraBusyError(f"tebra: HTTP {status}; run again later")
    return TebraAnswerError(f"tebra: HTTP {status}; check pm.wsdl_url")
