"""The HTTP client that the Twilio SDK is given: with a timeout, silent, and remembering how long to wait.

The SDK's own client waits for ever and logs every address, and its errors drop the headers of a response.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import requests
from requests.adapters import HTTPAdapter

from hygiene_pipeline.phone.protocol import NoAnswerError
from hygiene_pipeline.phone.retry_after import retry_after_seconds


@dataclass(frozen=True, kw_only=True)
class Response:
    """As much of a response as the SDK looks at."""

    status_code: int
    text: str
    headers: Mapping[str, str]


class QuietHttpClient:
    """What the SDK asks of an HTTP client, for several threads at once; it never tries again by itself."""

    is_async = False

    def __init__(self, base_url: str, *, timeout_seconds: float, connections: int) -> None:
        self._timeout_seconds = timeout_seconds
        self._of_thread = threading.local()
        self._session = requests.Session()
        # Proxy and certificates of the environment, read once and not for each of thousands of calls.
        settings = self._session.merge_environment_settings(base_url, {}, None, None, None)
        self._session.trust_env = False
        self._session.proxies.update(settings["proxies"])
        self._session.verify = settings["verify"]
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=connections, max_retries=0))

    @property
    def retry_after(self) -> float | None:
        """How long the response that this thread got last asks to wait, seconds."""
        found: float | None = getattr(self._of_thread, "retry_after", None)
        return found

    def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """One request, in the SDK's order of arguments; what `requests` raises holds the address and is replaced."""
        self._of_thread.retry_after = None
        try:
            response = self._session.request(
                method,
                url,
                params=params,
                data=data,
                headers=headers,
                auth=auth,
                timeout=timeout or self._timeout_seconds,
                allow_redirects=allow_redirects,
            )
        except requests.Timeout:
            raise NoAnswerError(f"Twilio: no answer within {self._timeout_seconds:g} s") from None
        except requests.RequestException as error:
            raise NoAnswerError(f"Twilio: the connection failed ({type(error).__name__})") from None
        self._of_thread.retry_after = retry_after_seconds(response.headers)
        return Response(status_code=response.status_code, text=response.text, headers=response.headers)

    def close(self) -> None:
        """Close the kept connections."""
        self._session.close()
