"""Where patients' data and secrets would travel unencrypted: to any other machine by an address without TLS."""

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_this_machine(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def sends_in_clear(url: str) -> bool:
    """Whether what is sent to a URL could be read on the way; so it is for one that names no host."""
    parts = urlsplit(url)
    if not parts.hostname:
        return True
    return parts.scheme != "https" and not (parts.scheme == "http" and is_this_machine(parts.hostname))
