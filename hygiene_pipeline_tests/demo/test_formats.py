"""What the simulated systems drop is what real systems drop: read with the libraries of the field."""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import hl7
import phonenumbers
import pytest
from pyx12.x12file import X12Reader

from hygiene_pipeline.demo import providers
from hygiene_pipeline.demo.contacts import COLUMNS
from hygiene_pipeline.demo.emit_hl7 import message
from hygiene_pipeline.demo.emit_pm import APPOINTMENTS, COVERAGE, NETWORK, PATIENTS
from hygiene_pipeline.demo.pathways import CareRecord
from hygiene_pipeline.demo.simulation import Simulation
from hygiene_pipeline.demo.world import AdtEvent

TYPES = (
    "Patient", "Practitioner", "PractitionerRole", "Organization", "Encounter", "Condition", "CarePlan",
    "EpisodeOfCare", "ServiceRequest", "Appointment", "Coverage", "Observation", "Procedure", "Immunization",
    "Consent",
)  # fmt: skip
SAMPLED = 25


def resources(paths: Iterator[Path]) -> Iterator[dict[str, object]]:
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", TYPES)
def test_resources_of_every_type_are_valid_r4(lived: Simulation, kind: str) -> None:
    model = getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
    found = [each for each in resources((lived.landing / "ehr").glob(f"{kind}.*ndjson")) if _is_good(each)]
    assert found
    for resource in [*found[:SAMPLED], *found[-SAMPLED:]]:
        model.model_validate(resource)


def _is_good(resource: dict[str, object]) -> bool:
    return "-bad-" not in str(resource.get("id", "-bad-"))


def test_notifications_are_history_bundles_with_one_changed_record(lived: Simulation) -> None:
    paths = sorted((lived.landing / "ehr_events").glob("*.json"))
    assert len(paths) > 3
    for path in paths:
        bundle = json.loads(path.read_text(encoding="utf-8"))
        for entry in bundle["entry"]:
            kind = entry["resource"]["resourceType"]
            getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind).model_validate(entry["resource"])
        assert bundle["type"] == "history"


def test_interchanges_are_read_by_pyx12_segment_for_segment(lived: Simulation) -> None:
    codes: Counter[str] = Counter()
    for path in sorted((lived.landing / "pm" / "eligibility").glob("*.271")):
        with X12Reader(str(path)) as reader:
            for segment in reader:
                if segment.get_seg_id() == "EB":
                    codes[segment.get_value("EB01")] += 1
                if segment.get_seg_id() == "AAA":
                    codes["AAA" + segment.get_value("AAA03")] += 1
            assert reader.pop_errors() == []
    assert codes["1"] > 300
    assert codes["6"] > 5
    assert codes["AAA75"] >= 1
    assert codes["AAA42"] + codes["AAA80"] >= 1


def test_eligibility_responses_are_valid_r4(lived: Simulation) -> None:
    model = import_module("fhir.resources.R4B.coverageeligibilityresponse").CoverageEligibilityResponse
    found = list(resources((lived.landing / "pm" / "eligibility").glob("*.ndjson")))
    assert found
    for resource in found:
        model.model_validate(resource)


def test_messages_are_parsed_by_hl7(lived: Simulation) -> None:
    events: Counter[str] = Counter()
    for path in sorted((lived.landing / "ehr_events").glob("*.hl7")):
        if ".cut." in path.name:
            continue
        text = path.read_bytes().decode().replace("\n", "\r")
        for body in text.split("MSH|")[1:]:
            parsed = hl7.parse("MSH|" + body)
            events[str(parsed["MSH.F9.R1.C2"])] += 1
            assert str(parsed["PID.F3.R1.C1"]).startswith("MR")
            if str(parsed["MSH.F9.R1.C2"]) == "A03":
                assert str(parsed["PV1.F36"])
                assert str(parsed["PV1.F45"])
    assert {"A03", "A04", "A08"} <= set(events)


@pytest.mark.parametrize("ending", ["\r", "\n"])
def test_a_merge_names_the_retired_record(lived: Simulation, ending: str) -> None:
    event = AdtEvent("A40", lived.world.patients[0], lived.clock.midnight(3), retired_mrn="MR9000001")
    text = message(event, "ADT1", lived.clock, ending)
    parsed = hl7.parse(text.replace("\n", "\r"))
    assert str(parsed["MRG.F1.R1.C1"]) == "MR9000001"
    assert str(parsed["PID.F3.R1.C1"]) == lived.world.patients[0].mrn


def test_an_admission_has_its_start_and_no_end(lived: Simulation) -> None:
    at = lived.clock.midnight(3)
    stay = CareRecord("Encounter", "enco-1", "Hospital stay", at, "in-progress")
    parsed = hl7.parse(message(AdtEvent("A01", lived.world.patients[0], at, "enco-1", stay), "ADT2", lived.clock, "\r"))
    assert str(parsed["PV1.F2"]) == "I"
    assert str(parsed["PV1.F44"]) == "20260108000000-0500"
    assert len(parsed.segment("PV1")) <= 45


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("pm/patients.csv", PATIENTS),
        ("pm/coverage.csv", COVERAGE),
        ("pm/appointments.csv", APPOINTMENTS),
        ("pm/referral_network.csv", NETWORK),
        ("crm/contacts.csv", COLUMNS),
    ],
)
def test_extracts_have_their_columns(lived: Simulation, name: str, columns: tuple[str, ...]) -> None:
    rows = rows_of(lived.landing / name)
    assert rows
    assert tuple(rows[0]) == columns


def test_numbers_of_pm_are_valid_and_never_fictional(lived: Simulation) -> None:
    for row in rows_of(lived.landing / "pm" / "patients.csv"):
        number = phonenumbers.parse(row["phone"], "US")
        assert phonenumbers.is_valid_number(number)
        assert str(number.national_number)[3:6] != "555"


def test_every_never_validated_number_of_day_0_has_an_answer(fresh: Simulation) -> None:
    answered = {row["phone"] for row in rows_of(fresh.landing / "phone" / "lookups.csv")}
    asked = 0
    for row in rows_of(fresh.landing / "crm" / "contacts.csv"):
        if row["last_phone_verified"] or row["is_active"] != "true":
            continue
        try:
            number = phonenumbers.parse(row["phone"], "US")
        except phonenumbers.NumberParseException:
            continue
        digits = str(number.national_number)
        if phonenumbers.is_valid_number(number) and len(set(digits)) > 2 and not digits[3:].startswith(("555", "1234")):
            asked += 1
            assert phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) in answered
    assert asked > 50


def test_npis_have_their_check_digit(lived: Simulation) -> None:
    for row in rows_of(lived.landing / "pm" / "referral_network.csv"):
        digits = [int(char) for char in "80840" + row["npi"]]
        doubled = [sum(divmod(digit * 2, 10)) for digit in digits[-2::-2]]
        assert len(row["npi"]) == 10
        assert (sum(doubled) + sum(digits[-1::-2])) % 10 == 0
    assert providers.npi(0) != providers.npi(1)


def test_a_small_share_of_lines_is_bad(lived: Simulation) -> None:
    lines: dict[str, int] = defaultdict(int)
    for path in lived.landing.rglob("*.ndjson"):
        for line in path.read_text(encoding="utf-8").splitlines():
            lines["all"] += 1
            try:
                lines["bad"] += not _is_good(json.loads(line))
            except json.JSONDecodeError:
                lines["bad"] += 1
    assert 0 < lines["bad"] / lines["all"] < 0.002
