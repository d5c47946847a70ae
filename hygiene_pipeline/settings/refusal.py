"""Why a practice file is refused, in one line: the key as the user wrote it, what is wrong, what is allowed."""

from typing import Any, TypeGuard

from pydantic import BaseModel

_Place = tuple[str | int, ...]


def problem(model: type[BaseModel], error: dict[str, Any]) -> str:
    """The line for one of pydantic's errors about a file that `model` describes."""
    place: _Place = error["loc"]
    key = ".".join(str(part) for part in _without_kinds(model, place)) or "file"
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return f"{key}: is not a known key; allowed: {', '.join(_known_keys(model, place))}"
        case "missing":
            return f"{key}: is missing"
        case "literal_error":
            return f"{key}: {error['input']!r} is not allowed; allowed: {context['expected']}"
        case "union_tag_not_found":
            return f"{key}.kind: is missing"
        case "union_tag_invalid":
            return f"{key}.kind: {context['tag']!r} is not allowed; allowed: {context['expected_tags']}"
    return f"{key}: {error['msg'].removeprefix('Value error, ')}"


def _without_kinds(model: type[BaseModel], place: _Place) -> list[str | int]:
    """A place as the user wrote it: pydantic names the chosen kind of a part between the part and its key."""
    found: object = model
    written: list[str | int] = []
    for part in place:
        chosen = _of_kind(found, part)
        if chosen is None:
            written.append(part)
        found = chosen or _below(found, part)
    return written


def _known_keys(model: type[BaseModel], place: _Place) -> list[str]:
    """The keys allowed beside the offending one, found by walking the models along its place."""
    found: object = model
    for part in place[:-1]:
        found = _of_kind(found, part) or _below(found, part)
    if not _is_model(found):
        return ["see the README"]
    return [field.alias or name for name, field in found.model_fields.items()]


def _is_model(annotation: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _of_kind(annotation: object, kind: str | int) -> type[BaseModel] | None:
    """The member of a union of parts whose `kind` this is."""
    members: tuple[object, ...] = getattr(annotation, "__args__", ())
    for member in filter(_is_model, members):
        field = member.model_fields.get("kind")
        if field is not None and kind in getattr(field.annotation, "__args__", ()):
            return member
    return None


def _below(annotation: object, part: str | int) -> object:
    """What lies at a key or an index below a model, a list or a mapping."""
    if _is_model(annotation):
        field = annotation.model_fields.get(str(part))
        return field.annotation if field else None
    inner = getattr(annotation, "__args__", (None,))
    models = [each for each in inner if _is_model(each)]
    return models[-1] if models else inner[-1]
