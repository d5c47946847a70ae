"""What every part of a practice file is: frozen, and no key that is not known."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of the practice file: no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def agreement_with(self) -> str | None:
        """The vendor that sees patients' data through this part, as `baa` names it; none if it stays with us."""
        return None
