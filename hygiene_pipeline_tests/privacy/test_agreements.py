"""No vendor sees patients' data before an agreement with it is on file and in force."""

from datetime import UTC, date, datetime
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from hygiene_pipeline.policies.load import load_policies
from hygiene_pipeline.practice import Practice
from hygiene_pipeline.privacy.agreements import AgreementMissingError, require_agreement, vendors_of
from hygiene_pipeline.settings.messages import Messages
from hygiene_pipeline.settings.part import Part

# The second of March in Chicago, already the third in UTC.
AT = datetime(2026, 3, 3, 4, 30, tzinfo=UTC)
TWILIO = {"kind": "twilio", "account_sid": "AC" + "0" * 32, "sender": "+13125550100"}
LOOKUP = {"kind": "twilio", "account_sid": "AC" + "0" * 32}
MAIL = {"kind": "smtp", "host": "mail.example", "sender": "office@lakeside.example"}
STAYS_WITH_US = {"files", "off", "embedded"}


def practice_with(**parts: Any) -> Practice:
    return Practice.model_validate(
        {
            "practice": "lakeside",
            "name": "Lakeside Family Medicine",
            "timezone": "America/Chicago",
            "phone": "+13125550100",
            "crm": {"kind": "embedded"},
            "staff": [{"id": "c1", "role": "care_coordinator"}],
            "policies": load_policies(),
            **parts,
        }
    )


@pytest.mark.parametrize(
    ("parts", "vendors"),
    [
        pytest.param({}, (), id="files and the embedded CRM stay here"),
        pytest.param({"phone_lookup": {"kind": "files"}}, (), id="a file of numbers stays here"),
        pytest.param({"phone_lookup": {"kind": "twilio", "account_sid": "AC00000000"}}, ("twilio",), id="twilio"),
        pytest.param({"phone_lookup": {"kind": "numverify"}}, ("numverify",), id="numverify"),
        pytest.param({"pm": {"kind": "tebra", "practice_name": "Lakeside"}}, ("tebra",), id="tebra"),
        pytest.param(
            {"ehr": {"kind": "smart_bulk", "base_url": "https://fhir.example/r4"}},
            ("fhir.example",),
            id="an EHR is named by its host",
        ),
        pytest.param(
            {"ehr": {"kind": "smart_bulk", "base_url": "https://fhir.example/r4", "vendor": "meditech"}},
            ("meditech",),
            id="or by the name that the practice gives it",
        ),
        pytest.param({"messages": {"send": "send", "sms": TWILIO}}, ("twilio",), id="texts"),
        pytest.param({"messages": {"send": "send", "email": MAIL}}, ("mail.example",), id="a mail server by its host"),
        pytest.param(
            {"messages": {"send": "send", "email": {**MAIL, "vendor": "paubox"}}}, ("paubox",), id="or by its name"
        ),
        pytest.param({"messages": {"sms": TWILIO, "email": MAIL}}, (), id="a dry run tells nobody anything"),
        pytest.param(
            {"messages": {"send": "send", "sms": TWILIO}, "phone_lookup": LOOKUP},
            ("twilio",),
            id="one agreement covers both uses of a vendor",
        ),
    ],
)
def test_a_vendor_is_named_by_the_kind_that_reaches_it(parts, vendors):
    assert vendors_of(practice_with(**parts)) == vendors


@pytest.mark.parametrize(
    ("model", "part"),
    [
        (Practice, "ehr"),
        (Practice, "pm"),
        (Practice, "crm"),
        (Practice, "phone_lookup"),
        (Messages, "email"),
        (Messages, "sms"),
    ],
)
def test_every_kind_that_leaves_this_machine_names_a_vendor(model, part):
    """A new kind cannot forget to: the property of `Part` answers None until it is overridden."""
    annotation = model.model_fields[part].annotation
    for kind in get_args(annotation) or (annotation,):
        assert issubclass(kind, BaseModel)
        names = set(get_args(kind.model_fields["kind"].annotation))
        is_silent = kind.agreement_with is Part.agreement_with
        assert is_silent == bool(names & STAYS_WITH_US), names


@pytest.mark.parametrize(
    ("baa", "signed_on"),
    [
        pytest.param([("twilio", "2026-01-15")], date(2026, 1, 15), id="signed"),
        pytest.param([(" Twilio ", "2026-01-15")], date(2026, 1, 15), id="names compare without case"),
        pytest.param([("twilio", "2026-03-02")], date(2026, 3, 2), id="signed today"),
        pytest.param([("twilio", "2026-06-01"), ("twilio", "2025-06-01")], date(2025, 6, 1), id="renewed"),
    ],
)
def test_an_agreement_in_force_is_found(baa, signed_on):
    practice = practice_with(baa=[{"vendor": vendor, "signed_on": day} for vendor, day in baa])
    assert require_agreement(practice, "twilio", at=AT) == signed_on


@pytest.mark.parametrize(
    ("baa", "told"),
    [
        pytest.param([], "add {vendor: twilio, signed_on: YYYY-MM-DD} to baa in the practice file", id="none"),
        pytest.param([("numverify", "2026-01-15")], "no BAA with twilio on file", id="another vendor's"),
        pytest.param([("twilio", "2026-03-03")], "signed_on 2026-03-03, which is still to come", id="tomorrow's"),
    ],
)
def test_a_vendor_without_an_agreement_is_refused_in_one_line(baa, told):
    practice = practice_with(baa=[{"vendor": vendor, "signed_on": day} for vendor, day in baa])
    with pytest.raises(AgreementMissingError) as refused:
        require_agreement(practice, "twilio", at=AT)
    assert told in str(refused.value)
    assert "switch twilio off" in str(refused.value)
    assert "\n" not in str(refused.value)
