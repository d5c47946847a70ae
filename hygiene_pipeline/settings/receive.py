"""Where a practice listens for events that its EHR sends by itself."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from hygiene_pipeline.clear_text import is_this_machine
from hygiene_pipeline.settings.part import Part

Port = Annotated[int, Field(ge=0, le=65535)]
Host = Annotated[str, Field(min_length=1)]


class Tls(Part):
    """PEM files of the server's certificate; `client_ca` asks senders for a certificate of that authority."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


class _Door(Part):
    """An address to listen on. Beyond this machine patients' data travel under TLS, or in a network that encrypts."""

    host: Host = "127.0.0.1"
    tls: Tls | None = None
    plain: bool = False

    @model_validator(mode="after")
    def _is_private(self) -> Self:
        if self.tls is None and not self.plain and not is_this_machine(self.host):
            raise ValueError(
                "sends patients' data in clear; allowed: tls with certificate and key, a host of this machine such as"
                " 127.0.0.1, or plain: true where a VPN or a proxy encrypts"
            )
        return self


class Mllp(_Door):
    """HL7 v2 over MLLP; sizes in KiB, times in seconds."""

    port: Port = 2575
    max_message_kib: PositiveInt = 4096
    max_connections: PositiveInt = 64
    frame_seconds: PositiveFloat = 30


class Webhook(_Door):
    """FHIR R4 notifications over HTTP; sizes in KiB. The secret is the practice's key `webhook`."""

    port: Port = 8575
    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] = "X-Hygiene-Secret"
    max_body_kib: PositiveInt = 4096


class Receive(Part):
    """The two doors. Neither is open unless `hygiene listen` or `hygiene webhook` runs."""

    mllp: Mllp = Mllp()
    webhook: Webhook = Webhook()
