"""Model files of a test's own, written in a few words."""

from pathlib import Path

from hygiene_pipeline.sql_models import Model, load_models


def write_model(root: Path, name: str, sql: str, contract: str = "") -> None:
    """Write `<layer>/<table>.sql` and a models file with its entry; `contract` is the entry after its name."""
    layer, _, table = name.partition(".")
    folder = root / layer
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{table}.sql").write_text(sql)
    entry = contract or "description: One row per thing."
    lines = "\n".join(f"    {line}" for line in entry.strip("\n").splitlines())
    (folder / f"models_{table}.yml").write_text(f"version: 2\nmodels:\n  - name: {table}\n{lines}\n")


def one_model(root: Path, name: str, sql: str, contract: str = "") -> Model:
    """Write a model and load it."""
    write_model(root, name, sql, contract)
    return load_models(root)[name]
