"""The simulated practice: same seed same bytes, planted shares, and days that follow one another."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from hygiene_pipeline.demo import score
from hygiene_pipeline.demo.simulation import Simulation, simulate
from hygiene_pipeline.demo.truth import read_truth
from hygiene_pipeline_tests.demo.conftest import DAYS, MemoryCrm, make_days


def digests(landing: Path) -> dict[str, str]:
    return {
        path.relative_to(landing).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(landing.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    """The practice of the worked example on its first morning."""
    root = tmp_path_factory.mktemp("full")
    return simulate(landing=root / "landing", data=root, practice="riverside", patients=3200, days=0, seed=1)


def stale(simulation: Simulation, *, seen: bool) -> dict[str, set[str]]:
    """Contacts that deviate, by detector; `seen` only those of which a source shows it."""
    as_of, truth = simulation.clock.as_of(simulation.day), simulation.truth
    rows = [row for row in simulation.world.contacts.values() if row["is_active"] == "true"]
    shared = score.crowded_numbers(rows)
    found: dict[str, set[str]] = {detector: set() for detector in score.DETECTORS}
    for row in rows:
        is_dead = truth.at(row["contact_id"], "care_status", as_of) == "deceased"
        for detector in ("care",) if is_dead else score.DETECTORS:
            wrong = score.deviates(detector, row, truth, as_of, shared)
            if wrong and (not seen or score.has_evidence(detector, row, truth, as_of, shared)):
                found[detector].add(row["contact_id"])
    return found


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    first, again, other = (
        make_days(tmp_path / name, seed=seed, patients=120) for name, seed in (("a", 7), ("b", 7), ("c", 8))
    )
    assert digests(first.landing) == digests(again.landing)
    assert digests(first.landing)["crm/contacts.csv"] != digests(other.landing)["crm/contacts.csv"]


def test_day_0_has_3200_active_contacts_of_which_28_percent_are_visibly_stale(full: Simulation) -> None:
    active = [row for row in full.world.contacts.values() if row["is_active"] == "true"]
    found = stale(full, seen=True)
    counts = {detector: len(contacts) for detector, contacts in found.items()}
    assert len(active) == 3200
    assert 861 <= len(set().union(*found.values())) <= 931
    assert 0.17 <= counts["phone"] / 3200 <= 0.195
    assert 0.05 <= counts["insurance"] / 3200 <= 0.065
    assert 0.04 <= counts["care"] / 3200 <= 0.055
    assert 0.025 <= counts["referring_provider"] / 3200 <= 0.035


def test_some_deviations_of_day_0_are_shown_by_nobody(full: Simulation) -> None:
    unseen = {key: found - stale(full, seen=True)[key] for key, found in stale(full, seen=False).items()}
    assert 20 <= len(unseen["phone"]) <= 60
    assert 50 <= len(unseen["insurance"]) <= 110
    assert not unseen["care"]
    assert not unseen["referring_provider"]


def test_what_was_planted_is_what_the_truth_calls_stale(full: Simulation) -> None:
    as_of, rows = full.clock.as_of(0), full.world.contacts
    shared = score.crowded_numbers(row for row in rows.values() if row["is_active"] == "true")
    missed = Counter(
        (planted.detector, planted.reason)
        for planted in full.truth.planted
        if not score.deviates(planted.detector, rows[planted.contact_id], full.truth, as_of, shared)
        or score.has_evidence(planted.detector, rows[planted.contact_id], full.truth, as_of, shared)
        != planted.has_evidence
    )
    assert not missed


def test_a_record_of_pm_or_ehr_was_true_when_it_was_confirmed(full: Simulation) -> None:
    for person in full.world.patients:
        for note in (person.ehr, person.pm):
            assert note is not None
            assert note.number == person.number.at(note.confirmed_at)
            assert note.email == person.email.at(note.confirmed_at)
            assert note.address == person.address.at(note.confirmed_at)


def test_the_crm_never_knows_an_email_address_first(full: Simulation) -> None:
    for person in full.world.patients:
        email = full.world.contacts[person.contact_id]["email"]
        known = {note.email for note in (person.ehr, person.pm) if note}
        assert email != person.email.now or not email or email in known


def test_days_follow_one_another(fresh: Simulation) -> None:
    fresh.day0()
    with pytest.raises(ValueError, match="can only advance to day 1"):
        fresh.advance(2)


def test_ten_days_bring_every_kind_of_file_and_keep_the_old_ones(lived: Simulation) -> None:
    names = set(digests(lived.landing))
    assert lived.day == DAYS
    assert {"ehr/Patient.ndjson", "ehr/Patient.2026-01-05.ndjson", "ehr/CarePlan.ndjson"} <= names
    assert any(name.startswith("ehr_events/ntf-") for name in names)
    assert not any(name.endswith(".part") for name in names)


def test_later_exports_hold_changed_patients_only(lived: Simulation) -> None:
    lines = (lived.landing / "ehr" / "Patient.2026-01-06.ndjson").read_text(encoding="utf-8").splitlines()
    assert 0 < len(lines) < 40
    assert all(json.loads(line)["meta"]["lastUpdated"] >= "2026-01-06" for line in lines)


def test_the_saved_truth_is_the_truth(lived: Simulation) -> None:
    saved = read_truth(lived.truth_path)
    assert saved.values == lived.truth.values
    assert saved.evidence == lived.truth.evidence
    assert saved.numbers == lived.truth.numbers
    assert saved.planted == lived.truth.planted


def test_the_desk_types_into_the_crm_once_it_is_connected(fresh: Simulation) -> None:
    crm = MemoryCrm(fresh.world.contacts)
    fresh.connect(crm)
    for day in range(1, 6):
        fresh.advance(day)
    assert {editor for editor, *_ in crm.log} == {"front-desk"}
