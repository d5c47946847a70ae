"""Which vendor a practice's phone lookups go to: its adapter, made only with an agreement on file and its key."""

from datetime import datetime
from pathlib import Path

from hygiene_pipeline.failures import KeyProblemError
from hygiene_pipeline.phone.lookup_run import Pace
from hygiene_pipeline.phone.protocol import PhoneLookup
from hygiene_pipeline.practice import Practice
from hygiene_pipeline.privacy.agreements import require_agreement
from hygiene_pipeline.privacy.keys import environment_name, find_key
from hygiene_pipeline.settings.phone_lookup import LookupVendor, Numverify
from hygiene_pipeline.settings.phone_lookup import TwilioLookup as TwilioPart


def paid_part(practice: Practice) -> LookupVendor | None:
    """The practice file's part of a vendor that is paid for answers; None for files and off."""
    part = practice.phone_lookup
    return part if isinstance(part, LookupVendor) else None


def vendor_key(keys: Path, practice: Practice) -> str:
    """The secret of the practice's vendor, kept under the vendor's name.

    Raises:
        KeyProblemError: there is none; says where to put it.
    """
    name = practice.phone_lookup.kind
    if key := find_key(keys, practice.practice, name):
        return key
    wanted = environment_name(practice.practice, name)
    raise KeyProblemError(
        f"phone_lookup: there is no key for {name}: put it into {practice.practice}/{name}.key"
        f" below the folder of keys, or set {wanted}"
    )


def phone_lookup(practice: Practice, keys: Path, *, at: datetime) -> PhoneLookup:
    """The adapter, ready to ask.

    Raises:
        AgreementMissingError: no agreement with the vendor is in force at `at`.
        KeyProblemError: its secret is missing.
    """
    part = paid_part(practice)
    if part is None:
        raise ValueError(f"phone_lookup: {practice.phone_lookup.kind} is asked through no adapter")
    require_agreement(practice, str(part.agreement_with), at=at)
    secret = vendor_key(keys, practice)
    # Each vendor's client is imported where it is needed: most runs need none.
    if isinstance(part, TwilioPart):
        from hygiene_pipeline.phone.twilio import TwilioAccess, TwilioLookup

        return TwilioLookup(
            TwilioAccess(
                account_sid=part.account_sid,
                username=part.api_key_sid or part.account_sid,
                secret=secret,
                base_url=part.base_url,
                region=part.region,
                edge=part.edge,
                timeout_seconds=part.timeout_seconds,
                connections=part.concurrency,
            )
        )
    if isinstance(part, Numverify):
        from hygiene_pipeline.phone.numverify import NumverifyAccess, NumverifyLookup

        return NumverifyLookup(
            NumverifyAccess(
                key=secret,
                base_url=part.base_url,
                key_in=part.key_in,
                timeout_seconds=part.timeout_seconds,
                connections=part.concurrency,
            )
        )
    raise ValueError(f"phone_lookup: {practice.phone_lookup.kind} has no adapter")


def pace_of(part: LookupVendor) -> Pace:
    """How hard the practice wants its vendor asked."""
    return Pace(concurrency=part.concurrency, per_second=part.per_second, attempts=part.attempts)
