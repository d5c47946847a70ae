"""Whatever the README tells a reader to type, open or look at is really there and does what is said."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
import typer
import yaml
from pydantic import BaseModel

from hygiene_pipeline.cli import app
from hygiene_pipeline.folders import Folders
from hygiene_pipeline.landing.ledger import PLACES
from hygiene_pipeline.landing.places import ELIGIBILITY, EXTRACTS, REPLIES, Extract
from hygiene_pipeline.night import models
from hygiene_pipeline.policies.load import load_policies
from hygiene_pipeline.practice import Crm, Ehr, PhoneLookup, Pm, load_practice
from hygiene_pipeline.privacy.publish import publish
from hygiene_pipeline.privacy.roles import Role, Roles, load_roles
from hygiene_pipeline.warehouse import connect_memory
from hygiene_pipeline_tests.bed import Bed

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DEVELOPMENT = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")
LANDING_FILES = (ROOT / "docs" / "landing-files.md").read_text(encoding="utf-8")
# Made by setting up or by a run, so not in the repository.
MADE_LATER = ("data/", "keys/", ".venv", ".dagster_home")
TYPES = {"varchar": "text", "date": "date", "timestamptz": "time", "boolean": "yes/no", "double": "number"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def quoted(text: str) -> list[str]:
    """Everything in backticks outside code blocks."""
    return re.findall(r"`([^`\n]+)`", without_blocks(text))


def every_table_after(heading: str) -> list[list[str]]:
    """The cells of all tables below a heading, without their heads."""
    text = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()[2:]]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def table_after(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    text = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    first = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    rows = first.group().splitlines()[2:] if first else []
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def shell_lines() -> list[list[str]]:
    """Every command of the shell blocks, cut into words."""
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.strip()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def hygiene_lines() -> Iterator[list[str]]:
    """Every `hygiene …` of the shell blocks and of the text."""
    yield from (words[1:] for words in shell_lines() if words[0] == ".venv/bin/hygiene")
    yield from (words[1:] for text in quoted(README) if (words := shlex.split(text))[0] == "hygiene" and words[1:])


@cache
def make_targets() -> dict[str, str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z]+):.*?## (.+)$", text, re.MULTILINE))


@cache
def commands() -> dict[str, set[str]]:
    """The options of each command of the real program."""
    group = typer.main.get_command(app)
    return {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in group.commands.items()  # type: ignore[attr-defined]
    }


def test_there_is_something_to_check() -> None:
    assert len(shell_lines()) >= 6
    assert len(list(hygiene_lines())) >= 7
    assert len(blocks("python")) == 2
    assert README.count("<!-- scorecard -->") == 2


def test_it_can_be_read_in_one_go() -> None:
    before, _, after = README.split("<!-- scorecard -->")
    assert len((before + after).splitlines()) <= 220


@pytest.mark.parametrize("words", shell_lines(), ids=" ".join)
def test_a_shell_command_is_one_that_is_checked(words: list[str]) -> None:
    assert words[0] in ("make", "cp", ".venv/bin/hygiene")


@pytest.mark.parametrize(
    "target",
    sorted(
        {words[1] for words in [*shell_lines(), *map(str.split, quoted(README))] if words[0] == "make" and words[1:]}
    ),
)
def test_a_make_target_is_there_with_a_line_of_help(target: str) -> None:
    assert make_targets()[target]


def test_the_targets_of_the_first_block_are_those_a_reader_needs() -> None:
    assert [words[:2] for words in shell_lines()[:3]] == [["make", "run"], ["make", "test"], ["make", "ui"]]


@pytest.mark.parametrize("words", list(hygiene_lines()), ids=" ".join)
def test_a_hygiene_command_has_these_options(words: list[str]) -> None:
    command, *rest = words
    assert command in commands()
    assert {word for word in rest if word.startswith("--")} <= commands()[command]
    assert "--practice" in rest


def test_every_command_is_told() -> None:
    assert {words[0] for words in hygiene_lines()} == set(commands())


def is_a_path(text: str) -> bool:
    """Whether a quoted text names a file or folder of the repository."""
    if text.startswith(MADE_LATER) or re.search(r"[\s<>:{]", text):
        return False
    return "/" in text or (ROOT / text).exists()


@pytest.mark.parametrize(
    "path",
    sorted(
        {text for text in quoted(README + DEVELOPMENT) if is_a_path(text) and text not in PLACES}
        | {link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link}
    ),
)
def test_a_path_is_there(path: str) -> None:
    assert list(ROOT.glob(path.rstrip("/"))), path


@pytest.mark.parametrize("block", blocks("sh"), ids=lambda block: block.split()[0])
def test_what_is_copied_is_there(block: str) -> None:
    for words in (shlex.split(line, comments=True) for line in block.splitlines()):
        if words[:1] == ["cp"]:
            assert (ROOT / words[1]).is_file()


def test_the_sources_are_those_that_are_taken() -> None:
    rows = table_after("Sources")
    assert [row[0].strip("`") for row in rows] == list(PLACES)
    for place, how, _ in rows:
        assert ("full list" in how) == PLACES[place.strip("`")].is_snapshot, place
        for pattern in re.findall(r"`(\*\.[^`]+)`", how):
            assert pattern in PLACES[place.strip("`")].patterns


def test_the_kinds_are_those_that_a_practice_file_takes() -> None:
    told = {kind for row in every_table_after("Sources") for kind in re.findall(r"`(\w+: \w+)`", " ".join(row))}
    unions = {"ehr": Ehr, "pm": Pm, "phone_lookup": PhoneLookup}
    parts: dict[str, tuple[type[BaseModel], ...]] = {name: get_args(get_args(each)[0]) for name, each in unions.items()}
    parts["crm"] = (Crm,)
    assert told == {
        f"{name}: {kind}"
        for name, members in parts.items()
        for member in members
        for kind in get_args(member.model_fields["kind"].annotation)
    }


def test_the_runs_are_jobs() -> None:
    from hygiene_pipeline.definitions import defs

    told = {name for row in table_after("The way of the data") for name in re.findall(r"`(\w+)`", row[0])}
    assert told
    assert told <= {job.name for job in defs().resolve_all_job_defs()}


def test_the_settings_are_those_that_are_read() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    rows = table_after("A practice of your own")
    assert {f"HYGIENE_{name.upper()}" for name in Folders.model_fields} <= {row[0].strip("`") for row in rows}
    for name, default, _ in rows:
        if name.startswith("`HYGIENE_") and "<" not in name:
            assert f"{name.strip('`')}={default.strip('`/')}" in text.splitlines()


def test_the_lines_of_a_practice_file_are_accepted(tmp_path: Path) -> None:
    (told,) = blocks("yaml")
    shipped = yaml.safe_load((ROOT / "practices" / "riverside.yaml").read_text(encoding="utf-8"))
    content = {**shipped, **yaml.safe_load(told), "practice": "lakeside"}
    (tmp_path / "lakeside.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    practice = load_practice(tmp_path, "lakeside")
    assert practice.policies.phone.confirmed_for_days == 60
    assert practice.crm.sync == "dry_run"


def test_the_tables_are_published_ones() -> None:
    steward = load_roles().roles["data_steward"].tables
    told = [row[0].strip("`") for row in table_after("Results")]
    assert told
    assert [name for name in told if name not in steward] == []
    assert set(told) <= {*models(), "sync.crm_change"}


def test_the_bands_are_those_of_the_policy() -> None:
    policies = load_policies().benchmarks
    rows = table_after("What states and grades mean")
    assert len(rows) == len(policies.metrics)
    for row, (metric, band) in zip(rows, policies.metrics.items(), strict=True):
        per = 100 if band.unit == "share" else 1
        assert f"{band.target * per:g}" in row[3], metric
        assert f"{band.acceptable_from * per:g}" in row[2], metric


def accept(con: object, role: Role, catalog: str) -> None:
    """A draft that is fine."""


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A folder in which a practice published what the snippets read, a benchmark and an issue."""
    key = "ab" * 32
    shipped = load_roles()
    roles = Roles(
        coded_fields=shipped.coded_fields,
        roles={
            "analyst": shipped.roles["analyst"].model_copy(
                update={"tables": {"metrics.benchmark": shipped.roles["analyst"].tables["metrics.benchmark"]}}
            ),
            "data_steward": shipped.roles["data_steward"].model_copy(
                update={"tables": {"hygiene.issue": shipped.roles["data_steward"].tables["hygiene.issue"]}}
            ),
        },
    )
    bed = Bed()
    con = connect_memory()
    con.execute("create schema metrics; create schema hygiene")
    con.execute(
        "create table metrics.benchmark as select 'stale_record_rate' as metric, 0.28 as value, 'poor' as grade"
    )
    shape = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in bed.shapes["hygiene.issue"].items())
    con.execute(f"create table hygiene.issue as select {shape}")
    con.execute(
        "update hygiene.issue set contact_id = 'c-1', state = 'open', due_at = ?", [datetime(2026, 3, 1, tzinfo=UTC)]
    )
    for role in roles.roles:
        publish(
            con, roles, role, tmp_path / f"data/riverside/published/{role}.duckdb", key=key, check=accept, grains={}
        )
    path = tmp_path / "keys" / "riverside" / "data_steward.key"
    path.parent.mkdir(parents=True)
    path.write_text(f"{key}\n", encoding="ascii")
    return tmp_path


@pytest.mark.parametrize(
    ("snippet", "told"),
    [
        pytest.param(blocks("python")[0], "stale_record_rate", id="the analyst's"),
        pytest.param(blocks("python")[1], "c-1", id="the data steward's"),
    ],
)
def test_a_snippet_prints_rows(published: Path, snippet: str, told: str) -> None:
    ended = subprocess.run([sys.executable, "-c", snippet], cwd=published, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert told in ended.stdout


def described(extract: Extract) -> list[tuple[str, str]]:
    """The columns of a place that a reader of the docs is told, with their type."""
    section = LANDING_FILES.partition(f"\n## `{extract.place}`\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \| ([\w/]+) \|", section, re.MULTILINE)


@pytest.mark.parametrize("place", [*EXTRACTS, "pm/eligibility", "replies"])
def test_the_columns_of_a_landing_file_are_those_that_are_read(place: str) -> None:
    extract = {**EXTRACTS, "pm/eligibility": ELIGIBILITY, "replies": REPLIES}[place]
    told = described(extract)
    read = [(column.name, "code" if column.codes else TYPES[column.type]) for column in extract.columns]
    # An answer's plan, payer and provenance come from X12 and FHIR, not from the CSV.
    assert [column for column in told if column not in read] == []
    assert told == (read if place != "pm/eligibility" else [column for column in read if column in told])
    assert {name for name, _ in told} >= set(extract.required)
