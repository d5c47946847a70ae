"""What a user sees on the command line: one clear line and exit status 1 for a mistake, never a traceback."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from hygiene_pipeline.cli import app

SHIPPED = Path(__file__).parent.parent / "practices" / "riverside.yaml"
COMMANDS = ("run", "simulate", "demo", "scorecard", "doctor")
NIGHT = "2026-03-01T07:00:00Z"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A deployment of its own with the shipped practice file and nothing else."""
    (tmp_path / "practices").mkdir()
    (tmp_path / "practices" / "riverside.yaml").write_bytes(SHIPPED.read_bytes())
    for name in ("practices", "data", "keys"):
        monkeypatch.setenv(f"HYGIENE_{name.upper()}", str(tmp_path / name))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster_home"))
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


def hygiene(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def change_practice(home: Path, changes: Mapping[str, Any]) -> None:
    path = home / "practices" / "riverside.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


def assert_one_line(result: Result, told: str) -> None:
    assert result.exit_code == 1
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error ")
    assert told in lines[0]
    assert result.exception is None or isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(home: Path, command: str) -> None:
    result = hygiene(command, "--help")
    assert result.exit_code == 0
    assert "--practice" in result.stdout
    assert command in result.stdout


@pytest.mark.parametrize("command", ["run", "simulate", "demo", "scorecard"])
@pytest.mark.parametrize(
    ("practice", "told"),
    [
        pytest.param("seaside", "there is no such practice file; practices here: riverside", id="no such practice"),
        pytest.param("../riverside", "practice: is not an id", id="a path for an id"),
    ],
)
def test_a_practice_that_is_not_there_is_one_line(home: Path, command: str, practice: str, told: str) -> None:
    before = sorted(home.rglob("*"))
    assert_one_line(hygiene(command, "--practice", practice), told)
    assert sorted(home.rglob("*")) == before, "a mistake in the name leaves nothing behind"


@pytest.mark.parametrize(
    "as_of",
    [
        pytest.param("yesterday", id="a word"),
        pytest.param("2026-03-01", id="a day without a time"),
        pytest.param("2026-03-01T07:00:00", id="no offset"),
        pytest.param("2026-02-30T07:00:00Z", id="no such day"),
        pytest.param("1772348400", id="seconds since 1970"),
    ],
)
def test_a_time_that_is_none_is_one_line(home: Path, as_of: str) -> None:
    assert_one_line(hygiene("run", "--practice", "riverside", "--as-of", as_of), "--as-of: is not a time with offset")


@pytest.mark.parametrize("command", ["run", "simulate", "demo", "scorecard"])
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"crm": {"kind": "fax"}}, "crm.kind: 'fax' is not allowed; allowed:", id="unknown crm"),
        pytest.param({"crm": {"kind": "[/red]"}}, "crm.kind: '[/red]' is not allowed", id="looks like markup"),
        pytest.param({"practice": "lakeside"}, "practice: must equal the file name; allowed: riverside", id="other id"),
        pytest.param({"crm": {"kind": "files", "sinc": "off"}}, "crm.sinc: is not a known key", id="a slip of the pen"),
    ],
)
def test_a_wrong_practice_file_is_one_line(home: Path, command: str, changes: Mapping[str, Any], told: str) -> None:
    change_practice(home, changes)
    assert_one_line(hygiene(command, "--practice", "riverside"), told)


def test_unreadable_yaml_is_told_with_its_line(home: Path) -> None:
    (home / "practices" / "riverside.yaml").write_text("practice: riverside\nname: [\n")
    assert_one_line(hygiene("run", "--practice", "riverside"), "riverside.yaml, line 3: is not readable YAML")


def test_every_mistake_of_a_practice_file_is_told_a_line_each(home: Path) -> None:
    change_practice(home, {"timezone": "Boston", "phone": "617"})
    result = hygiene("run", "--practice", "riverside")
    assert result.exit_code == 1
    assert [line.rpartition("riverside.yaml: ")[2].partition(":")[0] for line in result.stderr.splitlines()] == [
        "timezone",
        "phone",
    ]


def test_a_scorecard_before_the_first_night_is_one_line_and_makes_nothing(home: Path) -> None:
    assert_one_line(hygiene("scorecard", "--practice", "riverside"), "no night has been measured yet")
    assert not (home / "data").exists()
    assert not (home / "keys").exists()


def test_a_simulation_does_not_touch_data_that_no_simulation_made(home: Path) -> None:
    extract = home / "data" / "riverside" / "landing" / "crm" / "contacts.csv"
    extract.parent.mkdir(parents=True)
    extract.write_text("contact_id\nc1\n")
    assert_one_line(hygiene("simulate", "--practice", "riverside"), "holds data that no simulation made")
    assert_one_line(hygiene("demo", "--practice", "riverside"), "holds data that no simulation made")
    assert extract.read_text() == "contact_id\nc1\n"


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("run",), id="no practice"),
        pytest.param(("run", "--practice", "riverside", "--when", NIGHT), id="unknown option"),
        pytest.param(("simulate", "--practice", "riverside", "--patients", "49"), id="too few patients"),
        pytest.param(("simulate", "--practice", "riverside", "--days", "two"), id="days that are no number"),
        pytest.param(("tidy",), id="unknown command"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_done(home: Path, words: tuple[str, ...]) -> None:
    result = hygiene(*words)
    assert result.exit_code == 2
    assert "Error" in result.stderr
    assert not (home / "data").exists()


def test_a_simulated_practice_lies_in_landing(home: Path) -> None:
    words = ("--practice", "riverside", "--patients", "50", "--days", "1", "--seed", "7")
    result = hygiene("simulate", *words)
    assert result.exit_code == 0, result.stderr
    landing = home / "data" / "riverside" / "landing"
    assert str(landing) in result.stdout
    assert (landing / "crm" / "contacts.csv").is_file()


def test_the_module_runs_as_a_program(home: Path) -> None:
    program = (sys.executable, "-m", "hygiene_pipeline.cli", "run", "--practice", "seaside", "--as-of", NIGHT)
    ended = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.splitlines() == [
        f"error {home / 'practices' / 'seaside.yaml'}: there is no such practice file; practices here: riverside"
    ]
