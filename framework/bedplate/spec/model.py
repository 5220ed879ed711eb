"""The base of every model of the language, and how to walk models: for messages, the schema, explanations."""

from __future__ import annotations

import sys
import types
from contextvars import ContextVar
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, core_schema

from bedplate.spec.leaf import Leaf

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

LIST, MAPPING, ONE = "list", "mapping", "one"
FIRST_VERSION = "0.1"
LACKING = "lacking"
"""The type of the error that says that none of several fields is there."""


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

    ONE_OF: ClassVar[tuple[str, ...]] = ()
    """Fields of which exactly one is said."""
    NOT_BOTH: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Fields of which one excludes the other."""

    @model_validator(mode="after")
    def _alternatives(self) -> Self:
        said = [name for name in self.ONE_OF if name in self.model_fields_set]
        if self.ONE_OF and not said:
            context = {"code": "BP028", "message": f"say one of {', '.join(self.ONE_OF)}"}
            raise PydanticCustomError(LACKING, "{message}", context)
        for one, other in (*self.NOT_BOTH, *pairwise(said)):
            if {one, other} <= self.model_fields_set:
                message = f"{one} and {other} cannot both be said"
                context = {"code": "BP029", "message": message, "help": "keep one", "key": other}
                raise PydanticCustomError("bedplate", "{message}", context)
        return self

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


def required(description: str, example: str, *, since: str = FIRST_VERSION) -> Any:
    """A field that must be written. `example` is YAML, as a person would write the value."""
    return Field(description=description, examples=[example], json_schema_extra={"since": since})


def optional(
    default: object, description: str, example: str, *, absent: str = "", since: str = FIRST_VERSION
) -> Any:
    """A field that may be left out. `absent` says what holds then, where the default does not say it."""
    extra: Any = {"since": since, "absent": absent}
    return Field(default, description=description, examples=[example], json_schema_extra=extra)


def part(
    model: type[BaseModel], description: str, example: str, *, absent: str = "", since: str = FIRST_VERSION
) -> Any:
    """A mapping that may be left out: then it is an empty `model`, the same one wherever it is left out."""
    extra: Any = {"since": since, "absent": absent}
    return Field(
        default_factory=cache(model.model_construct),
        description=description,
        examples=[example],
        json_schema_extra=extra,
    )


def told(field: FieldInfo, key: str) -> str:
    """What a field says of itself beyond its description: `since` or `absent`."""
    extra = field.json_schema_extra
    return str(extra.get(key, "")) if isinstance(extra, dict) else ""


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


def key_of(annotation: object) -> Leaf | None:
    """The scalar type of a mapping's keys."""
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(part for part in get_args(annotation) if part is not type(None))
    return leaf_of(get_args(annotation)[0]) if get_origin(annotation) is dict else None


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
