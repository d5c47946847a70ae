"""A practice file is refused by key, with what is wrong and what is allowed; every shipped policy can be overridden."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hygiene_pipeline.failures import PracticeFileError
from hygiene_pipeline.policies.load import load_policies
from hygiene_pipeline.policies.models import Policies
from hygiene_pipeline.practice import load_practice, practice_ids

TWILIO = {"kind": "twilio", "account_sid": "AC" + "0" * 32, "sender": "+13125550100"}
SOUND: dict[str, Any] = {
    "practice": "lakeside",
    "name": "Lakeside Family Medicine",
    "timezone": "America/Chicago",
    "phone": "+13125550100",
    "crm": {"kind": "embedded", "sync": "apply"},
    "staff": [{"id": "c1", "role": "care_coordinator", "handles": ["phone"]}],
}


def written(folder: Path, content: object) -> Path:
    (folder / "lakeside.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder


def test_a_sound_file_is_read_with_the_shipped_policies(tmp_path):
    practice = load_practice(written(tmp_path, SOUND), "lakeside")
    assert practice.policies == load_policies()
    assert practice.crm.sync == "apply"
    assert practice.staff[0].capacity_per_day == 40


def test_dry_run_is_the_default(tmp_path):
    practice = load_practice(written(tmp_path, {**SOUND, "crm": {"kind": "files"}}), "lakeside")
    assert practice.crm.sync == "dry_run"


@pytest.mark.parametrize(
    ("change", "key", "allowed"),
    [
        pytest.param({"crm": {"kind": "fax"}}, "crm.kind: 'fax' is not allowed", "embedded", id="unknown crm"),
        pytest.param({"crm": {"kind": "files", "sync": "yes"}}, "crm.sync", "dry_run", id="unknown sync mode"),
        pytest.param({"ehr": {"kind": "fax"}}, "ehr.kind: 'fax' is not allowed", "smart_bulk", id="unknown ehr"),
        pytest.param({"pm": {}}, "pm.kind: is missing", "", id="no kind"),
        pytest.param(
            {"ehr": {"kind": "smart_bulk", "base_url": "https://ehr.example", "colour": 1}},
            "ehr.colour: is not a known key",
            "base_url",
            id="key of another kind",
        ),
        pytest.param({"ehr": {"kind": "smart_bulk"}}, "ehr.base_url: is missing", "", id="missing key of a kind"),
        pytest.param(
            {"messages": {"email": {"kind": "smtp", "host": "mail.example", "sender": "a@b.c", "security": "none"}}},
            "messages.email",
            "starttls, tls",
            id="mail in clear",
        ),
        pytest.param(
            {"messages": {"sms": {**TWILIO, "base_url": "http://api.example"}}},
            "messages.sms.base_url",
            "an https address",
            id="texts in clear",
        ),
        pytest.param(
            {"messages": {"sms": {**TWILIO, "sender": "Riverside"}}}, "messages.sms.sender", "", id="a sender by name"
        ),
        pytest.param({"messages": {"send": "yes"}}, "messages.send: 'yes' is not allowed", "dry_run", id="send"),
        pytest.param(
            {"pm": {"kind": "tebra"}}, "pm.practice_name: is missing", "", id="a Tebra account without a practice"
        ),
        pytest.param(
            {"pm": {"kind": "tebra", "practice_name": "L", "wsdl_url": "http://tebra.example/s?wsdl"}},
            "pm.wsdl_url: would send the password in clear",
            "https",
            id="Tebra in clear",
        ),
        pytest.param(
            {"pm": {"kind": "tebra", "practice_name": "L", "timezone": "Chicago"}},
            "pm.timezone: is not a time zone",
            "IANA",
            id="no zone of Tebra's",
        ),
        pytest.param({"timezone": "Chicago"}, "timezone: is not a time zone", "IANA", id="no zone"),
        pytest.param({"phone": "312"}, "phone: is not a phone number", "+16175550100", id="no number"),
        pytest.param({"colour": "red"}, "colour: is not a known key", "timezone", id="unknown key"),
        pytest.param({"staff": []}, "staff", "at least 1", id="nobody to work"),
        pytest.param(
            {"staff": [{"id": "a", "role": "r", "handles": ["teeth"]}]}, "handles.0", "insurance", id="handles"
        ),
        pytest.param(
            {"policies": {"phone": {"days": 3}}}, "policies.phone.days", "confirmed_for_days", id="policy key"
        ),
        pytest.param({"policies": {"fone": {}}}, "policies.fone", "phone", id="policy name"),
        pytest.param(
            {"policies": {"phone": {"confirmed_for_days": 0}}}, "confirmed_for_days", "greater than 0", id="zero"
        ),
        pytest.param(
            {"policies": {"priorities": {"due_days": {1: -1}}}}, "due_days.1", "greater than 0", id="due days"
        ),
        pytest.param({"practice": "other"}, "practice: must equal the file name", "lakeside", id="other id"),
        pytest.param(
            {"outreach": {"monthly_spend": -1}}, "outreach.monthly_spend", "greater than", id="negative money"
        ),
    ],
)
def test_a_wrong_value_is_refused_by_key_with_what_is_allowed(tmp_path, change, key, allowed):
    with pytest.raises(PracticeFileError) as refused:
        load_practice(written(tmp_path, {**SOUND, **change}), "lakeside")
    assert key in str(refused.value)
    assert allowed in str(refused.value)
    assert "lakeside.yaml" in str(refused.value)


def test_every_problem_is_told_at_once_a_line_each(tmp_path):
    with pytest.raises(PracticeFileError) as refused:
        load_practice(written(tmp_path, {**SOUND, "phone": "1", "timezone": "x"}), "lakeside")
    assert len(str(refused.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("practice: [", r"line \d: is not readable YAML", id="broken yaml"),
        pytest.param("- a\n- b", "must be a mapping", id="a list"),
        pytest.param("", "must be a mapping", id="empty"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, told):
    (tmp_path / "lakeside.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(PracticeFileError, match=told):
        load_practice(tmp_path, "lakeside")


def test_an_unknown_practice_is_told_which_there_are(tmp_path):
    written(tmp_path, SOUND)
    with pytest.raises(PracticeFileError, match="practices here: lakeside"):
        load_practice(tmp_path, "seaside")
    with pytest.raises(PracticeFileError, match="is not an id"):
        load_practice(tmp_path, "../lakeside")
    assert practice_ids(tmp_path) == ["lakeside"]


def leaves(policy: object, place: tuple[Any, ...] = ()):
    if isinstance(policy, dict):
        for key, value in policy.items():
            yield from leaves(value, (*place, key))
    else:
        yield place, policy


SHIPPED = list(leaves(load_policies().model_dump()))


def other(value: object) -> object:
    """Another value that the same policy would take."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1 if value >= 1 else 0.25
    if isinstance(value, list):
        return value[:1]
    return {"US": "CA", "auto": "never", "review": "never", "never": "auto", None: 9}.get(value)  # type: ignore[call-overload]


@pytest.mark.parametrize(("place", "value"), SHIPPED, ids=[".".join(map(str, place)) for place, _ in SHIPPED])
def test_every_shipped_policy_value_can_be_overridden(place, value):
    changed = other(value)
    if changed is None:
        # A name: a unit, a strategy, a role. Overriding it with itself still has to be allowed.
        changed = value
    overrides: Any = changed
    for key in reversed(place):
        overrides = {key: overrides}
    found: Any = load_policies(overrides).model_dump()
    for key in place:
        found = found[key]
    assert found == changed


def test_the_policies_have_a_file_each():
    folder = Path(__file__).parent.parent / "hygiene_pipeline" / "policies"
    assert set(Policies.model_fields) <= {path.stem for path in folder.glob("*.yaml")}
