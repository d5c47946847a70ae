"""The TLS of the project's own servers, out of a practice's certificate files."""

import ssl

from hygiene_pipeline.failures import PermanentError
from hygiene_pipeline.settings.receive import Tls


def server_context(tls: Tls | None) -> ssl.SSLContext | None:
    """TLS 1.2 or newer with these files, none without; PermanentError if they cannot be used."""
    if tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.client_ca is not None:
            context.load_verify_locations(tls.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError):
        raise PermanentError(
            f"receive: {tls.certificate} and its key cannot be used; give PEM files that belong together"
        ) from None
    return context
