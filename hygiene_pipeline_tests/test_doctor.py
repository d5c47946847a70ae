"""The doctor finds what would stop tonight's run, names the way out, and changes nothing."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from hygiene_pipeline.cli import app
from hygiene_pipeline.crm.embedded import EmbeddedCrm, as_row
from hygiene_pipeline.doctor import examine
from hygiene_pipeline.finding import Finding
from hygiene_pipeline.folders import Folders, PracticeFolders
from hygiene_pipeline.night import begin, open_night
from hygiene_pipeline.privacy.keys import WAREHOUSE, key_for
from hygiene_pipeline.warehouse import open_warehouse
from hygiene_pipeline_tests.ports import closed_door

NOW = datetime(2026, 3, 2, 7, tzinfo=UTC)
SHIPPED = Path(__file__).parent.parent / "practices" / "riverside.yaml"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PracticeFolders:
    """The folders of a practice that has its file and nothing else."""
    (tmp_path / "practices").mkdir()
    (tmp_path / "practices" / "riverside.yaml").write_bytes(SHIPPED.read_bytes())
    for name in ("practices", "data", "keys"):
        monkeypatch.setenv(f"HYGIENE_{name.upper()}", str(tmp_path / name))
    return Folders().of("riverside")


def found(subject: str) -> Finding:
    (finding,) = (each for each in examine("riverside", at=NOW) if each.subject == subject)
    return finding


def put_contacts(own: PracticeFolders) -> None:
    path = own.landing / "crm" / "contacts.csv"
    path.parent.mkdir(parents=True)
    path.write_text("contact_id\nc1\n")


def make_warehouse(own: PracticeFolders) -> Path:
    """An empty encrypted warehouse; returns the file of its key."""
    keys = Folders().keys
    with open_warehouse(own.warehouse, key=key_for(keys, "riverside", WAREHOUSE)):
        pass
    return keys / "riverside" / f"{WAREHOUSE}.key"


def test_a_fresh_folder_lacks_contacts_only(own: PracticeFolders) -> None:
    stops = [finding for finding in examine("riverside", at=NOW) if finding.is_fatal and not finding.is_fine]
    assert [(finding.subject, finding.told) for finding in stops] == [
        ("crm", "embedded, empty: put contacts.csv into landing/crm")
    ]
    assert found("warehouse").told == "none yet: made by the first run"
    assert "HYGIENE_KEY_RIVERSIDE_WAREHOUSE" in found("key warehouse").told


def test_looking_makes_no_folder_no_key_and_no_warehouse(own: PracticeFolders) -> None:
    list(examine("riverside", at=NOW))
    assert not own.root.exists()
    assert not Folders().keys.exists()


def test_contacts_are_all_that_a_first_night_needs(own: PracticeFolders) -> None:
    put_contacts(own)
    assert all(finding.is_fine for finding in examine("riverside", at=NOW) if finding.is_fatal)
    assert found("crm").told == "embedded, to be seeded"
    assert found("landing crm/contacts.csv").told == "1 files"


def test_extracts_of_a_file_crm_are_needed(own: PracticeFolders) -> None:
    path = Folders().practices / "riverside.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "crm": {"kind": "files"}}))
    finding = found("landing crm/contacts.csv")
    assert finding.is_fatal
    assert not finding.is_fine
    assert found("crm").told == "files, sync dry_run"


def test_a_warehouse_that_its_key_opens_is_fine(own: PracticeFolders) -> None:
    make_warehouse(own)
    assert found("key warehouse").told == "found"
    assert found("warehouse").told == "opens with its key"


@pytest.mark.parametrize(
    ("as_of", "is_to_come"), [(NOW - timedelta(days=1), False), (NOW, False), (NOW + timedelta(days=1), True)]
)
def test_a_run_of_a_time_to_come_is_told(own: PracticeFolders, as_of: datetime, is_to_come: bool) -> None:
    make_warehouse(own)
    with open_night("riverside") as night:
        begin(night, as_of=as_of)
    told = [finding.told for finding in examine("riverside", at=NOW) if finding.subject == "clock"]
    assert bool(told) == is_to_come
    assert all("only looks back and takes nothing; wait, or restore" in each for each in told)


def settle(own: PracticeFolders, **receive: object) -> None:
    """Give the practice file these settings of its receivers."""
    path = Folders().practices / "riverside.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "receive": receive}))


def test_a_receiver_that_stands_at_its_door_is_seen(own: PracticeFolders) -> None:
    with closed_door() as door:
        port = door.getsockname()[1]
        settle(own, mllp={"port": port})
        finding = found("receive mllp")
        assert (finding.told, finding.is_fine) == (f"127.0.0.1:{port} is closed; hygiene listen opens it", True)
        door.listen()
        assert found("receive mllp").told == f"127.0.0.1:{port} is open"


def test_a_webhook_tells_of_its_secret(own: PracticeFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    with closed_door() as door:
        settle(own, webhook={"port": door.getsockname()[1]})
        assert found("receive webhook").told.endswith("hygiene webhook opens it and makes its secret")
        monkeypatch.setenv("HYGIENE_KEY_RIVERSIDE_WEBHOOK", "ab" * 32)
        assert found("receive webhook").told.endswith("hygiene webhook opens it")


@pytest.mark.parametrize("door", ["mllp", "webhook"])
def test_a_certificate_that_cannot_be_used_is_told(own: PracticeFolders, tmp_path: Path, door: str) -> None:
    (tmp_path / "server.pem").write_text("no certificate")
    settle(own, **{door: {"tls": {"certificate": str(tmp_path / "server.pem"), "key": str(tmp_path / "none.pem")}}})
    finding = found(f"receive {door}")
    assert not finding.is_fine
    assert not finding.is_fatal
    assert "server.pem and its key cannot be used; give PEM files that belong together" in finding.told


def test_a_lost_key_is_told_and_not_made_anew(own: PracticeFolders) -> None:
    key = make_warehouse(own)
    key.unlink()
    finding = found("warehouse")
    assert not finding.is_fine
    assert "its key is missing; restore riverside/warehouse.key" in finding.told
    assert not key.exists()


@pytest.mark.parametrize(
    ("content", "subject", "told"),
    [
        pytest.param("0" * 64, "warehouse", "the key does not open it", id="another key"),
        pytest.param("", "key warehouse", "is empty", id="an empty key file"),
        pytest.param("clé", "key warehouse", "cannot be read", id="no key at all"),
    ],
)
def test_a_damaged_key_is_told(own: PracticeFolders, content: str, subject: str, told: str) -> None:
    make_warehouse(own).write_text(content, encoding="latin-1")
    finding = found(subject)
    assert not finding.is_fine
    assert told in finding.told
    assert "restore the key file" in finding.told


def test_a_key_in_the_environment_is_found(own: PracticeFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYGIENE_KEY_RIVERSIDE_ANALYST", "ab" * 32)
    assert found("key analyst").told == "found"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"not a database, for more than the sixteen bytes of its magic word", id="another file"),
        pytest.param(b"", id="an empty file"),
    ],
)
def test_an_unreadable_crm_is_told(own: PracticeFolders, content: bytes) -> None:
    own.root.mkdir(parents=True)
    own.crm.write_bytes(content)
    finding = found("crm")
    assert finding.is_fatal
    assert not finding.is_fine
    assert "cannot be read" in finding.told
    assert "restore it from a backup" in finding.told


def test_a_crm_says_how_many_contacts_it_has(own: PracticeFolders) -> None:
    own.root.mkdir(parents=True)
    with closing(EmbeddedCrm(own.crm)) as crm:
        crm.seed(as_row({"contact_id": each}) for each in ("c1", "c2"))
    assert found("crm").told == "embedded, 2 contacts, sync apply"


def test_a_kind_that_nobody_handles_goes_to_the_fallback(own: PracticeFolders) -> None:
    path = Folders().practices / "riverside.yaml"
    content = yaml.safe_load(path.read_text())
    content["staff"] = [person for person in content["staff"] if person["role"] in ("billing", "practice_manager")]
    path.write_text(yaml.safe_dump(content))
    finding = found("people for phone")
    assert finding.is_fine
    assert finding.told == "nobody handles phone: it goes to practice_manager"
    content["staff"] = [person for person in content["staff"] if person["role"] == "billing"]
    path.write_text(yaml.safe_dump(content))
    assert not found("people for phone").is_fine
    assert found("people for insurance").told == "billing-1"


@pytest.mark.parametrize(
    ("change", "subject", "told"),
    [
        pytest.param({"phone_lookup": {"kind": "numverify"}}, "BAA numverify", "no BAA with numverify", id="lookups"),
        pytest.param(
            {"pm": {"kind": "tebra", "practice_name": "Riverside"}}, "pm", "no BAA with tebra on file", id="the PM"
        ),
        pytest.param(
            {"ehr": {"kind": "smart_bulk", "base_url": "https://fhir.example/r4"}},
            "ehr server",
            "no BAA with fhir.example on file",
            id="the EHR",
        ),
        pytest.param(
            {
                "messages": {
                    "send": "send",
                    "sms": {"kind": "twilio", "account_sid": "AC" + "0" * 32, "sender": "12345"},
                }
            },
            "messages by text",
            "no BAA with twilio on file",
            id="texts",
        ),
    ],
)
def test_a_vendor_without_an_agreement_is_not_even_greeted(
    own: PracticeFolders, change: dict[str, object], subject: str, told: str
) -> None:
    path = Folders().practices / "riverside.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **change}))
    finding = found(subject)
    assert finding.is_fatal
    assert not finding.is_fine
    assert told in finding.told
    assert "add {vendor: " in finding.told


def test_a_wrong_practice_file_ends_the_examination(own: PracticeFolders) -> None:
    (Folders().practices / "riverside.yaml").write_text("practice: riverside\n")
    (finding,) = examine("riverside", at=NOW)
    assert finding.subject == "practice file"
    assert not finding.is_fine
    assert "timezone: is missing" in finding.told


@pytest.mark.parametrize(
    ("is_ready", "status"), [pytest.param(True, 0, id="ready"), pytest.param(False, 1, id="not ready")]
)
def test_the_command_ends_with_0_only_if_tonight_would_work(own: PracticeFolders, is_ready: bool, status: int) -> None:
    if is_ready:
        put_contacts(own)
    result = CliRunner().invoke(app, ["doctor", "--practice", "riverside"])
    assert result.exit_code == status
    assert "Riverside Primary Care" in result.stdout
    marks = {line.split()[0] for line in result.stdout.splitlines()[1:]}
    assert marks == ({"ok", "--"} if is_ready else {"ok", "--", "no"})
