"""A practice whose messages a vendor carries has a run when its hours begin; the others need none."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from hygiene_pipeline.defs.schedules import schedules

SHIPPED = Path(__file__).parent.parent / "practices" / "riverside.yaml"
TWILIO = {"kind": "twilio", "account_sid": "AC" + "0" * 32, "sender": "+16175550100"}


@pytest.mark.parametrize(
    ("change", "cron"),
    [
        pytest.param({}, None, id="files"),
        pytest.param({"messages": {"sms": TWILIO}}, None, id="a dry run"),
        pytest.param({"messages": {"send": "send", "sms": TWILIO}}, "5 9 * * *", id="texts"),
        pytest.param(
            {
                "messages": {"send": "send", "sms": TWILIO},
                "policies": {"reengagement": {"quiet_to_hour": 11}},
                "timezone": "America/Los_Angeles",
            },
            "5 11 * * *",
            id="a practice that begins later",
        ),
    ],
)
def test_messages_are_sent_when_the_hours_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], cron: str | None
) -> None:
    shipped = yaml.safe_load(SHIPPED.read_text())
    (tmp_path / "riverside.yaml").write_text(yaml.safe_dump({**shipped, **change}))
    monkeypatch.setenv("HYGIENE_PRACTICES", str(tmp_path))
    found = {each.name: each for each in schedules().schedules or () if isinstance(each, dg.ScheduleDefinition)}
    messages = found.get("messages_riverside")
    assert (messages.cron_schedule if messages else None) == cron
    if messages:
        assert messages.job_name == "reply_event"
        assert messages.execution_timezone == change.get("timezone", "America/New_York")
        assert messages.default_status is dg.DefaultScheduleStatus.RUNNING
