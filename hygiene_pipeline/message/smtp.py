"""Email by SMTP: the message as text, one connection a pass, and no doubt about what was taken.

A server that answers 4xx, or breaks off before the text was handed over, has not taken the message: it is asked again.
One that breaks off after the text may have taken it: nobody can say, so it is not handed over twice.
"""

import re
import smtplib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from typing import Literal

from hygiene_pipeline.message.protocol import (
    Channel,
    ChannelDownError,
    ChannelRefusedError,
    Message,
    Receipt,
    Verdict,
)

_LONGEST_WAIT_SECONDS = 30.0
# One plain address: nothing that a header reads as a second one.
_ADDRESS = re.compile(r"""[^@\s<>()\[\],;:"\\]+@[^@\s<>()\[\],;:"\\]+""")
# RFC 3463: addresses that do not exist, and mailboxes that are closed. 5.7 is our standing with the server, not theirs.
_BAD_MAILBOX = ("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1")
_BAD_MAILBOX_CODES = (550, 551, 553)
_NOT_LET_IN = (530, 534, 535, 538)


@dataclass(frozen=True, kw_only=True)
class SmtpServer:
    """Where mail is handed in, as whom, and from which address."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    sender: str
    reply_to: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    timeout_seconds: float = 30.0
    attempts: int = 3


class _NotTakenError(Exception):
    """The server has certainly not taken the message, and may take it later."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class SmtpChannel(Channel):
    """Hands email to a server; `pause` waits so many seconds between two tries of one message."""

    name = "smtp"

    def __init__(self, server: SmtpServer, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._server = server
        self._pause = pause
        self._open: smtplib.SMTP | None = None

    def send(self, message: Message) -> Receipt:
        """Hand over an email, asking again while the server puts us off."""
        code = ""
        for attempt in range(self._server.attempts):
            if attempt:
                self._pause(min(2.0**attempt, _LONGEST_WAIT_SECONDS))
            try:
                return self._hand_over(message)
            except _NotTakenError as error:
                code = error.code
                self.close()
        return Receipt(verdict=Verdict.BUSY, code=code)

    def examine(self) -> str:
        """Connect, greet, log in, and leave."""
        try:
            code, _ = self._connection().noop()
        except _NotTakenError as error:
            raise ChannelDownError(f"{self._place}: does not answer ({error.code}); is the host right?") from None
        except (smtplib.SMTPException, OSError):
            code = 0
        finally:
            self.close()
        if code // 100 != 2:
            raise ChannelDownError(f"{self._place}: broke off; try again later")
        return f"{self._place} answers, {self._server.security}, {'logged in' if self._server.username else 'no login'}"

    def close(self) -> None:
        """Say goodbye; a server that has gone needs none."""
        if self._open is not None:
            try:
                self._open.quit()
            except (smtplib.SMTPException, OSError):
                self._open.close()
            self._open = None

    @property
    def _place(self) -> str:
        return f"smtp server {self._server.host}:{self._server.port}"

    def _hand_over(self, message: Message) -> Receipt:
        try:
            mail = self._mail(message)
        except ValueError:
            return Receipt(verdict=Verdict.BAD_ADDRESS, code="not_an_address")
        smtp = self._connection()
        is_plain = message.address.isascii()
        if not is_plain and not smtp.has_extn("smtputf8"):
            return Receipt(verdict=Verdict.REFUSED, code="no_smtputf8")
        refusal = self._envelope(smtp, message.address, ["SMTPUTF8"] if not is_plain else [])
        if refusal:
            return refusal
        return self._text(smtp, mail.as_bytes(), vendor_id=str(mail["Message-ID"]))

    def _envelope(self, smtp: smtplib.SMTP, address: str, options: list[str]) -> Receipt | None:
        """Sender and recipient; None if both are welcome."""
        try:
            smtp.rset()
            code, _ = smtp.mail(self._server.sender, options)
            if code // 100 != 2:
                self._judge(code, "the sender")
            code, answer = smtp.rcpt(address)
        except (smtplib.SMTPException, OSError) as error:
            raise _NotTakenError(type(error).__name__) from None
        if code // 100 == 2:
            return None
        if code // 100 == 4 or code in _NOT_LET_IN:
            self._judge(code, "the login")
        enhanced = answer.decode("latin-1").split(" ", 1)[0]
        is_bad = enhanced in _BAD_MAILBOX if enhanced.startswith("5.") else code in _BAD_MAILBOX_CODES
        return Receipt(verdict=Verdict.BAD_ADDRESS if is_bad else Verdict.REFUSED, code=str(code))

    def _text(self, smtp: smtplib.SMTP, text: bytes, *, vendor_id: str) -> Receipt:
        try:
            code, _ = smtp.data(text)
        except smtplib.SMTPDataError as error:
            # The server does not want to hear the text: it has not taken it.
            code = error.smtp_code
        except (smtplib.SMTPException, OSError):
            self.close()
            return Receipt(verdict=Verdict.UNCONFIRMED, vendor_id=vendor_id, code="broke_off")
        if code // 100 == 2:
            return Receipt(verdict=Verdict.SENT, vendor_id=vendor_id)
        if code // 100 == 4 or code in _NOT_LET_IN:
            self._judge(code, "the login")
        return Receipt(verdict=Verdict.REFUSED, code=str(code))

    def _judge(self, code: int, what: str) -> None:
        """An answer that is about us and not about this message: later, or never."""
        if code // 100 == 4:
            raise _NotTakenError(str(code))
        self.close()
        raise ChannelRefusedError(f"{self._place}: refuses {what} ({code}); check messages.email and the secret smtp")

    def _connection(self) -> smtplib.SMTP:
        if self._open is None:
            self._open = self._connect()
        return self._open

    def _connect(self) -> smtplib.SMTP:
        server = self._server
        name = server.sender.rpartition("@")[2]
        place = (server.host, server.port, name)
        smtp: smtplib.SMTP | None = None
        try:
            if server.security == "tls":
                smtp = smtplib.SMTP_SSL(*place, timeout=server.timeout_seconds, context=self._trust())
            else:
                smtp = smtplib.SMTP(*place, timeout=server.timeout_seconds)
            if server.security == "starttls":
                smtp.starttls(context=self._trust())
            if server.username:
                smtp.login(server.username, server.password or "")
            smtp.ehlo_or_helo_if_needed()
        except (smtplib.SMTPException, OSError) as error:
            if smtp is not None:
                smtp.close()
            raise self._not_let_in(error) from None
        return smtp

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._server.ca_file)

    def _not_let_in(self, error: Exception) -> Exception:
        """What keeps us out: a certificate, a login or a missing feature does not mend itself."""
        match error:
            case ssl.SSLCertVerificationError():
                return ChannelRefusedError(f"{self._place}: its certificate is not trusted; set messages.email.ca_file")
            case smtplib.SMTPAuthenticationError(smtp_code=code) if code // 100 == 5:
                return ChannelRefusedError(
                    f"{self._place}: refuses the login ({code}); check messages.email.username and the secret smtp"
                )
            case smtplib.SMTPNotSupportedError():
                return ChannelRefusedError(
                    f"{self._place}: offers no STARTTLS or no login; set messages.email.security to tls, or username"
                )
            case smtplib.SMTPResponseException(smtp_code=code):
                return _NotTakenError(str(code))
        return _NotTakenError(type(error).__name__)

    def _mail(self, message: Message) -> EmailMessage:
        """The email; the same message has the same Message-ID, by which a reader's server knows a repetition."""
        server = self._server
        if not _ADDRESS.fullmatch(message.address):
            raise ValueError("not an address")
        mail = EmailMessage(policy=SMTP_POLICY.clone(utf8=not message.address.isascii()))
        mail["From"] = server.sender
        mail["To"] = message.address
        mail["Subject"] = message.subject or ""
        mail["Date"] = format_datetime(message.at)
        mail["Message-ID"] = f"<{message.message_id}@{server.sender.rpartition('@')[2]}>"
        answers_to = server.reply_to or server.sender
        if server.reply_to:
            mail["Reply-To"] = server.reply_to
        mail["Auto-Submitted"] = "auto-generated"
        mail["List-Unsubscribe"] = f"<mailto:{answers_to}?subject=STOP>"
        mail.set_content(message.text)
        return mail
