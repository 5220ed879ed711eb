"""The base of every model of the language, and how to walk models: for messages, the schema, explanations."""

from __future__ import annotations

import sys
import types
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo
from pydantic_core import core_schema

from bedplate.spec.leaf import Leaf

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

LIST, MAPPING, ONE = "list", "mapping", "one"


# pydantic asks every installed package for plugins, which takes longer than reading a spec does. What a spec
# means is the language's to say: there are none.
_no_plugins = types.ModuleType("pydantic.plugin._loader")
_no_plugins.__dict__["get_plugins"] = tuple
sys.modules.setdefault(_no_plugins.__name__, _no_plugins)

_building: ContextVar[bool] = ContextVar("building", default=False)


class SpecModel(BaseModel):
    """Frozen, and without unknown keys.

    A model is built when a spec first holds one, also one that stands inside another: a spec uses a small
    part of the language, and building all of it takes longer than reading the spec.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        if _building.get():
            return core_schema.with_info_plain_validator_function(cls._read)
        token = _building.set(True)
        try:
            return handler(source)
        finally:
            _building.reset(token)

    @classmethod
    def _read(cls, value: object, info: core_schema.ValidationInfo[object]) -> Self:
        """Errors keep their places: pydantic puts those of an inner validation under the outer one's."""
        return cls.model_validate(value, context=info.context)


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
