"""A message as its reader sees it: the policy's words with the practice's name and number.

The ledger and the outbox carry only a template's name; a message is rendered at the last moment.
"""

from dataclasses import dataclass
from typing import Literal

import phonenumbers

from hygiene_pipeline.policies.reengagement import EmailTemplate
from hygiene_pipeline.practice import Practice

SMS_LIMIT = 160
"""Longer texts are cut in two, and a health-care text may not be longer."""

Template = Literal["confirm_phone_email", "confirm_phone_sms"]


@dataclass(frozen=True, kw_only=True)
class Body:
    """A rendered message; a text has no subject."""

    subject: str | None
    text: str


def render(template: Template, practice: Practice) -> Body:
    """The message in the practice's name; its number is shown as people write it."""
    number = phonenumbers.parse(practice.phone)
    spoken = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    filled = {"practice": practice.name, "phone": spoken}
    templates = practice.policies.reengagement.templates
    words = templates.confirm_phone_email if template == "confirm_phone_email" else templates.confirm_phone_sms
    return Body(
        subject=words.subject.format_map(filled) if isinstance(words, EmailTemplate) else None,
        text=words.text.format_map(filled),
    )
