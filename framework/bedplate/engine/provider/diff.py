"""What differs between two sets of inputs, as property paths in Pulumi's notation (`models[0].version`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from bedplate.engine.provider.wire import Decoded, Secret

_SIMPLE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
Change = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One place that differs; `key` is the property that it lies in."""

    key: str
    path: str
    change: Change


def differences(old: Mapping[str, Decoded], new: Mapping[str, Decoded]) -> Iterator[Difference]:
    """Every place that differs, in the order of the keys. An unknown differs from everything."""
    for key in sorted(old.keys() | new.keys()):
        for path, change in _walk(_key("", key), old.get(key), new.get(key)):
            yield Difference(key, path, change)


def _walk(path: str, old: Decoded | None, new: Decoded | None) -> Iterator[tuple[str, Change]]:
    old, new = _uncovered(old), _uncovered(new)
    if old is None or new is None:
        if old is not new:
            yield path, "removed" if new is None else "added"
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _walk(_key(path, key), old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from _walk(f"{path}[{index}]", _item(old, index), _item(new, index))
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield path, "changed"


def _uncovered(value: Decoded | None) -> Decoded | None:
    return _uncovered(value.value) if isinstance(value, Secret) else value


def _item(items: list[Decoded], index: int) -> Decoded | None:
    return items[index] if index < len(items) else None


def _key(path: str, key: str) -> str:
    if not _SIMPLE_KEY.fullmatch(key):
        return f"{path}[{json.dumps(key, ensure_ascii=False)}]"
    return f"{path}.{key}" if path else key
