"""Great Expectations on a frame: any expectation by its snake-case name, and what it found as counts and keys.

It is imported on first use, which takes seconds. Whatever it says about values stays inside this module.
"""

import importlib.util
import re
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hygiene_pipeline import collector
from hygiene_pipeline.model_history import Types
from hygiene_pipeline.model_tests import KEPT_KEYS, Tested, TestResult
from hygiene_pipeline.sql_models import ModelTest

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.core.batch_definition import BatchDefinition
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.expectations.expectation import Expectation

KEY: Final = "row key"
"""The column of a frame that tells its rows apart."""
_LIBRARY: Final = "great_expectations"
_RESULT_FORMAT: Final = {
    "result_format": "COMPLETE",
    "unexpected_index_column_names": [KEY],
    # Without this the lists of failing rows carry the failing values beside the keys.
    "exclude_unexpected_values": True,
    "return_unexpected_index_query": False,
}
_RAISED = re.compile(r"^(?:\w+\.)*(\w+(?:Error|Exception))\b", re.MULTILINE)


def is_loaded() -> bool:
    """Whether this process has the library already."""
    return _LIBRARY in sys.modules


def load() -> None:
    """Import the library, which takes seconds, and make it ready for frames."""
    _batch_definition()


def validated(model: str, tests: Sequence[ModelTest], frame: "pd.DataFrame", types: Types) -> Tested:
    """What the `expect_*` tests of a model find in a frame with a column `KEY` and those that the tests speak of."""
    place = _batch_definition()
    import great_expectations as gx
    from great_expectations.validator.v1_validator import Validator

    # As `Batch.validate` does, which makes the batch a second time: for each it hashes every value of the frame.
    validator = Validator(place, _RESULT_FORMAT, {"dataframe": frame})
    suite = gx.ExpectationSuite(name=model)
    unusable: dict[str, str] = {}
    for test in tests:
        try:
            suite.add_expectation(_expectation(test, types))
        except LookupError as error:
            unusable[test.name] = str(error.args[0])
        except (TypeError, ValueError):
            unusable[test.name] = "its arguments are not what the expectation takes"
    with warnings.catch_warnings():
        # The library compares times of a zone in a way that pandas will change.
        warnings.simplefilter("ignore", DeprecationWarning)
        outcome = validator.validate_expectation_suite(suite)
    # They come in no fixed order.
    found = {result.expectation_config.meta["test"]: result for result in outcome.results}
    tested = Tested(results=(), keys={})
    for test in tests:
        if test.name in found:
            tested += _read(model, test, found[test.name], len(frame))
        else:
            tested += all_unknown(model, [test], unusable.get(test.name, "is the same as another test"))
    return tested


def _defer(package: str, name: str) -> None:
    """Let a module be read when something in it is first used; what imports it from its package sees no difference.

    Great Expectations imports scipy.stats for a few expectations about distributions: a third of what it takes to load.
    """
    # In this order: to ask for the spec of a module that is deferred already is a use of it.
    full = f"{package}.{name}"
    if full in sys.modules or not (spec := importlib.util.find_spec(full)) or not spec.loader:
        return
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[full] = module
    spec.loader.exec_module(module)
    setattr(sys.modules[package], name, module)


def _expectation(test: ModelTest, types: Types) -> "Expectation":
    """The expectation with its arguments; LookupError if there is none of that name, or not its column."""
    import great_expectations.expectations as library

    spelt = {name.lower(): name for name in dir(library) if name.startswith("Expect")}
    name = spelt.get(test.type.replace("_", ""))
    if name is None:
        raise LookupError("no such expectation")
    arguments = {**test.arguments}
    if test.column:
        if test.column not in types:
            raise LookupError(f"no column {test.column}")
        arguments["column"] = test.column
        arguments = {name: _comparable(value, types[test.column]) for name, value in arguments.items()}
    severity = "critical" if test.blocking else "warning"
    return getattr(library, name)(**arguments, severity=severity, meta={"test": test.name})


def _comparable(value: object, kind: str) -> object:
    """A day or time of the models file as the frame's column holds it; anything else as it is."""
    if not kind.startswith(("DATE", "TIMESTAMP")) or not isinstance(value, str | date):
        return value
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return value
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return zoned.astimezone(UTC) if kind == "TIMESTAMP WITH TIME ZONE" else moment.replace(tzinfo=None)


def _read(model: str, test: ModelTest, result: "ExpectationValidationResult", rows: int) -> Tested:
    """One result: a crash is an error, not a failure; `mostly` may pass with failing rows."""
    if crash := _crash(result.exception_info):
        return all_unknown(model, [test], crash)
    found: Mapping[str, object] = result.result
    passed = bool(result.success)
    read = TestResult(
        test=test.name,
        model=model,
        severity=test.severity,
        passed=passed,
        checked=_count(found.get("element_count"), rows),
        failing=_count(found.get("unexpected_count"), 0),
    )
    keys = sorted(_keys(found.get("unexpected_index_list")))[:KEPT_KEYS]
    return Tested(results=(read,), keys={test.name: tuple(keys)} if keys and not passed else {})


def _crash(info: Mapping[str, object]) -> str | None:
    """`crashed (TypeError)` if the expectation did: its information is then keyed by metric. Never its message."""
    nested: list[Mapping[str, object]] = [part for part in info.values() if isinstance(part, dict)]
    for part in nested or [info]:
        if part.get("raised_exception"):
            raised = _RAISED.findall(str(part.get("exception_traceback")))
            # The first is the cause; the library wraps it in errors of its own.
            return f"crashed ({raised[0]})" if raised else "crashed"
    return None


def _keys(index: object) -> set[str]:
    """The keys of an index list, whose parts are one row (`{key: 'a'}`) or a column of rows (`{key: ['a', 'b']}`)."""
    keys: set[str] = set()
    for part in index if isinstance(index, list) else []:
        found = part.get(KEY, []) if isinstance(part, dict) else []
        keys.update([found] if isinstance(found, str) else map(str, found))
    return keys


def _count(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise


def all_unknown(model: str, tests: Iterable[ModelTest], error: str) -> Tested:
    """Tests that could not be run, for this reason."""
    results = (
        TestResult(test=test.name, model=model, severity=test.severity, passed=False, checked=0, failing=0, error=error)
        for test in tests
    )
    return Tested(results=tuple(results), keys={})


@lru_cache(maxsize=1)
def _batch_definition() -> "BatchDefinition":
    """One context in memory a process, silent, with a place to hand frames in."""
    _defer("scipy", "stats")
    with collector.paused():
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return (
        context.data_sources.add_pandas("models")
        .add_dataframe_asset("model")
        .add_batch_definition_whole_dataframe("all")
    )
