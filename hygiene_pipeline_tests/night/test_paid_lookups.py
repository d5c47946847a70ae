"""Whole nights with a lookup vendor: the answers are used the same night, and only by a night of the present."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from hygiene_pipeline.definitions import defs
from hygiene_pipeline_tests.night.bed import PRACTICE, TinyPractice
from hygiene_pipeline_tests.night.systems import phone_of
from hygiene_pipeline_tests.phone.vendor_server import PATIENCE_SECONDS, Call, Reply, serving, twilio_body

PEOPLE = 3
GONE = phone_of(2)
PHONES = """
select contact.phone, status.phone_state, status.phone_reason, status.phone_evidence_ref
from hygiene.contact_status as status
inner join staging.crm_contact as contact using (contact_id)
order by contact.phone
"""
PLAN = "from hygiene.phone_validation_plan order by rank"
ANSWERED = {"phone_state": "current", "phone_reason": "verified", "phone_evidence_ref": "lookup/twilio"}


def now() -> datetime:
    """A vendor is asked in real time only."""
    return datetime.now(UTC).replace(microsecond=0)


def with_vendor(root: Path, url: str) -> TinyPractice:
    """Three people whose numbers nobody validated for long, and Twilio at `url`."""
    bed = TinyPractice(root, people=PEOPLE)
    file = root / "practices" / f"{PRACTICE}.yaml"
    patience = f"attempts: 1, timeout_seconds: {PATIENCE_SECONDS}"
    part = f"{{kind: twilio, account_sid: AC00000000, base_url: '{url}', {patience}}}"
    text = file.read_text().replace("phone_lookup: {kind: files}", f"phone_lookup: {part}")
    file.write_text(text + "baa: [{vendor: twilio, signed_on: 2026-01-15}]\n")
    key = root / "keys" / PRACTICE / "twilio.key"
    key.parent.mkdir(parents=True)
    key.write_text("secret\n")
    bed.deliver()
    return bed


class Story:
    """A night that the vendor refused, the same night again, and a look at a past one."""

    def __init__(self, root: Path) -> None:
        is_locked = [True]
        # A number that is not yet out when a refusal comes stays due, so the vendor refuses once all three are out.
        all_out = threading.Barrier(PEOPLE, timeout=PATIENCE_SECONDS)

        def script(call: Call) -> Reply:
            if is_locked[0]:
                all_out.wait()
            changes: dict[str, Any] = {"line_status": {"status": "inactive"}} if call.number == GONE else {}
            refused = Reply(status=401, body={"code": 20003, "message": ""})
            return refused if is_locked[0] else Reply(body=twilio_body(call, **changes))

        with serving(script) as server:
            self.server = server
            self.bed = with_vendor(root, server.url)
            at = now() - timedelta(hours=1)
            self.refused = self.bed.run(at.isoformat())
            self.benchmarks = self.bed.rows("select count(*) as rows from metrics.benchmark")
            self.reasons_when_refused = {row["phone_reason"] for row in self.bed.rows(PHONES)}
            self.first_plan = self.bed.rows(PLAN)
            self.calls_when_refused = len(server.calls)
            is_locked[0] = False
            with dg.DagsterInstance.ephemeral() as instance:
                self.outcome = self.bed.run(at.isoformat(), instance=instance)
                self.events = "".join(repr(each) for each in instance.all_logs(self.outcome.run_id))
            self.second_plan = self.bed.rows(PLAN)
            self.phones = {row["phone"]: row for row in self.bed.rows(PHONES)}
            self.calls = [call.number for call in server.calls[self.calls_when_refused :]]
            self.bed.night((at - timedelta(days=40)).isoformat(), job="bare_night")
            self.calls_after_the_past = len(server.calls) - self.calls_when_refused


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(tmp_path_factory.mktemp("paid"))


def test_a_vendor_that_refuses_fails_the_run_after_its_other_work(story: Story) -> None:
    assert not story.refused.success
    assert story.refused.problems == (
        "phone_lookup: Twilio does not accept the credentials: check account_sid, api_key_sid and the key twilio"
        " (401, code 20003)",
    )
    assert story.benchmarks == [{"rows": 5}]
    assert story.reasons_when_refused == {"lookup_inconclusive"}


def test_the_answers_are_used_the_same_night(story: Story) -> None:
    assert story.outcome.success
    gone = story.phones.pop(GONE)
    assert (gone["phone_state"], gone["phone_reason"]) == ("stale", "disconnected")
    assert list(story.phones.values()) == [{"phone": phone, **ANSWERED} for phone in story.phones]


def test_each_number_is_asked_once_and_the_plan_stands(story: Story) -> None:
    assert sorted(story.calls) == [row["phone"] for row in sorted(story.first_plan, key=lambda row: row["phone"])]
    assert story.second_plan == story.first_plan


def test_no_event_of_the_run_holds_a_number(story: Story) -> None:
    assert "phone_lookup_call" in story.events
    assert not [call for call in story.calls if call.lstrip("+") in story.events]


def test_a_past_night_asks_nobody(story: Story) -> None:
    assert story.calls_after_the_past == len(story.calls)


def test_only_the_night_pays() -> None:
    paid = {
        job.name
        for job in defs().resolve_all_job_defs()
        if dg.AssetKey(["sync", "phone_lookup_call"]) in job.asset_layer.selected_asset_keys
    }
    assert paid - {"__ASSET_JOB"} == {"nightly", "bare_night"}
