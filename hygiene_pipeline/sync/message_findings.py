"""Whether tonight's messages would be taken: agreement, secret and connection of each channel. Sends nothing."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from hygiene_pipeline.failures import HygieneError
from hygiene_pipeline.finding import Finding
from hygiene_pipeline.message.protocol import ChannelDownError
from hygiene_pipeline.practice import Practice
from hygiene_pipeline.privacy.agreements import require_agreement
from hygiene_pipeline.settings.messages import Smtp, TwilioSms
from hygiene_pipeline.sync.channels import channel_of


def message_findings(practice: Practice, keys: Path, *, at: datetime) -> Iterator[Finding]:
    """One finding a channel. A mail server is greeted and logged in to, Twilio tells its account: both are free.

    In a dry run nothing is fatal; a vendor that does not answer now may do so tonight.
    """
    messages = practice.messages
    is_sent = messages.send == "send"
    for subject, part in (("messages by email", messages.email), ("messages by text", messages.sms)):
        try:
            told = _examined(practice, part, keys, at=at) if isinstance(part, (Smtp, TwilioSms)) else part.kind
        except HygieneError as error:
            is_fatal = is_sent and not isinstance(error, ChannelDownError)
            yield Finding(subject=subject, is_fine=False, told=str(error), is_fatal=is_fatal)
        else:
            mode = "" if is_sent or part.kind == "off" else "; dry run: nothing is sent"
            yield Finding(subject=subject, is_fine=True, told=told + mode)


def _examined(practice: Practice, part: Smtp | TwilioSms, keys: Path, *, at: datetime) -> str:
    require_agreement(practice, part.agreement_with, at=at)
    channel = channel_of(practice, part, keys)
    try:
        return channel.examine()
    finally:
        channel.close()
