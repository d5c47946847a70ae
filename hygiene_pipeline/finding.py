"""What an examination of a practice found: the doctor's words, for whoever looks at a part of it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at. `is_fatal`: tonight's run would not do its work."""

    subject: str
    is_fine: bool
    told: str
    is_fatal: bool = True
