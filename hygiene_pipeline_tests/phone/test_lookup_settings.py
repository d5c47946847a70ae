"""The part of a practice file that names a lookup vendor, and how a wrong one is refused."""

from pathlib import Path
from typing import Any

import pytest

from hygiene_pipeline.failures import PracticeFileError
from hygiene_pipeline.settings.phone_lookup import TwilioLookup
from hygiene_pipeline_tests.sync.lookup_bed import LookupBed

TWILIO = {"kind": "twilio", "account_sid": "AC00000000"}


def bed_with(root: Path, **lookup: Any) -> LookupBed:
    bed = LookupBed(root)
    bed.content["phone_lookup"] = lookup
    bed.save()
    return bed


def test_what_is_not_said_is_a_careful_pace_over_tls(tmp_path: Path) -> None:
    part = bed_with(tmp_path, **TWILIO).practice.phone_lookup
    assert isinstance(part, TwilioLookup)
    assert part.base_url == "https://lookups.twilio.com"
    assert (part.concurrency, part.per_second, part.timeout_seconds, part.attempts) == (10, 20, 10, 4)
    assert part.asked_packages == ("line_type_intelligence", "line_status")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:80/api/", "https://lookups.example.org/"]
)
def test_an_address_is_private_or_this_machine(tmp_path: Path, url: str) -> None:
    part = bed_with(tmp_path, **TWILIO, base_url=url).practice.phone_lookup
    assert isinstance(part, TwilioLookup)
    assert part.base_url == url.rstrip("/")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "in clear": ({**TWILIO, "base_url": "http://lookups.example.org"}, "phone_lookup.base_url: would send"),
    "no address": ({**TWILIO, "base_url": "lookups.example.org"}, "phone_lookup.base_url: would send"),
    "a package nobody sells": ({**TWILIO, "packages": ["astrology"]}, "'astrology' is not allowed"),
    "no package": ({**TWILIO, "packages": []}, "phone_lookup.packages"),
    "no account": ({"kind": "twilio"}, "phone_lookup.account_sid: is missing"),
    "a secret in the file": ({**TWILIO, "auth_token": "x"}, "phone_lookup.auth_token: is not a known key"),
    "nobody at a time": ({**TWILIO, "concurrency": 0}, "phone_lookup.concurrency"),
    "another vendor's key": ({"kind": "numverify", "account_sid": "AC00000000"}, "account_sid: is not a known key"),
}


@pytest.mark.parametrize(("lookup", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_part_is_refused_by_its_key(tmp_path: Path, lookup: dict[str, Any], told: str) -> None:
    bed = bed_with(tmp_path, **lookup)
    with pytest.raises(PracticeFileError) as refused:
        _ = bed.practice
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
