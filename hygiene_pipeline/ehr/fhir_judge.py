"""The strict judge of FHIR R4 resources: `fhir.resources` R4B, made as strict as the specification.

It says where a resource breaks the rules and how, never with which value. It judges one resource at a time and slowly;
what to do about a fault is the caller's decision.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from hygiene_pipeline.ehr import fhir_codes as codes

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_FIELD_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}")
_WRONG_TYPE = re.compile(
    r"(list|dict|model|string|bool|int|float|decimal|is_instance|model_attributes)_(type|parsing|of)"
)
# The library ends a list of codes with a plus sign where it does not know the rest of them.
_OPEN_LIST = "+"
_OPEN_CODES: Mapping[tuple[str, str], frozenset[str]] = {
    ("Encounter", "status"): codes.ENCOUNTER,
    ("Observation", "status"): codes.OBSERVATION,
}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Where a resource is wrong (`telecom.system`, without indexes) and how (a reason code)."""

    field: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class _Rule:
    attribute: str
    kind: str
    codes: frozenset[str]


def is_resource_type(name: str) -> bool:
    """Whether FHIR R4 knows a resource of this type; a data type such as `HumanName` is none."""
    model = _model(name)
    return model is not None and any(base.__name__ == "Resource" for base in model.__mro__[1:])


def judge(resource: Mapping[str, Any]) -> Fault | None:
    """The first fault of a resource, or none."""
    name = resource.get("resourceType")
    if name is None:
        return Fault(field="resourceType", reason="missing_resource_type")
    model = _model(name) if isinstance(name, str) and is_resource_type(name) else None
    if model is None:
        return Fault(field="resourceType", reason="unknown_resource_type")
    try:
        instance = model.model_validate(dict(resource))
    except ValidationError as error:
        return _fault_of(error)
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        return Fault(field="", reason="fails_fhir")
    return next(_too_lenient(instance, resource, ()), None)


@cache
def _model(name: str) -> type[BaseModel] | None:
    try:
        found: type[BaseModel] = get_fhir_model_class(name)
    except (LookupError, ValueError, ImportError, AttributeError):
        return None
    return found


def _fault_of(error: ValidationError) -> Fault:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    path = [part for part in first["loc"] if isinstance(part, str) and _FIELD_NAME.fullmatch(part)]
    return Fault(field=".".join(path), reason=_reason(first["type"], first["msg"]))


def _reason(kind: str, message: str) -> str:
    """The library's many names of a fault as one of ours."""
    if _WRONG_TYPE.match(kind):
        return "wrong_type"
    if kind.startswith(("date", "time")) or (kind == "value_error" and "does not match spec" in message):
        return "invalid_date"
    if kind == "value_error" and re.search(r"\b(date|instant|datetime)\b", message.split(" value")[0], re.IGNORECASE):
        return "invalid_date"
    return "missing_field" if kind == "missing" else "fails_fhir"


def _too_lenient(instance: object, raw: object, path: tuple[str, ...]) -> Iterator[Fault]:
    """What the library lets pass: "true" for a boolean, numbers for text, ids of any length, codes of no list."""
    if isinstance(raw, list) and isinstance(instance, list):
        for part, raw_part in zip(instance, raw, strict=False):
            yield from _too_lenient(part, raw_part, path)
    elif isinstance(raw, Mapping) and isinstance(instance, BaseModel):
        rules = _rules(type(instance))
        for name, value in raw.items():
            rule = rules.get(name)
            if rule is None or value is None:
                continue
            here = (*path, name)
            if rule.kind == "nested":
                yield from _too_lenient(getattr(instance, rule.attribute), value, here)
            else:
                yield from (
                    Fault(field=".".join(here), reason=reason)
                    for item in (value if isinstance(value, list) else [value])
                    if (reason := _broken(rule, item)) is not None
                )


def _broken(rule: _Rule, value: object) -> str | None:
    expected: dict[str, type | tuple[type, ...]] = {"boolean": bool, "integer": int, "decimal": (int, float)}
    is_number_for_boolean = rule.kind in ("integer", "decimal") and isinstance(value, bool)
    if value is None:
        return None
    if not isinstance(value, expected.get(rule.kind, str)) or is_number_for_boolean:
        return "wrong_type"
    if rule.kind == "id" and not _ID.fullmatch(str(value)):
        return "invalid_id"
    return "unknown_code" if rule.codes and value not in rule.codes else None


@cache
def _rules(model: type[BaseModel]) -> Mapping[str, _Rule]:
    return {
        field.alias or name: _Rule(
            attribute=name, kind=_kind(str(field.annotation)), codes=_codes(model.__name__, name, field)
        )
        for name, field in model.model_fields.items()
        if not name.endswith("__ext") and name != "resource_type"
    }


def _kind(annotation: str) -> str:
    """What JSON must hold, read from how the library spells the field's type."""
    for sign, kind in (("bool", "boolean"), ("Decimal", "decimal"), ("Id()", "id")):
        if sign in annotation:
            return kind
    if re.search(r"\b(Integer|UnsignedInt|PositiveInt)", annotation):
        return "integer"
    return "text" if "Annotated" in annotation else "nested"


def _codes(model: str, name: str, field: FieldInfo) -> frozenset[str]:
    extra = field.json_schema_extra
    values = extra.get("enum_values") if isinstance(extra, dict) else None
    if not isinstance(values, list | tuple) or _OPEN_LIST in values:
        return _OPEN_CODES.get((model, name), frozenset())
    return frozenset(str(value) for value in values)
