"""Nobody outside the practice sees patients' data before a business associate agreement (BAA) with them is on file.

Every adapter that talks to a vendor is built only after `require_agreement`; the doctor asks the same question.
"""

from collections.abc import Iterator
from datetime import date, datetime

from hygiene_pipeline.failures import PermanentError
from hygiene_pipeline.practice import Practice
from hygiene_pipeline.settings.part import Part


class AgreementMissingError(PermanentError):
    """A vendor would see patients' data without an agreement in force."""


def vendors_of(practice: Practice) -> tuple[str, ...]:
    """The vendors that would see patients' data, sorted, each once; none while everything stays with us."""
    return tuple(sorted({part.agreement_with for part in _parts(practice) if part.agreement_with}))


def require_agreement(practice: Practice, vendor: str, *, at: datetime) -> date:
    """The day on which an agreement with `vendor` was signed; names compare without case.

    Raises AgreementMissingError if the practice file holds none, or only one signed after the local day of `at`.
    """
    today = at.astimezone(practice.zone).date()
    signed = [each.signed_on for each in practice.baa if _same(each.vendor, vendor)]
    entry = f"{{vendor: {vendor}, signed_on: YYYY-MM-DD}}"
    if not signed:
        told = f"practice {practice.practice}: no BAA with {vendor} on file: add {entry} to baa in the practice file"
        raise AgreementMissingError(f"{told}, or switch {vendor} off")
    if min(signed) > today:
        told = f"practice {practice.practice}: baa: {vendor} is signed_on {min(signed)}, which is still to come"
        raise AgreementMissingError(f"{told}: correct the date, or switch {vendor} off until then")
    return min(signed)


def _parts(practice: Practice) -> Iterator[Part]:
    yield from (practice.ehr, practice.pm, practice.crm, practice.phone_lookup)
    if practice.messages.send == "send":
        yield from (practice.messages.email, practice.messages.sms)


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()
