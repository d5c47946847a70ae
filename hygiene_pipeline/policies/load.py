"""Reads the shipped policies and lays a practice's overrides over them. Mappings merge by key, lists are replaced."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hygiene_pipeline.policies.models import Policies


@cache
def _shipped() -> dict[str, object]:
    folder = Path(__file__).parent
    return {
        name: yaml.load((folder / f"{name}.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        for name in Policies.model_fields
    }


def merged(overrides: Mapping[str, object]) -> dict[str, object]:
    """The shipped values with `overrides` laid over them, not yet checked."""
    return _lay_over(_shipped(), overrides)


def load_policies(overrides: Mapping[str, object] | None = None) -> Policies:
    """The checked policies; raises pydantic's ValidationError with the offending keys."""
    return Policies.model_validate(merged(overrides or {}))


def _lay_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = _lay_over(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return result
