"""Data from outside as frozen dataclasses. What is missing, unknown or of another type is refused.

Servers, the supervisor and the engine talk to a process that is started many times a day, so no library for
validation is loaded into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")

_WORDS: dict[object, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    NoneType: "nothing",
}


class Misfit(ValueError):
    """The data is not as the dataclass says. The text names the place."""


def read(kind: type[T], data: object, *, more: bool = False) -> T:
    """`data` as a `kind`. With `more`, keys that it does not have may stand beside its own. Raises Misfit."""
    return kind(**_members(kind, data, more, ""))


def _members(kind: Any, data: object, more: bool, where: str) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise Misfit(f"{where or kind.__name__}: must be a mapping")
    hints = get_type_hints(kind)
    for key in () if more else sorted(map(str, data.keys() - hints.keys())):
        raise Misfit(f"{_at(where, key)}: is not known")
    for field in fields(kind):
        if field.name not in data and field.default is MISSING:
            raise Misfit(f"{_at(where, field.name)}: is missing")
    return {key: _value(hint, data[key], more, _at(where, key)) for key, hint in hints.items() if key in data}


def _value(hint: Any, value: object, more: bool, where: str) -> Any:
    if isinstance(hint, type) and is_dataclass(hint):
        return hint(**_members(hint, value, more, where))
    origin, arguments = get_origin(hint), get_args(hint)
    if NoneType in arguments:
        return None if value is None else _value(arguments[0], value, more, where)
    if origin is Literal:
        if value in arguments:
            return value
        raise Misfit(f"{where}: must be one of {', '.join(arguments)}")
    if origin is tuple:
        return tuple(_value(arguments[0], item, more, _at(where, str(i))) for i, item in _items(value, where))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _value(arguments[1], item, more, _at(where, key)) for key, item in _pairs(value, where)}
    if type(value) is hint or (hint is float and type(value) is int):
        return value
    raise Misfit(f"{where}: must be {_WORDS[hint]}")


def _items(value: object, where: str) -> enumerate[object]:
    if not isinstance(value, list | tuple):
        raise Misfit(f"{where}: must be a list")
    return enumerate(value)


def _pairs(value: object, where: str) -> list[tuple[str, object]]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise Misfit(f"{where}: must be a mapping")
    return list(value.items())


def _at(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
