"""Nulls in overrides: what they take away must be something that could be there, or a slip would do nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pydantic import BaseModel

from bedplate.diagnostics import Diagnostic
from bedplate.spec.grammar import IGNORED, Path, unknown_key
from bedplate.spec.model import MAPPING, ONE, inner
from bedplate.spec.tree import Map, Node, is_null


def of_entries(
    model: type[BaseModel], node: Node | None, path: Path, known: Iterable[str]
) -> Iterator[Diagnostic]:
    """Of a section in an override: entries that nobody has written, and what is wrong within the others."""
    written = frozenset(known)
    for name, entry, where in _keys(node, path):
        if not is_null(entry):
            yield from of_fields(model, entry, where)
        elif name not in written and isinstance(node, Map):
            yield unknown_key(name, where, node.keys[name], written)


def of_fields(model: type[BaseModel], node: Node | None, path: Path) -> Iterator[Diagnostic]:
    """Of a mapping with the fields of a model."""
    fields = model.model_fields
    for name, value, where in _keys(node, path):
        if name not in fields:
            if is_null(value) and isinstance(node, Map):
                yield unknown_key(name, where, node.keys[name], fields)
            continue
        holds, held = inner(fields[name].annotation)
        if not isinstance(held, type) or not issubclass(held, BaseModel):
            continue
        if holds == ONE:
            yield from of_fields(held, value, where)
        elif holds == MAPPING:
            for _, item, place in _keys(value, where):
                yield from of_fields(held, item, place)


def _keys(node: Node | None, path: Path) -> Iterator[tuple[str, Node, Path]]:
    items: Mapping[str, Node] = node.items if isinstance(node, Map) else {}
    for name, value in items.items():
        if not name.startswith(IGNORED):
            yield name, value, (*path, name)
