"""A mail server on this machine that takes mail, or answers as it is told to."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "riverside", "Xyzzyq-open-sesame"
BREAK_OFF = "break off"


class MailServer:
    """What was taken, and the answers still to be given to a command instead of 250, in their order."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.answers: dict[str, list[str]] = {}
        self.sessions = 0
        self.when_taken: Callable[[], None] = lambda: None

    def answer(self, command: str, *answers: str) -> None:
        """Give these answers to the next commands of this name."""
        self.answers.setdefault(command, []).extend(answers)

    def next_answer(self, command: str) -> str:
        waiting = self.answers.get(command)
        return waiting.pop(0) if waiting else "250 OK"

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.sessions += 1
        session.host_name = hostname
        return responses

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, mail_options: list[str]
    ) -> str:
        answer = self.next_answer("MAIL")
        if answer.startswith("250"):
            envelope.mail_from = address
        return answer

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        answer = self.next_answer("RCPT")
        if answer == BREAK_OFF:
            server.transport.abort()
            return "421 gone"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self.next_answer("DATA")
        if answer.startswith("250") or answer == BREAK_OFF:
            self.taken.append(message_from_bytes(envelope.original_content or b"", policy=policy.default))
            self.recipients += envelope.rcpt_tos
            self.when_taken()
        if answer == BREAK_OFF:
            server.transport.abort()
        return answer


class _Controller(Controller):
    """Takes any free port."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


def _log_in(server: SMTP, session: Session, envelope: Envelope, mechanism: str, auth_data: Any) -> AuthResult:
    is_right = isinstance(auth_data, LoginPassword) and auth_data == LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=is_right, handled=False)


@contextmanager
def mail_server(*, tls: ssl.SSLContext | None = None, is_tls_at_once: bool = False) -> Iterator[tuple[MailServer, int]]:
    """The server and its port; with `tls` it offers STARTTLS, or speaks TLS at once, and then a login."""
    handler = MailServer()
    own: dict[str, Any] = {"authenticator": _log_in}
    if is_tls_at_once:
        own |= {"ssl_context": tls, "auth_require_tls": False}
    elif tls:
        own |= {"tls_context": tls}
    controller = _Controller(handler, hostname="127.0.0.1", port=0, ready_timeout=60, **own)
    controller.start()
    handler.sessions = 0
    try:
        yield handler, controller.port
    finally:
        controller.stop()


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate of 127.0.0.1 that only its own file vouches for, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example")])
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "mail.pem", folder / "mail.key"
    cert_file.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    return cert_file, context
