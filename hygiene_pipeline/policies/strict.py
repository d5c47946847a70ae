"""What every part of a policy is: frozen, and no key that is not known."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """No unknown keys, no later changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
