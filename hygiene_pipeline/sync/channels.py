"""The vendors that a practice file names for its messages, ready to carry them."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from hygiene_pipeline.failures import KeyProblemError
from hygiene_pipeline.message.protocol import Channel
from hygiene_pipeline.practice import Practice
from hygiene_pipeline.privacy.agreements import require_agreement
from hygiene_pipeline.privacy.keys import environment_name, find_key
from hygiene_pipeline.settings.messages import Smtp, TwilioSms

SMTP_SECRET = "smtp"  # noqa: S105
TWILIO_SECRET = "twilio"  # noqa: S105


@contextmanager
def open_channels(practice: Practice, keys: Path, *, at: datetime) -> Iterator[Mapping[str, Channel]]:
    """The vendor of each channel that has one, by `email` and `sms`.

    Raises AgreementMissingError before a vendor without an agreement is told anything, and KeyProblemError if a
    secret is missing.
    """
    with ExitStack() as stack:
        channels: dict[str, Channel] = {}
        for name, settings in (("email", practice.messages.email), ("sms", practice.messages.sms)):
            if isinstance(settings, (Smtp, TwilioSms)):
                require_agreement(practice, settings.agreement_with, at=at)
                channels[name] = channel_of(practice, settings, keys)
                stack.callback(channels[name].close)
        yield channels


def channel_of(practice: Practice, settings: Smtp | TwilioSms, keys: Path) -> Channel:
    """The adapter of one vendor with its secret; nothing is connected yet.

    Its client is imported here, since most runs send nothing.
    """
    if isinstance(settings, Smtp):
        from hygiene_pipeline.message.smtp import SmtpChannel, SmtpServer

        return SmtpChannel(
            SmtpServer(
                host=settings.host,
                port=settings.port,
                security=settings.security,
                sender=settings.sender,
                reply_to=settings.reply_to,
                username=settings.username,
                password=_secret(practice, SMTP_SECRET, keys) if settings.username else None,
                ca_file=settings.ca_file,
                timeout_seconds=settings.timeout_seconds,
                attempts=settings.attempts,
            )
        )
    from hygiene_pipeline.message.twilio_sms import TwilioAccount, TwilioSmsChannel

    return TwilioSmsChannel(
        TwilioAccount(
            account_sid=settings.account_sid,
            api_key_sid=settings.api_key_sid,
            secret=_secret(practice, TWILIO_SECRET, keys),
            sender=settings.sender,
            base_url=settings.base_url,
            timeout_seconds=settings.timeout_seconds,
            attempts=settings.attempts,
        )
    )


def _secret(practice: Practice, name: str, keys: Path) -> str:
    found = find_key(keys, practice.practice, name)
    if found is None:
        variable = environment_name(practice.practice, name)
        path = keys / practice.practice / f"{name}.key"
        raise KeyProblemError(f"{path}: the secret {name} is missing; write it there as one line, or set {variable}")
    return found
