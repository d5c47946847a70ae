"""What every part of a practice file is: frozen, and no key that is not known."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from hygiene_pipeline.clear_text import sends_in_clear


def _is_private(url: str) -> str:
    """Numbers and secrets travel encrypted; only to this machine itself they need not."""
    if sends_in_clear(url):
        raise ValueError("would send patients' numbers in clear; allowed: an https address")
    return url.rstrip("/")


PrivateUrl = Annotated[str, AfterValidator(_is_private)]
"""The address of a vendor that is told patients' numbers."""


class Part(BaseModel):
    """A part of the practice file: no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def agreement_with(self) -> str | None:
        """The vendor that sees patients' data through this part, as `baa` names it; none if it stays with us."""
        return None
