"""The pages about messages and agreements say what is so: their examples are taken, and they leave no setting out."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hygiene_pipeline.policies.load import load_policies
from hygiene_pipeline.privacy.agreements import vendors_of
from hygiene_pipeline.settings.messages import Smtp, TwilioSms
from hygiene_pipeline.sync import send_gate
from hygiene_pipeline_tests.sync.practices import practice_with

DOCS = Path(__file__).parent.parent / "docs"
OUTREACH = (DOCS / "outreach.md").read_text(encoding="utf-8")
AGREEMENTS = (DOCS / "agreements.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", OUTREACH + AGREEMENTS, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_taken(example: str) -> None:
    parts: dict[str, Any] = yaml.safe_load(example)
    parts["policies"] = load_policies(parts.get("policies"))
    practice = practice_with(**parts)
    assert set(vendors_of(practice)) <= {each.vendor for each in practice.baa}


@pytest.mark.parametrize("part", [Smtp, TwilioSms])
def test_every_setting_is_named_with_its_default(part: type[Smtp | TwilioSms]) -> None:
    (row,) = (line for line in OUTREACH.splitlines() if line.startswith(f"| `{part.__name__.lower()[:4]}"))
    for name, field in part.model_fields.items():
        if name == "kind":
            continue
        assert f"`{name}`" in row
        if not field.is_required() and field.default is not None:
            assert re.search(rf"`{name}` \([^)]*{re.escape(str(field.default))}", row), name


def test_every_reason_of_the_gate_is_told() -> None:
    reasons = set(re.findall(r"then '([a-z_]+)'\n", send_gate.PLAN)) - {"email"}
    assert {"deceased", "opted_out", "channel_off", "text_too_long"} <= reasons
    assert not {reason for reason in reasons if f"`{reason}`" not in OUTREACH}
