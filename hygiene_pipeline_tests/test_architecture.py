"""The rules of the house, checked on every file: who may import whom, what SQL may say, how long things may be."""

import ast
import os
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "hygiene_pipeline"
LONGEST_MODULE = 300
LONGEST_FUNCTION = 60
ADAPTERS = ("ehr", "pm", "crm", "phone", "message")
# What an adapter may know beside its own: these know nobody.
SHARED_GROUND = (f"{PACKAGE}.clear_text", f"{PACKAGE}.failures", f"{PACKAGE}.private_files")
# These normalise whole columns inside DuckDB and speak to no vendor.
SET_BASED = ("phone/normalise.py", "phone/texts.py")
EMPTY_NAMES = {"util", "utils", "helper", "helpers", "common", "constants", "misc", "base"}
# A clock in SQL would make a past night impossible to repeat.
SQL_CLOCK = re.compile(r"\b(now|today|current_date|current_timestamp|current_time|get_current_timestamp)\b", re.I)
PYTHON_CLOCK = ("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns")
# Where a run begins or a file's age is looked at: there it is real time that is meant.
READS_REAL_TIME = {
    "cli.py",
    "defs/landing.py",
    "defs/phone.py",
    "defs/resources.py",
    "defs/sensors.py",
    "defs/sync.py",
    "landing/ledger.py",
    "receive.py",
}
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")
OF_ONE_MACHINE = re.compile(
    r"/(?:home|root|Users|work|mnt)/\w|[A-Z]:\\\w|index-url[ =]+https?:|pypi\.\w|pythonhosted\.\w"
)
OF_ITS_MAKING = re.compile(
    r"co-?authored|generated (?:by|with)\b|\b(?:issue|ticket|pull request|PR) ?#\d|"
    r"\b(?:this|last|previous|next) (?:session|sprint|iteration)\b",
    re.I,
)


def ignored() -> list[str]:
    """The names that git ignores, so that the rules hold for what is kept and nothing else."""
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    return [".git", *(line.rstrip("/") for line in lines if line and not line.startswith("#"))]


@cache
def kept_files() -> tuple[str, ...]:
    """Every file of the project by its path."""
    patterns = ignored()
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not any(fnmatch(name, pattern) for pattern in patterns)]
        found += [
            (Path(folder) / name).relative_to(ROOT).as_posix()
            for name in files
            if not any(fnmatch(name, pattern) for pattern in patterns)
        ]
    return tuple(sorted(found))


@cache
def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def tree_of(path: str) -> ast.Module:
    return ast.parse(text_of(path), path)


def python_files(*folders: str) -> list[str]:
    starts = tuple(f"{folder}/" for folder in folders)
    return [path for path in kept_files() if path.endswith(".py") and path.startswith(starts)]


PACKAGE_FILES = python_files(PACKAGE)
EVERY_PYTHON_FILE = [path for path in kept_files() if path.endswith(".py")]
SQL_FILES = [path for path in kept_files() if path.startswith("dbt_like_sql/") and path.endswith(".sql")]


def within(path: str) -> str:
    """A module's path inside the package."""
    return PurePosixPath(path).relative_to(PACKAGE).as_posix()


@cache
def imports(path: str) -> frozenset[str]:
    """Every module that a file imports, wherever in it; `from a import b` counts as a.b, which may be a module."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def imported_from(path: str, *modules: str) -> set[str]:
    """What a file imports from a module or from below it."""
    return {name for name in imports(path) if any(f"{name}.".startswith(f"{module}.") for module in modules)}


def offenders(found: Mapping[str, object]) -> str:
    return "\n".join(f"{place}: {what}" for place, what in sorted(found.items()))


def test_there_is_something_to_look_at() -> None:
    assert len(PACKAGE_FILES) > 100
    assert len(SQL_FILES) > 50
    assert "README.md" in kept_files()
    assert not [path for path in kept_files() if path.startswith((".venv/", "data/", "keys/"))]


def test_dagster_is_known_only_to_the_definitions() -> None:
    found = {path: imported_from(path, "dagster") for path in PACKAGE_FILES}
    allowed = (f"{PACKAGE}/defs/", f"{PACKAGE}/definitions.py")
    strangers = {path: names for path, names in found.items() if names and not path.startswith(allowed)}
    assert not strangers, offenders(strangers)


def test_dagster_is_used_by_its_public_names_only() -> None:
    private = {
        path: names for path in EVERY_PYTHON_FILE if (names := imported_from(path, "dagster._core", "dagster._utils"))
    }
    assert not private, offenders(private)


def test_an_adapter_knows_no_warehouse_and_nobody_else_of_ours() -> None:
    wrong = {}
    for path in python_files(*(f"{PACKAGE}/{adapter}" for adapter in ADAPTERS)):
        own = f"{PACKAGE}.{within(path).split('/')[0]}"
        strangers = imported_from(path, PACKAGE) - imported_from(path, own, *SHARED_GROUND)
        if within(path) in SET_BASED:
            strangers -= imported_from(path, f"{PACKAGE}.sql_spelling")
        else:
            strangers |= imported_from(path, "duckdb")
        if strangers:
            wrong[path] = strangers
    assert not wrong, offenders(wrong)


def test_the_domain_does_not_know_who_schedules_it() -> None:
    found = {
        path: names
        for path in PACKAGE_FILES
        if not within(path).startswith("defs/")
        and (names := imported_from(path, f"{PACKAGE}.defs"))
        and not (within(path) == "cli.py" and names == imported_from(path, f"{PACKAGE}.defs.in_process"))
    }
    assert not found, offenders(found)


def test_the_simulation_is_known_only_to_the_command_line() -> None:
    found = {
        path: names
        for path in PACKAGE_FILES
        if not within(path).startswith("demo/") and (names := imported_from(path, f"{PACKAGE}.demo"))
    }
    assert set(found) == {f"{PACKAGE}/cli.py"}, offenders(found)


def test_the_package_does_not_know_its_tests() -> None:
    found = {path: names for path in PACKAGE_FILES if (names := imported_from(path, f"{PACKAGE}_tests", "pytest"))}
    assert not found, offenders(found)


@pytest.mark.parametrize("library", ["great_expectations", "pandas", "altair"])
def test_a_slow_library_is_imported_where_it_is_used(library: str) -> None:
    at_the_top = {
        path: library
        for path in PACKAGE_FILES
        for node in tree_of(path).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        and library
        in {alias.name.split(".")[0] for alias in node.names} | {str(getattr(node, "module", "")).split(".")[0]}
    }
    assert not at_the_top, offenders(at_the_top)


def test_nobody_looks_at_the_clock() -> None:
    found = {
        f"{path}:{node.lineno}": ast.unparse(node)
        for path in PACKAGE_FILES
        if within(path) not in READS_REAL_TIME
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and ast.unparse(node).endswith(PYTHON_CLOCK)
    }
    assert not found, offenders(found)


def statement(path: str) -> str:
    """The SQL of a model without its comments and its quoted texts."""
    return re.sub(r"--[^\n]*|'(?:[^']|'')*'", "", text_of(path))


def test_no_model_looks_at_the_clock() -> None:
    found = {path: hit.group() for path in SQL_FILES if (hit := SQL_CLOCK.search(statement(path)))}
    assert not found, offenders(found)


def test_a_model_is_the_sql_that_runs() -> None:
    templated = {path: mark for path in SQL_FILES for mark in ("{{", "{%", ";") if mark in statement(path)}
    assert not templated, offenders(templated)


def test_a_model_begins_with_a_sentence() -> None:
    assert not [path for path in SQL_FILES if not text_of(path).startswith("-- ")]


def test_every_layer_describes_its_models() -> None:
    layers = {PurePosixPath(path).parent for path in SQL_FILES}
    described = {PurePosixPath(path).parent for path in kept_files() if fnmatch(path, "dbt_like_sql/*/models*.yml")}
    assert layers == described


def test_every_module_says_what_it_is() -> None:
    # A test package's mark holds nothing that could be described.
    silent = [path for path in EVERY_PYTHON_FILE if text_of(path).strip() and not ast.get_docstring(tree_of(path))]
    empty = [path for path in PACKAGE_FILES if not text_of(path).strip()]
    assert not silent + empty


def functions(path: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def test_modules_and_functions_can_be_read_in_one_sitting() -> None:
    modules = {path: len(text_of(path).splitlines()) for path in PACKAGE_FILES}
    lengths = {name: length for path in PACKAGE_FILES for name, length in functions(path)}
    too_long = {path: lines for path, lines in modules.items() if lines > LONGEST_MODULE}
    too_long |= {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION}
    assert not too_long, offenders(too_long)


def test_a_name_says_what_is_inside() -> None:
    parts = {path: set(PurePosixPath(path).with_suffix("").parts) & EMPTY_NAMES for path in kept_files()}
    assert not any(parts.values()), offenders({path: names for path, names in parts.items() if names})


def readable_files() -> Iterator[str]:
    for path in kept_files():
        try:
            text_of(path)
        except UnicodeDecodeError:
            continue
        yield path


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(UNFINISHED, id="a mark of unfinished work"),
        pytest.param(OF_ONE_MACHINE, id="a path of one machine, or the host of a package index"),
        pytest.param(OF_ITS_MAKING, id="how a text came to be: that is git's"),
    ],
)
def test_no_file_holds(pattern: re.Pattern[str]) -> None:
    found = {
        f"{path}:{number}": hit.group()
        for path in readable_files()
        for number, line in enumerate(text_of(path).splitlines(), start=1)
        if (hit := pattern.search(line)) and not path.endswith(".lock")
    }
    assert not found, offenders(found)


@pytest.mark.parametrize(
    ("pattern", "halves"),
    [
        pytest.param(UNFINISHED, ("# TO", "DO: later"), id="a mark"),
        pytest.param(OF_ONE_MACHINE, ("open('/ho", "me/ann/file')"), id="a path"),
        pytest.param(OF_ONE_MACHINE, ("--index-url ", "https://example.org"), id="an index"),
        pytest.param(OF_ITS_MAKING, ("see issue ", "#12"), id="a number of a tracker"),
        pytest.param(SQL_CLOCK, ("select ", "now()"), id="a clock"),
        pytest.param(SQL_CLOCK, ("where day < ", "Current_Date"), id="today"),
    ],
)
def test_a_pattern_finds_what_it_is_for(pattern: re.Pattern[str], halves: tuple[str, str]) -> None:
    # In halves, so that the rule does not find its own example.
    assert pattern.search("".join(halves))


def test_the_locked_packages_name_no_index() -> None:
    for path in ("requirements.lock", "requirements-bootstrap.lock"):
        assert not OF_ONE_MACHINE.search(text_of(path)), path
        assert "--hash=sha256:" in text_of(path)
