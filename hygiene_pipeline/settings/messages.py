"""Whether patients are asked to confirm a number, and what carries the question."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from hygiene_pipeline.clear_text import is_this_machine
from hygiene_pipeline.settings.part import Part, PrivateUrl

_Address = Annotated[str, Field(pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+\.[A-Za-z]+$")]


class MessageFiles(Part):
    """Messages go to `outbox/messages`, a line each, for somebody else to deliver."""

    kind: Literal["files"] = "files"


class MessagesOff(Part):
    """Nobody is asked on this channel."""

    kind: Literal["off"] = "off"


class Smtp(Part):
    """A mail server that takes the practice's email. The secret `smtp` is the password of `username`."""

    kind: Literal["smtp"]
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    vendor: Annotated[str, Field(min_length=1)] | None = None
    sender: _Address
    reply_to: _Address | None = None
    username: Annotated[str, Field(min_length=1)] | None = None
    ca_file: str | None = None
    timeout_seconds: PositiveFloat = 30
    attempts: PositiveInt = 3

    @property
    def agreement_with(self) -> str:
        """Whoever runs the server: `vendor`, or else the name of the host."""
        return self.vendor or self.host

    @model_validator(mode="after")
    def _is_private(self) -> Self:
        if self.security == "none" and not is_this_machine(self.host):
            raise ValueError("security: none is for a server on this machine only; allowed: starttls, tls")
        return self


class TwilioSms(Part):
    """Texts by Twilio. The secret of the API key, or the auth token of the account, is the key `twilio`."""

    kind: Literal["twilio"]
    account_sid: Annotated[str, Field(pattern=r"^AC[0-9A-Za-z]{8,64}$")]
    api_key_sid: Annotated[str, Field(pattern=r"^SK[0-9A-Za-z]{8,64}$")] | None = None
    sender: Annotated[str, Field(pattern=r"^\+[1-9]\d{6,14}$|^\d{5,6}$|^MG[0-9A-Za-z]{8,64}$")]
    base_url: PrivateUrl = "https://api.twilio.com"
    timeout_seconds: PositiveFloat = 30
    attempts: PositiveInt = 3

    @property
    def agreement_with(self) -> str:
        """Twilio's agreement covers its lookups and its texts."""
        return "twilio"


class Messages(Part):
    """What carries a question by email and by text; in a dry run it is only shown what would be sent."""

    send: Literal["dry_run", "send"] = "dry_run"
    email: Annotated[MessageFiles | MessagesOff | Smtp, Field(discriminator="kind")] = MessageFiles()
    sms: Annotated[MessageFiles | MessagesOff | TwilioSms, Field(discriminator="kind")] = MessageFiles()
