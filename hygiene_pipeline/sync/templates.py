"""What a message says: who writes, whom to call, how to make it stop. Nothing about anybody's health.

The ledger and the outbox carry only a template's name; whoever delivers a message renders it here, at the last moment.
"""

from dataclasses import dataclass

import phonenumbers

SMS_LIMIT = 160
"""Longer texts are cut in two, and a health-care text may not be longer."""


@dataclass(frozen=True, kw_only=True)
class Body:
    """A rendered message; a text has no subject."""

    subject: str | None
    text: str


_SUBJECTS = {"confirm_phone_email": "Please confirm your phone number with {practice}"}
_TEXTS = {
    "confirm_phone_email": (
        "Hello,\n\n"
        "we would like to be able to reach you. Please confirm your current phone number: reply to this message,"
        " or call {practice} at {phone}.\n\n"
        "To receive no more messages like this, reply STOP.\n\n"
        "{practice}\n{phone}\n"
    ),
    "confirm_phone_sms": "{practice}: please call {phone} to confirm your phone number. Reply STOP to opt out.",
}


def render(template: str, *, practice: str, phone: str) -> Body:
    """The message in the practice's name; `phone` is E.164 and shown as people write it."""
    spoken = phonenumbers.format_number(phonenumbers.parse(phone), phonenumbers.PhoneNumberFormat.NATIONAL)
    subject = _SUBJECTS.get(template)
    return Body(
        subject=subject.format(practice=practice) if subject else None,
        text=_TEXTS[template].format(practice=practice, phone=spoken),
    )
