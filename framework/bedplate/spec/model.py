"""The base of every model of the language, and how to walk models: for messages, the schema, explanations."""

from __future__ import annotations

import types
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

from bedplate.spec.leaf import Leaf

LIST, MAPPING, ONE = "list", "mapping", "one"


class SpecModel(BaseModel):
    """Frozen, and without unknown keys. Models are built when they are first used."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def inner(annotation: object) -> tuple[str, object]:
    """What an annotation holds, optional or not: ("list" | "mapping" | "one", the annotation inside)."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        rest = [part for part in get_args(annotation) if part is not type(None)]
        return inner(rest[0])
    if origin is tuple:
        return LIST, get_args(annotation)[0]
    if origin is dict:
        return MAPPING, get_args(annotation)[1]
    return ONE, annotation


def leaf(field: FieldInfo) -> Leaf | None:
    """The scalar type of a field, if it has one."""
    for item in field.metadata:
        if isinstance(item, Leaf):
            return item
    holds, held = inner(field.annotation)
    return leaf_of(held) if holds == ONE else None


def leaf_of(annotation: object) -> Leaf | None:
    """The scalar type that an annotation names."""
    if get_origin(annotation) is Annotated:
        for item in get_args(annotation)[1:]:
            if isinstance(item, Leaf):
                return item
    return None


def model_of(annotation: object) -> type[BaseModel] | None:
    """The model inside an annotation, if there is one."""
    held = inner(annotation)[1]
    return held if isinstance(held, type) and issubclass(held, BaseModel) else None


def model_at(model: type[BaseModel] | None, path: tuple[str | int, ...]) -> type[BaseModel] | None:
    """The model that stands at `path` below `model`."""
    held: object = model
    for key in path:
        holds, inside = inner(held)
        if holds != ONE:
            held = inside
            continue
        found = model_of(held)
        field = found.model_fields.get(str(key)) if found else None
        if field is None:
            return None
        held = field.annotation
    return model_of(held)
