"""The located tree: what YAML's text says and where, before anything has a type.

A Scalar keeps its text as written: what it is (text, a number, a duration) is for the field of the
language to say that takes it, never for YAML. Nodes are shared where the text uses an alias, and between
environments where no override touches them, so identity tells what has been looked at already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from bedplate.diagnostics import PathKey, Span

NULLS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One file: its name as diagnostics show it, and its lines without their ends."""

    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A stretch of a file; line and columns count from 0, and it ends on its own line."""

    source: Source
    line: int
    column: int
    end_column: int

    def span(self) -> Span:
        text = self.source.lines[self.line] if self.line < len(self.source.lines) else ""
        end = max(self.end_column, self.column + 1)
        return Span(self.source.name, self.line + 1, self.column + 1, end + 1, text)

    def within(self, offset: int, length: int) -> Place:
        """The part of this place that begins at `offset`."""
        start = self.column + offset
        return Place(self.source, self.line, start, start + length)


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A text. `plain`: written without quotes, so that it can be a number, a boolean or null.

    `unreadable` stands where something was that the loader refused: what is wrong has been said.
    """

    text: str
    plain: bool
    place: Place
    unreadable: bool = False

    @property
    def is_null(self) -> bool:
        return self.plain and self.text in NULLS


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """A mapping. `keys` says where each key stands, `removed` which keys an override took away, and where."""

    items: Mapping[str, Node]
    keys: Mapping[str, Place]
    place: Place
    removed: Mapping[str, Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Seq:
    items: tuple[Node, ...]
    place: Place


Node: TypeAlias = Scalar | Map | Seq


def kind(node: Node) -> str:
    """What a node is, in a reader's words."""
    if isinstance(node, Map):
        return "a mapping"
    if isinstance(node, Seq):
        return "a list"
    return "nothing" if node.is_null else "text"


def find(root: Node, path: tuple[PathKey, ...], *, at_key: bool = False) -> Place:
    """Where the value (or the key) at `path` stands, or where it was removed, or its nearest parent.

    A parent is shown by its key: a mapping of forty lines is no place.
    """
    node: Node = root
    place = root.place
    for index, key in enumerate(path):
        child = _child(node, key)
        if child is None:
            removed = node.removed.get(str(key)) if isinstance(node, Map) else None
            return removed or place
        last = index == len(path) - 1
        mark = node.keys.get(str(key)) if isinstance(node, Map) else None
        wanted = child.place if isinstance(child, Scalar) and not child.is_null else (mark or child.place)
        place = mark if last and at_key and mark else wanted
        node = child
    return place


def at(root: Node, path: tuple[PathKey, ...]) -> Node | None:
    """The node at `path`."""
    node: Node | None = root
    for key in path:
        node = None if node is None else _child(node, key)
    return node


def scalars(node: Node) -> Iterator[Scalar]:
    """Every scalar below a node; one that is shared comes as often as it is reached."""
    if isinstance(node, Scalar):
        yield node
        return
    for child in node.items.values() if isinstance(node, Map) else node.items:
        yield from scalars(child)


def is_null(node: Node | None) -> bool:
    """Whether there is no value here, and the text says so."""
    return isinstance(node, Scalar) and node.is_null


def unreadable(node: Node | None) -> bool:
    """Whether the loader has refused what stood here."""
    return isinstance(node, Scalar) and node.unreadable


def _child(node: Node, key: PathKey) -> Node | None:
    if isinstance(node, Map):
        return node.items.get(key) if isinstance(key, str) else None
    if isinstance(node, Seq) and isinstance(key, int) and key < len(node.items):
        return node.items[key]
    return None
