"""The policy of messages that ask to confirm a number: how often, when, and in which words.

The practice's name and number are all that a template can be filled with, so no text can hold anything of a patient.
"""

from string import Formatter
from typing import Annotated, Self

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from hygiene_pipeline.policies.strict import Strict

_Hour = Annotated[int, Field(ge=0, le=23)]
_FILLED = {"practice", "phone"}


def _is_fillable(text: str) -> str:
    try:
        names = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
    except ValueError:
        raise ValueError("has a brace that is not closed; allowed: {practice} and {phone}") from None
    if names - _FILLED:
        raise ValueError("is filled with more than the practice's own; allowed: {practice} and {phone}")
    return text


def _says_who_and_how_to_stop(text: str) -> str:
    if "{practice}" not in text or "STOP" not in text:
        raise ValueError("must say who writes, {practice}, and that the answer STOP ends it")
    return text


_Line = Annotated[str, Field(pattern=r"^[^\r\n]{1,200}$"), AfterValidator(_is_fillable)]
_Text = Annotated[str, AfterValidator(_is_fillable), AfterValidator(_says_who_and_how_to_stop)]


class EmailTemplate(Strict):
    """An email that asks to confirm a number."""

    subject: _Line
    text: _Text


class TextTemplate(Strict):
    """A text that asks to confirm a number."""

    text: _Text


class MessageTemplates(Strict):
    """The two ways of asking."""

    confirm_phone_email: EmailTemplate
    confirm_phone_sms: TextTemplate


class ReengagementPolicy(Strict):
    """How often, how far apart (days), when (local hours) and in which words patients are asked to confirm a number."""

    max_tries: PositiveInt
    wait_days: PositiveInt
    quiet_from_hour: _Hour
    quiet_to_hour: _Hour
    templates: MessageTemplates

    @model_validator(mode="after")
    def _leaves_hours(self) -> Self:
        if self.quiet_to_hour >= self.quiet_from_hour:
            raise ValueError("quiet_to_hour, when messages begin, must come before quiet_from_hour, when they end")
        return self
