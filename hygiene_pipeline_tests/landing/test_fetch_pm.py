"""What Tebra holds becomes the CSV files that a person would have dropped: all of them whole, or none touched."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hygiene_pipeline.failures import HygieneError, KeyProblemError
from hygiene_pipeline.folders import PracticeFolders
from hygiene_pipeline.landing import ledger, tabular
from hygiene_pipeline.landing.fetch_pm import CREDENTIALS, FETCHED, fetch_pm, tebra_findings
from hygiene_pipeline.landing.ledger import PLACES
from hygiene_pipeline.landing.take import Taken, take
from hygiene_pipeline.pm.tebra_answer import TebraBusyError
from hygiene_pipeline.practice import Practice, load_practice
from hygiene_pipeline.privacy.agreements import AgreementMissingError
from hygiene_pipeline.warehouse import Warehouse, open_warehouse
from hygiene_pipeline_tests.pm.tebra_server import (
    CUSTOMER_KEY,
    PASSWORD,
    USER,
    Reply,
    TebraServer,
    refused,
    result,
    tebra_server,
    throttled,
)

AS_OF = datetime(2026, 3, 3, 4, 30, tzinfo=UTC)
PACE = 0.001
_FILE = """\
practice: lakeside
name: Lakeside Family Medicine
timezone: America/Chicago
phone: "+13125550100"
crm: {{kind: embedded}}
pm:
  kind: tebra
  practice_name: Lakeside Family Medicine
  wsdl_url: "{url}"
  batch_size: 2
  payer_ids: {{"11": P-ACME}}
  appointments_back_days: 1
  appointments_ahead_days: 40
staff: [{{id: c1, role: care_coordinator}}]
baa: [{baa}]
"""


class Desk:
    """One practice below a folder, whose PM is the server."""

    def __init__(self, root: Path, server: TebraServer) -> None:
        self.root = root
        self.server = server
        self.folders = PracticeFolders(root=root / "data" / "lakeside")
        self.keys = root / "keys"
        self.sign("{vendor: Tebra, signed_on: 2026-01-15}")
        self.put_keys(dict(zip(CREDENTIALS, (CUSTOMER_KEY, USER, PASSWORD), strict=True)))

    def sign(self, baa: str) -> None:
        path = self.root / "practices" / "lakeside.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(_FILE.format(url=self.server.url, baa=baa))

    def put_keys(self, keys: Mapping[str, str]) -> None:
        folder = self.keys / "lakeside"
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in keys.items():
            (folder / f"{name}.key").write_text(f"{value}\n")

    @property
    def practice(self) -> Practice:
        return load_practice(self.root / "practices", "lakeside")

    def fetch(self) -> dict[str, int]:
        return fetch_pm(self.practice, self.folders, self.keys, as_of=AS_OF, pace=PACE)

    def files(self) -> dict[str, str]:
        """Everything below landing, by name."""
        landing = self.folders.landing
        return {path.relative_to(landing).as_posix(): path.read_text() for path in landing.rglob("*") if path.is_file()}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with tebra_server() as server:
        server.patients = [patient(1), patient(2, DOB="2/30/1980"), patient(3)]
        server.providers = [
            {
                "ID": "31",
                "FullName": "Ann Li MD",
                "Type": "Normal Provider",
                "NationalProviderIdentifier": "1234567893",
            },
            {
                "ID": "41",
                "FullName": "Bo Roe",
                "Type": "Referring Provider",
                "NationalProviderIdentifier": "1245319599",
            },
        ]
        server.appointments = [
            {
                **{"at": "2026-03-08T08:30:00", "ID": "9", "PatientID": "1", "StartDate": "3/8/2026 8:30:00 AM"},
                **{"Type": "P", "ConfirmationStatus": "Confirmed", "ResourceID1": "31", "ResourceTypeID1": "1"},
            }
        ]
        yield Desk(tmp_path, server)


def patient(number: int, **members: str) -> dict[str, str]:
    record = {
        **{"ID": str(number), "FirstName": 'Ann "A"', "LastName": "Quorvax, Jr\nIII", "DOB": "1/2/1980 12:00:00 AM"},
        **{"Gender": "Female", "MedicalRecordNumber": f"M{number}", "MobilePhone": "(312) 867-5309"},
        **{"LastModifiedDate": "3/1/2026 1:02:03 PM", "ReferringProviderId": "41"},
        **{"PrimaryInsurancePolicyCompanyID": "11", "PrimaryInsurancePolicyNumber": f"W{number}"},
        "PrimaryInsurancePolicyEffectiveStartDate": "1/1/2026 12:00:00 AM",
    }
    return record | members


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    with open_warehouse(tmp_path / "warehouse.duckdb", key="k") as opened:
        for module in (ledger, tabular):
            module.create_tables(opened.con)
        yield opened


def taken(desk: Desk, warehouse: Warehouse) -> dict[str, Taken]:
    return take(warehouse, desk.practice, desk.folders, FETCHED, as_of=AS_OF, settle_seconds=0)


def test_what_tebra_holds_is_taken_as_any_extract(desk, warehouse):
    assert desk.fetch() == {
        "pm/patients.csv": 3,
        "pm/coverage.csv": 3,
        "pm/appointments.csv": 1,
        "pm/referral_network.csv": 1,
    }
    loaded = taken(desk, warehouse)
    assert {place: each.loaded.rows for place, each in loaded.items()} == {
        "pm/patients.csv": 3,
        "pm/coverage.csv": 3,
        "pm/appointments.csv": 1,
        "pm/referral_network.csv": 1,
    }
    rows = warehouse.rows
    assert rows(
        """select pm_patient_id, last_name, birth_date::varchar, sex, referring_provider_npi,
             last_updated = timestamptz '2026-03-01 13:02:03-06', source_file
           from raw.pm_patients order by 1"""
    ) == [
        ("1", "Quorvax, Jr\nIII", "1980-01-02", "female", "1245319599", True, "pm/patients.csv"),
        ("2", "Quorvax, Jr\nIII", None, "female", "1245319599", True, "pm/patients.csv"),
        ("3", "Quorvax, Jr\nIII", "1980-01-02", "female", "1245319599", True, "pm/patients.csv"),
    ]
    assert rows("select payer_id, member_id, effective_date::varchar from raw.pm_coverage order by 2 limit 1") == [
        ("P-ACME", "W1", "2026-01-01")
    ]
    # The morning on which summer time began.
    assert rows(
        """select pm_patient_id, provider_npi, status, scheduled_at = timestamptz '2026-03-08 08:30:00-05'
           from raw.pm_appointments"""
    ) == [("1", "1234567893", "booked", True)]
    assert rows("select npi, name, status from raw.pm_referral_network") == [("1245319599", "Bo Roe", "active")]
    # A birthday that is none is told by line and field, and costs its patient nothing else.
    assert rows("select place, field, reason from quarantine.record") == [("pm/patients.csv", "birth_date", "bad_date")]


def test_the_same_lists_again_are_the_same_files(desk, warehouse):
    desk.fetch()
    before = desk.files()
    taken(desk, warehouse)
    desk.fetch()
    assert desk.files() == before
    assert {each.files for each in taken(desk, warehouse).values()} == {0}


def test_a_patient_who_left_is_seen_to_have_left(desk, warehouse):
    desk.fetch()
    taken(desk, warehouse)
    desk.server.patients.pop()
    desk.fetch()
    taken(desk, warehouse)
    assert warehouse.rows("select pm_patient_id from raw.pm_patients where is_removed") == [("3",)]


def test_appointments_are_asked_for_around_the_practices_own_day(desk):
    desk.fetch()
    windows = [asked for method, asked in desk.server.calls if method == "GetAppointments"]
    assert [(each["StartDate"], each["EndDate"]) for each in windows] == [
        ("2026-03-01T00:00:00", "2026-03-31T23:59:59"),
        ("2026-04-01T00:00:00", "2026-04-11T23:59:59"),
    ]


def test_files_of_patients_are_their_owners_alone(desk):
    desk.fetch()
    assert {(desk.folders.landing / place).stat().st_mode & 0o777 for place in FETCHED} == {0o600}


BREAKING = {
    "throttled to the end": ("GetAllPatients", [throttled("GetAllPatients")] * 5),
    "refused at the second page": (
        "GetAllPatients",
        [
            Reply(
                body=result(
                    "GetAllPatients",
                    "<Key><nextStartKey>2</nextStartKey></Key><Patients><PatientBatchData><ID>1</ID></PatientBatchData>"
                    "</Patients>",
                )
            ),
            refused("GetAllPatients", authenticated=False),
        ],
    ),
    "broken off in the last list": ("GetAppointments", [Reply(body=result("GetAppointments", ""), cut_at=200)] * 5),
    "not one provider": ("GetProviders", [Reply(body=result("GetProviders", "<Providers/>"))]),
}


@pytest.mark.parametrize(("method", "replies"), [pytest.param(*case, id=name) for name, case in BREAKING.items()])
def test_a_fetch_that_fails_leaves_everything_as_it_lay(desk, method, replies):
    desk.fetch()
    before = desk.files()
    desk.server.patients = [patient(8)]
    desk.server.trouble[method] = list(replies)
    with pytest.raises(HygieneError, match=r"^tebra: ") as caught:
        desk.fetch()
    assert "\n" not in str(caught.value)
    assert desk.files() == before


def test_a_first_fetch_that_fails_leaves_nothing(desk):
    desk.server.trouble["GetAppointments"] = [throttled("GetAppointments")] * 5
    with pytest.raises(TebraBusyError):
        desk.fetch()
    assert desk.files() == {}


def test_what_a_killed_fetch_left_is_no_extract_and_is_cleared(desk):
    """A file is put in place by renaming it; what a killed process left of one is hidden from whoever takes files."""
    left = desk.folders.landing / "pm" / ".patients.csv.partial"
    left.parent.mkdir(parents=True)
    left.write_text("pm_patient_id\n1\n")
    assert PLACES["pm/patients.csv"].paths(desk.folders.landing) == []
    desk.fetch()
    assert sorted(desk.files()) == sorted(FETCHED)


def test_nothing_is_asked_without_an_agreement(desk):
    desk.sign("")
    with pytest.raises(AgreementMissingError, match="no BAA with tebra"):
        desk.fetch()
    assert desk.server.calls == []


@pytest.mark.parametrize("name", CREDENTIALS)
def test_a_missing_key_is_named_with_the_way_out(desk, name):
    (desk.keys / "lakeside" / f"{name}.key").unlink()
    with pytest.raises(KeyProblemError, match=f"{name} is missing.*HYGIENE_KEY_LAKESIDE_{name.upper()}"):
        desk.fetch()


def test_a_practice_that_drops_files_is_asked_nothing(desk):
    path = desk.root / "practices" / "lakeside.yaml"
    text = path.read_text()
    path.write_text(text[: text.index("pm:")] + "pm: {kind: files}\n" + text[text.index("staff:") :])
    assert desk.fetch() == {}
    assert list(tebra_findings(desk.practice, desk.keys, at=AS_OF)) == []


def test_the_doctor_asks_one_cheap_question(desk):
    (found,) = tebra_findings(desk.practice, desk.keys, at=AS_OF)
    assert (found.subject, found.is_fine, found.told) == ("pm", True, "Tebra answers, practice 7")
    assert [method for method, _ in desk.server.calls] == ["GetPractices"]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        pytest.param(lambda desk: desk.sign(""), "no BAA with tebra", id="no agreement"),
        pytest.param(lambda desk: desk.put_keys({"tebra_user": "nobody"}), "refused the credentials", id="wrong user"),
        pytest.param(lambda desk: desk.server.practices.clear(), "check pm.practice_name", id="wrong practice"),
        pytest.param(
            lambda desk: setattr(desk.server, "wsdl_reply", Reply(status=503)), "HTTP 503", id="the service is down"
        ),
    ],
)
def test_the_doctor_says_what_would_stop_the_night(desk, spoil, told):
    spoil(desk)
    (found,) = tebra_findings(desk.practice, desk.keys, at=AS_OF)
    assert not found.is_fine
    assert found.is_fatal
    assert told in found.told
