"""Which file and line each value of an environment comes from, and what it beat there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bedplate.sections import SECTIONS
from bedplate.spec.environments import NOT_INHERITED, ROOT, Layer
from bedplate.spec.layers import BASE, DEFAULTS
from bedplate.spec.overlay import rivals
from bedplate.spec.tree import Map, Node, Place, Scalar, at, is_null

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What one layer says at an address. `text` None: that there is none. `place` None: it is built in."""

    layer: str
    text: str | None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """A value at `path` and the layer that decides it; None where nothing is left. `beat`: the nearest first."""

    path: Path
    decided: Said
    beat: tuple[Said, ...] = field(default=())


def origins(tree: Map, layers: Sequence[Layer], path: Path, environment: str) -> list[Origin]:
    """Every value at and below `path`. `tree` is the environment's own, `layers` what it was made of."""
    head = path[0]
    if head in SECTIONS:
        entries = tree.items.get(head)
        names = path[1:2] or tuple(entries.items if isinstance(entries, Map) else ())
        return [o for name in names for o in _of_entry(tree, layers, (head, name), path[2:])]
    sources = list(_frame_sources(tree, path, environment))
    found = [_origin(path, below, sources) for below in _written(sources)]
    return [origin for origin in found if origin.decided.text is not None]


def _of_entry(tree: Map, layers: Sequence[Layer], entry: Path, rest: Path) -> Iterator[Origin]:
    merged = at(tree, entry)
    if merged is None:
        return
    sources = list(_entry_sources(layers, entry))
    for below in _written(sources):
        if below[: len(rest)] == rest:
            yield _origin(entry, below, sources, merged)


def _written(sources: Sequence[tuple[str, Node | None]]) -> list[Path]:
    """The addresses of all that is no mapping in any source."""
    written = dict.fromkeys(path for _, node in sources if node is not None for path in _leaves(node))
    above = {path[:depth] for path in written for depth in range(len(path))}
    return [path for path in written if path not in above]


def text_of(node: Node) -> str:
    """A node as it would be written in one line."""
    if isinstance(node, Scalar):
        return node.text if node.plain else json.dumps(node.text, ensure_ascii=False)
    if isinstance(node, Map):
        return "{" + ", ".join(f"{key}: {text_of(value)}" for key, value in node.items.items()) + "}"
    return "[" + ", ".join(map(text_of, node.items)) + "]"


def _origin(
    path: Path, below: Path, sources: Sequence[tuple[str, Node | None]], merged: Node | None = None
) -> Origin:
    said = [found for layer, node in sources if (found := _said(layer, node, below)) is not None]
    winner = at(merged, below) if merged is not None else None
    if winner is not None:
        said.sort(key=lambda s: s.place is not winner.place)
    elif merged is not None and said[0].text is not None:
        said.insert(0, _instead(merged, below))
    return Origin((*path, *below), said[0], tuple(said[1:]))


def _instead(merged: Node, below: Path) -> Said:
    """Why a value that is written does not hold, though nobody took it away."""
    beside = at(merged, below[:-1])
    for rival in rivals(below[-1]):
        if isinstance(beside, Map) and rival in beside.items:
            return Said(f"{rival} is said instead", None, beside.keys[rival])
    return Said("what it is a part of was replaced", None)


def _said(layer: str, node: Node | None, below: Path) -> Said | None:
    """What a layer says at an address, also by taking away a mapping that it would be in."""
    for depth in range(len(below) + 1):
        found = at(node, below[:depth]) if node is not None else None
        if found is None:
            return None
        if is_null(found):
            return Said(layer, None, found.place)
        if depth == len(below):
            return Said(layer, text_of(found), found.place)
    return None


def _leaves(node: Node, above: Path = ()) -> Iterator[Path]:
    """The addresses of all that is no mapping; a list is one value."""
    if isinstance(node, Map) and node.items:
        for key, value in node.items.items():
            yield from _leaves(value, (*above, key))
    else:
        yield above


def _entry_sources(layers: Sequence[Layer], entry: Path) -> Iterator[tuple[str, Node | None]]:
    """What each layer has of an entry, the one that counts most first."""
    for layer in reversed(layers):
        yield layer.what, at(layer.tree, entry)
    for layer in reversed(layers):
        where = DEFAULTS if layer.what == BASE else f"{DEFAULTS} in {layer.what}"
        yield where, at(layer.tree, (DEFAULTS, entry[0]))


def _frame_sources(tree: Map, path: Path, environment: str) -> Iterator[tuple[str, Node | None]]:
    """The same for what is no section: an environment's settings, a variable's value, the rest."""
    head, *rest = path
    if head == ROOT and rest:
        for link in _chain(tree, rest[0]):
            if link == rest[0] or rest[1:2] not in ([own] for own in NOT_INHERITED):
                node = at(tree, (ROOT, link, *rest[1:]))
                yield f"environment {link}", node if link == rest[0] else _inherited(node, whole=not rest[1:])
    elif head == "variables" and rest:
        for link in _chain(tree, environment):
            yield f"environment {link}", at(tree, (ROOT, link, *path))
        yield BASE, at(tree, (*path, "default"))
    else:
        yield BASE, at(tree, path)


def _inherited(node: Node | None, *, whole: bool) -> Node | None:
    if not whole or not isinstance(node, Map):
        return node
    return replace(node, items={k: v for k, v in node.items.items() if k not in NOT_INHERITED})


def _chain(tree: Map, environment: str) -> Iterator[str]:
    """The environment and what it extends."""
    seen: Mapping[str, None] = {}
    name: str | None = environment
    while name is not None and name not in seen:
        seen = {**seen, name: None}
        yield name
        parent = at(tree, (ROOT, name, "extends"))
        name = parent.text if isinstance(parent, Scalar) else None
