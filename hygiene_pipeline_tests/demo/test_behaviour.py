"""The people around the pipeline: carriers, patients who are asked, and staff with a queue."""

import csv
import json
from pathlib import Path

import pytest

from hygiene_pipeline.demo.behaviour_staff import WorkItem
from hygiene_pipeline.demo.phones import digits_of
from hygiene_pipeline.demo.simulation import Simulation
from hygiene_pipeline_tests.demo.conftest import MemoryCrm

CAPACITIES = {"coordinator-1": 10, "billing-1": 5, "referrals-1": 50}


@pytest.fixture
def crm(fresh: Simulation) -> MemoryCrm:
    crm = MemoryCrm(fresh.world.contacts)
    fresh.connect(crm)
    return crm


def planted(simulation: Simulation, detector: str) -> list[WorkItem]:
    people = {"phone": "coordinator-1", "insurance": "billing-1", "referring_provider": "referrals-1"}
    return [
        WorkItem(
            issue_id=f"{detector}-{each.contact_id}", contact_id=each.contact_id, staleness_type=detector,
            reason=each.reason, assignee=people[detector], priority_tier=2,
        )
        for each in simulation.truth.planted
        if each.detector == detector and each.has_evidence
    ]  # fmt: skip


def ask(simulation: Simulation, *, message_id: str = "m") -> None:
    """Send everybody who has an email address a message."""
    path = simulation.folder / "outbox" / "messages" / "2026-01-05.ndjson"
    path.parent.mkdir(parents=True)
    messages = [
        {
            "message_id": f"{message_id}-{contact_id}", "contact_id": contact_id, "channel": "email",
            "address_kind": "email", "template": "confirm_phone_email", "sent_at": "2026-01-05T14:00:00+00:00",
        }
        for contact_id, row in simulation.world.contacts.items()
        if row["email"]
    ]  # fmt: skip
    path.write_text("".join(json.dumps(message) + "\n" for message in messages), encoding="utf-8")


def replies(landing: Path) -> list[dict[str, str]]:
    lines = [line for path in sorted((landing / "replies").glob("*")) for line in path.read_text("utf-8").splitlines()]
    return [json.loads(line) for line in lines if line.endswith("}") and '"contact_id":""' not in line]


def test_carriers_answer_the_request_file_next_morning(fresh: Simulation) -> None:
    request = fresh.folder / "outbox" / "phone_lookups_due.csv"
    request.parent.mkdir(parents=True)
    number = fresh.world.patients[0].number.now
    request.write_text(f"phone\n+1{number}\n", encoding="utf-8")
    fresh.advance(1)
    with (fresh.landing / "phone" / "lookups.csv").open(encoding="utf-8", newline="") as file:
        (answer,) = csv.DictReader(file)
    assert answer["phone"] == f"+1{number}"
    assert answer["checked_at"].startswith("2026-01-05T06:00")
    assert answer["valid"] == "true"


def test_without_a_request_the_last_answers_stay(fresh: Simulation) -> None:
    before = (fresh.landing / "phone" / "lookups.csv").read_bytes()
    fresh.advance(1)
    assert (fresh.landing / "phone" / "lookups.csv").read_bytes() == before


def test_some_patients_answer_within_days_and_tell_the_truth(fresh: Simulation) -> None:
    ask(fresh)
    for day in range(1, 5):
        fresh.advance(day)
    got = replies(fresh.landing)
    people = {person.contact_id: person for person in fresh.world.patients}
    asked = sum(1 for row in fresh.world.contacts.values() if row["email"])
    assert 0.08 * asked < len(got) < 0.3 * asked
    assert {reply["kind"] for reply in got} >= {"confirm_phone", "change_phone"}
    for reply in got:
        if reply["kind"] != "stop":
            assert digits_of(reply["value"]) in people[reply["contact_id"]].number.values
            assert people[reply["contact_id"]].answers


def test_a_message_is_answered_once_however_often_it_is_in_the_outbox(fresh: Simulation) -> None:
    ask(fresh)
    for day in range(1, 6):
        fresh.advance(day)
    got = [reply["contact_id"] for reply in replies(fresh.landing)]
    assert len(got) == len(set(got))


def test_nobody_works_beyond_capacity(fresh: Simulation, crm: MemoryCrm) -> None:
    fresh.work_queue(planted(fresh, "phone"), 0, capacities=CAPACITIES)
    assert len(crm.log) <= CAPACITIES["coordinator-1"]


def test_staff_who_settle_a_phone_write_the_true_one(fresh: Simulation, crm: MemoryCrm) -> None:
    settled = fresh.work_queue(planted(fresh, "phone"), 0, capacities={"coordinator-1": 500})
    people = {person.contact_id: person for person in fresh.world.patients}
    assert settled == len(crm.log) > 3
    for editor, contact_id, fields in crm.log:
        assert editor == "coordinator-1"
        assert "last_phone_verified" in fields
        assert digits_of(crm.rows[contact_id]["phone"]) == people[contact_id].number.now


def test_staff_who_settle_insurance_tell_pm_too(fresh: Simulation, crm: MemoryCrm) -> None:
    fresh.work_queue(planted(fresh, "insurance"), 0, capacities=CAPACITIES)
    people = {person.contact_id: person for person in fresh.world.patients}
    assert crm.log
    for _, contact_id, _ in crm.log:
        known = people[contact_id].known_coverages[-1]
        assert crm.rows[contact_id]["insurance_member_id"] == known.member_id
        if crm.rows[contact_id]["insurance_status"] == "active":
            assert known.coverage.in_force(fresh.clock.start)


def test_a_new_referring_provider_still_stands(fresh: Simulation, crm: MemoryCrm) -> None:
    fresh.work_queue(planted(fresh, "referring_provider"), 0, capacities=CAPACITIES)
    assert crm.log
    for _, contact_id, _ in crm.log:
        npi = crm.rows[contact_id]["referring_provider_npi"] or ""
        assert fresh.world.land.network.stands(npi, fresh.clock.start)


def test_the_same_issue_is_not_tried_again_the_next_day(fresh: Simulation, crm: MemoryCrm) -> None:
    items = planted(fresh, "phone")
    fresh.work_queue(items, 0, capacities={"coordinator-1": 500})
    assert fresh.work_queue(items, 1, capacities={"coordinator-1": 500}) == 0


def test_nobody_works_on_a_sunday(fresh: Simulation, crm: MemoryCrm) -> None:
    assert fresh.work_queue(planted(fresh, "phone"), 6, capacities=CAPACITIES) == 0


def test_staff_need_a_crm(fresh: Simulation) -> None:
    with pytest.raises(ValueError, match="connect"):
        fresh.work_queue([], 0, capacities=CAPACITIES)
