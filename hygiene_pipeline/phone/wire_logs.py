"""Keeps the requests of HTTP libraries out of every log: the address of a lookup holds a patient's number."""

import logging

from stamina.instrumentation import set_on_retry_hooks

_LOGGERS = (
    "urllib3.connectionpool",
    "urllib3.util.retry",
    "requests.packages.urllib3.connectionpool",
    "httpx",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "twilio.http_client",
)


class _NothingOfARequest(logging.Filter):
    """A filter holds whatever level somebody sets later."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR


_FILTER = _NothingOfARequest()


def keep_requests_out_of_logs() -> None:
    """From now on, none of the libraries that carry lookups logs a request; safe to call again."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)
    # Where structlog is installed, each retry would be printed with its arguments.
    set_on_retry_hooks(())
