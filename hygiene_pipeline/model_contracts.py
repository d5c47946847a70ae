"""What a models*.yml promises about its models, in dbt's own syntax, checked by pydantic.

Words, grain, columns and tests only: what a model reads comes from its SQL, never from here.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

Severity = Literal["error", "warn"]

ARGUMENTS: Final[Mapping[str, frozenset[str]]] = {
    "not_null": frozenset(),
    "unique": frozenset(),
    "accepted_values": frozenset({"values"}),
    "relationships": frozenset({"to", "field"}),
    "unique_combination_of_columns": frozenset({"combination_of_columns"}),
}
"""The tests that run as SQL, with the arguments each one needs."""

SLICES: Final = (
    ("contact_id",),
    ("ehr_patient_id",),
    ("patient_id",),
    ("pm_patient_id",),
    ("source", "source_id"),
    ("phone",),
    ("digits",),
)
"""Whose a row may be: a contact's, a patient's in one of the systems or as identity knows them, a source record's.

Or a telephone number's, whoever has it: such a row is made of everybody who does.
"""

EXPECTATION: Final = "expect_"
"""A test whose name starts so is a Great Expectations expectation."""


class ContractError(ValueError):
    """A models file or a model that cannot be used; one line, with no data in it."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TestConfig(_Strict):
    """How a test counts, and on which rows."""

    __test__ = False
    severity: Severity = "error"
    where: str | None = None


class TestContract(_Strict):
    """One data test: its type, its arguments, and whether it blocks (`severity: error`) or warns."""

    __test__ = False
    type: str
    arguments: Mapping[str, Any] = Field(default_factory=dict)
    config: TestConfig = TestConfig()


class ColumnContract(_Strict):
    """A column's name, words and tests; `data_type` only where the SQL alone cannot tell it."""

    name: str
    description: str = ""
    data_type: str | None = None
    data_tests: tuple[TestContract, ...] = ()

    @field_validator("data_tests", mode="before")
    @classmethod
    def _spelt_out(cls, tests: object) -> object:
        return [_spelt_out(test, on_column=True) for test in tests] if isinstance(tests, list) else tests


class RenewalContract(_Strict):
    """The column by which a large table is renewed in parts, and the view whose rows tell which parts changed."""

    key: str
    reads: str


class Meta(_Strict):
    """The grain (key columns), whether past rows are kept, and who answers for the model.

    `slice_by` names whose row a row is, by columns that all tables spell alike: an event run renews the rows of those
    whom the event touches, and reads no others. A model without it is built whole.
    """

    grain: tuple[str, ...] = ()
    slice_by: tuple[str, ...] = ()
    renewal: RenewalContract | None = None
    history: bool = False
    owner: str | None = None

    @field_validator("slice_by")
    @classmethod
    def _known_slice(cls, slice_by: tuple[str, ...]) -> tuple[str, ...]:
        if slice_by and slice_by not in SLICES:
            raise ValueError(f"is one of {', '.join(' + '.join(each) for each in SLICES)}")
        return slice_by


class Config(_Strict):
    """`table` is rebuilt whole; `incremental` replaces the rows of its own `as_of` and keeps the rest.

    A `view` holds no rows: for what one other model reads once. Its grain is words, tested only if a test says so.
    """

    materialized: Literal["table", "incremental", "view"] = "table"
    meta: Meta = Meta()


class ModelContract(_Strict):
    """One model of a models file."""

    name: str
    description: str
    config: Config = Config()
    columns: tuple[ColumnContract, ...] = ()
    data_tests: tuple[TestContract, ...] = ()

    @field_validator("data_tests", mode="before")
    @classmethod
    def _spelt_out(cls, tests: object) -> object:
        return [_spelt_out(test, on_column=False) for test in tests] if isinstance(tests, list) else tests


class _File(_Strict):
    version: Literal[2]
    models: tuple[ModelContract, ...] = ()


@lru_cache(maxsize=64)
def read_contracts(text: str, file: str) -> tuple[ModelContract, ...]:
    """The models of one file's text; an error names `file` and the place in it."""
    try:
        content = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise ContractError(f"{file}{line}: not YAML: {getattr(error, 'problem', None) or 'cannot be read'}") from None
    try:
        return _File.model_validate(content).models
    except ValidationError as error:
        raise ContractError(f"{file}: {_first(error, content)}") from None


def _first(error: ValidationError, content: object) -> str:
    """The first fault in a few words: where it is, by the names of model and column, and what is wrong."""
    fault = error.errors(include_url=False, include_input=False)[0]
    words = {"extra_forbidden": "unknown key", "missing": "is missing"}
    place: list[str] = []
    here: Any = content
    for step in fault["loc"]:
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            here = None
        named = here.get("name") if isinstance(step, int) and isinstance(here, dict) else None
        place.append(str(named if named is not None else step))
    return f"{'.'.join(place)}: {words.get(fault['type'], fault['msg'].removeprefix('Value error, '))}"


def _spelt_out(test: object, *, on_column: bool) -> dict[str, Any]:
    """`not_null` and `{accepted_values: {arguments: …, config: …}}` in one shape, with known arguments only."""
    named: object = {test: None} if isinstance(test, str) else test
    if not isinstance(named, dict) or len(named) != 1:
        raise ValueError("a test is a name, or one name with its arguments")
    name, body = next(iter(named.items()))
    body = {} if body is None else body
    if not isinstance(body, dict) or not body.keys() <= {"arguments", "config"}:
        raise ValueError(f"test {name}: takes only the keys arguments and config")
    arguments = body.get("arguments") or {}
    _check_arguments(str(name), frozenset(arguments), on_column=on_column)
    return {"type": name, "arguments": arguments, "config": body.get("config") or {}}


def _check_arguments(name: str, given: frozenset[str], *, on_column: bool) -> None:
    if name.startswith(EXPECTATION):
        return
    if name not in ARGUMENTS:
        raise ValueError(f"unknown test {name}; known are {', '.join(ARGUMENTS)} and expect_*")
    if name == "unique_combination_of_columns" and on_column:
        raise ValueError("test unique_combination_of_columns belongs to the model, not to a column")
    of_column = name != "unique_combination_of_columns" and not on_column
    needed = ARGUMENTS[name] | ({"column_name"} if of_column else set())
    if given != needed:
        raise ValueError(f"test {name} takes the arguments {', '.join(sorted(needed)) or 'none'}")
