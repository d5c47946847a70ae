"""A model file: its name, grain, words, tests and what it reads.

A model is a plain select in `dbt_like_sql/<layer>/<table>.sql`; its words and tests stand in a `models*.yml` beside it.
Dependencies are read out of the SQL by DuckDB's own parser. Nothing here touches a warehouse.
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from hygiene_pipeline.model_contracts import ContractError, ModelContract, Severity, TestContract, read_contracts
from hygiene_pipeline.sql_text import SqlFacts, SqlRefusedError, read_sql

HISTORY = "history"
GRAIN_TEST = "grain_is_unique"


@dataclass(frozen=True, kw_only=True)
class ModelTest:
    """One data test of a model, `name` unique within it (`accepted_values_phone_state`)."""

    name: str
    type: str
    column: str | None
    arguments: Mapping[str, Any]
    severity: Severity
    where: str | None

    @property
    def blocking(self) -> bool:
        """Whether its failure keeps the table from being published."""
        return self.severity == "error"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A documented column; `data_type` only where its file gives one."""

    name: str
    description: str
    data_type: str | None
    tests: tuple[ModelTest, ...]


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """A model is made anew only for those values of `key` whose rows in the view `reads` changed."""

    key: str
    reads: str


@dataclass(frozen=True, kw_only=True)
class Model:
    """A SQL model with everything its files say about it."""

    name: str
    sql: str = field(repr=False)
    path: Path
    description: str
    grain: tuple[str, ...]
    columns: tuple[Column, ...]
    tests: tuple[ModelTest, ...]
    materialized: str
    history: bool
    owner: str | None
    dependencies: tuple[str, ...]
    history_reads: tuple[str, ...]
    output_names: tuple[str, ...]
    slice_by: tuple[str, ...] = ()
    renewal: Renewal | None = None

    @property
    def layer(self) -> str:
        """Its schema, folder and asset group."""
        return self.name.partition(".")[0]

    @property
    def table(self) -> str:
        """Its name within the layer."""
        return self.name.partition(".")[2]

    @property
    def history_table(self) -> str:
        """Where its past rows are kept, if they are."""
        return f"{HISTORY}.{self.layer}_{self.table}"

    @property
    def code_version(self) -> str:
        """Changes when, and only when, the SQL does."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def every_test(self) -> tuple[ModelTest, ...]:
        """The tests of its columns, then those of the whole model."""
        return tuple(test for column in self.columns for test in column.tests) + self.tests

    @property
    def tested_against(self) -> tuple[str, ...]:
        """The tables its relationship tests look into; they should be built before it."""
        return tuple(sorted({str(test.arguments["to"]) for test in self.every_test if test.type == "relationships"}))


def load_models(root: Path) -> dict[str, Model]:
    """Every model under `root`, by name (`hygiene.contact_status`), in the order of their names."""
    contracts: dict[str, tuple[ModelContract, Path]] = {}
    for file in sorted(root.glob("*/models*.yml")):
        for contract in read_contracts(file.read_text(), _shown(file)):
            name = f"{file.parent.name}.{contract.name}"
            if name in contracts:
                raise ContractError(f"{_shown(file)}: {contract.name}: described twice")
            contracts[name] = (contract, file)
    files = {f"{file.parent.name}.{file.stem}": file for file in sorted(root.glob("*/*.sql"))}
    for name in sorted(files.keys() - contracts.keys()):
        raise ContractError(f"{_shown(files[name])}: has no entry in a models.yml beside it")
    for name in sorted(contracts.keys() - files.keys()):
        raise ContractError(f"{_shown(contracts[name][1])}: {contracts[name][0].name}: has no .sql file beside it")
    texts = {name: file.read_text() for name, file in files.items()}
    try:
        facts = read_sql(texts)
    except SqlRefusedError as error:
        raise ContractError(f"{_shown(files[error.name])}: {error}") from None
    models = {name: make_model(files[name], texts[name], contracts[name][0], facts[name]) for name in sorted(files)}
    topological(models)
    return models


def topological(models: Mapping[str, Model], names: Collection[str] | None = None) -> list[str]:
    """`names` (all by default), each after what it follows, directly or through others; ties in order of name."""
    graph = followed(models)
    # Named first, in order, since the sorter keeps the order in which it met a name.
    sorter = TopologicalSorter[str](dict.fromkeys(graph, ()))
    for name, follows in graph.items():
        sorter.add(name, *follows)
    try:
        ordered = list(sorter.static_order())
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise ContractError(f"models read each other in a circle: {circle}") from None
    return [name for name in ordered if names is None or name in names]


def followed(models: Mapping[str, Model]) -> dict[str, list[str]]:
    """The models that each is to be built after: those it reads, and those its tests look into.

    Without the latter the first night would find them missing, and every other one compare with yesterday's. One that
    reads the model itself cannot come before it.
    """
    graph = {name: [read for read in model.dependencies if read in models] for name, model in sorted(models.items())}
    for name, follows in graph.items():
        for looked_into in models[name].tested_against:
            if looked_into in graph and not _leads_to(graph, looked_into, name):
                follows.append(looked_into)
    return graph


def _leads_to(graph: Mapping[str, Collection[str]], start: str, end: str) -> bool:
    """Whether `end` is `start`, or among what it follows."""
    seen, open_ends = set[str](), [start]
    while open_ends:
        name = open_ends.pop()
        if name == end:
            return True
        if name not in seen:
            seen.add(name)
            open_ends.extend(graph[name])
    return False


def external_dependencies(models: Mapping[str, Model]) -> tuple[str, ...]:
    """The tables that models read and no model makes: raw, policy, and what Python makes."""
    return tuple(sorted({read for model in models.values() for read in model.dependencies} - models.keys()))


def make_model(path: Path, sql: str, contract: ModelContract, facts: SqlFacts) -> Model:
    """A model of its file, its text, the words about it and what its SQL says."""
    name = f"{path.parent.name}.{path.stem}"
    if name in facts.reads:
        raise ContractError(f"{_shown(path)}: reads itself; its past is in {HISTORY}.{name.replace('.', '_')}")
    strays = [column for column in contract.config.meta.slice_by if column not in facts.output_names]
    if strays:
        raise ContractError(f"{name}: is sliced by {', '.join(strays)}, which its SQL does not give")
    named: dict[str, int] = {}
    return Model(
        name=name,
        sql=sql,
        path=path,
        description=" ".join(contract.description.split()),
        grain=contract.config.meta.grain,
        slice_by=contract.config.meta.slice_by,
        columns=tuple(
            Column(
                name=column.name,
                description=" ".join(column.description.split()),
                data_type=column.data_type,
                tests=tuple(_test(test, column.name, named) for test in column.data_tests),
            )
            for column in contract.columns
        ),
        tests=_implied(contract) + tuple(_test(test, None, named) for test in contract.data_tests),
        materialized=contract.config.materialized,
        renewal=_renewal(name, contract, facts),
        history=contract.config.meta.history,
        owner=contract.config.meta.owner,
        dependencies=tuple(sorted(read for read in facts.reads if not read.startswith(f"{HISTORY}."))),
        history_reads=tuple(sorted(read for read in facts.reads if read.startswith(f"{HISTORY}."))),
        output_names=facts.output_names,
    )


def _renewal(name: str, contract: ModelContract, facts: SqlFacts) -> Renewal | None:
    asked = contract.config.meta.renewal
    if asked is None:
        return None
    if asked.reads not in facts.reads:
        raise ContractError(f"{name}: is renewed by {asked.reads}, which its SQL does not read")
    if asked.key not in contract.config.meta.grain:
        raise ContractError(f"{name}: is renewed by {asked.key}, which is not in its grain")
    return Renewal(key=asked.key, reads=asked.reads)


def _implied(contract: ModelContract) -> tuple[ModelTest, ...]:
    """The test that every model with a grain has: that it is the grain. A view would be computed just for that."""
    grain = contract.config.meta.grain
    if not grain or contract.config.materialized == "view":
        return ()
    return (
        ModelTest(
            name=GRAIN_TEST,
            type="unique_combination_of_columns",
            column=None,
            arguments={"combination_of_columns": list(grain)},
            severity="error",
            where=None,
        ),
    )


def _test(test: TestContract, column: str | None, named: dict[str, int]) -> ModelTest:
    """A test under a name of its own: type and columns, and a number where that is taken."""
    given = test.arguments
    column = column or given.get("column_name") or given.get("column")
    about = [column] if column else given.get("combination_of_columns") or given.get("column_list") or []
    name = re.sub(r"\W+", "_", "_".join([test.type, *map(str, about)]))
    named[name] = named.get(name, 0) + 1
    return ModelTest(
        name=name if named[name] == 1 else f"{name}_{named[name]}",
        type=test.type,
        column=column,
        arguments={key: value for key, value in given.items() if key not in {"column_name", "column"}},
        severity=test.config.severity,
        where=test.config.where,
    )


def _shown(file: Path) -> str:
    return "/".join(file.parts[-3:])
