"""Data in somebody else's language, such as a patch in Kubernetes' words: read by YAML 1.2's own rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, TypeAlias

from pydantic_core import PydanticCustomError

from bedplate.graph import LARGEST_EXACT, Json
from bedplate.spec.leaf import Leaf, Resolver, Schema, refuse, shown
from bedplate.spec.tree import Scalar
from bedplate.spec.types import Text

Path: TypeAlias = "tuple[str | int, ...]"

_INTEGER = r"[-+]?[0-9]{1,15}"
_FLOAT = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,2})?"
_NOT_CARRIED = r"[-+]?(\.inf|\.Inf|\.INF|[0-9]{16,})|\.nan|\.NaN|\.NAN|0o[0-7]+|0x[0-9a-fA-F]+"


@dataclass(frozen=True)
class Raw(Leaf):
    """A mapping of anything: texts, numbers, booleans, lists, mappings."""

    noun = "a mapping in Kubernetes' words"
    rule = "Of anything but null: texts, numbers, true and false, lists, mappings, as YAML 1.2 reads them."

    def read(self, value: object, references: Resolver | None) -> Mapping[str, Json]:
        if not isinstance(value, dict):
            refuse("BP022", f"expected {self.noun}")
        return {key: _data(item, references, (_key(key, ()),)) for key, item in value.items()}

    def schema(self) -> Schema:
        return {"type": "object"}


def _data(value: object, references: Resolver | None, path: Path) -> Json:
    """What stands at `path` of the mapping."""
    if isinstance(value, dict):
        return {key: _data(item, references, (*path, _key(key, path))) for key, item in value.items()}
    if isinstance(value, list):
        return [_data(item, references, (*path, index)) for index, item in enumerate(value)]
    if not isinstance(value, Scalar):
        raise TypeError(type(value))
    if value.is_null:
        refuse("BP026", "a patch cannot hold a null", "write what shall stand there instead", below=path)
    if not value.plain:
        return _text(value, references, path)
    if value.text in ("true", "false"):
        return value.text == "true"
    if re.fullmatch(_INTEGER, value.text):
        return int(value.text)
    number = re.fullmatch(_FLOAT, value.text)
    if re.fullmatch(_NOT_CARRIED, value.text) or (number and abs(Decimal(value.text)) > LARGEST_EXACT):
        problem = f"the number {shown(value)} cannot be carried exactly"
        refuse("BP023", problem, "quote it if it is a text", below=path)
    if number:
        return float(Decimal(value.text))
    return _text(value, references, path)


def _text(scalar: Scalar, references: Resolver | None, path: Path) -> str:
    try:
        return Text().parse(scalar, references)
    except PydanticCustomError as error:
        raise PydanticCustomError("bedplate", "{message}", {**(error.context or {}), "below": path}) from None


def _key(key: str, path: Path) -> str:
    """The graph's own words begin with $, and nothing else does."""
    if key.startswith("$") or not key.isprintable():
        hint = "no field of Kubernetes begins with $, or holds a control character"
        refuse("BP023", f"{key[:60]} cannot be a key of a patch", hint, below=path, key=key)
    return key


RawValue = Annotated[Mapping[str, object], Raw()]
