"""YAML's events to the located tree, in one pass and within bounds.

It is written over the parser's events, not its nodes: so depth is bounded before anything recurses, every
problem is collected, and YAML's resolver (`NO` is false, `22:22` is 1342) never has a word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import cast

import yaml

from bedplate.diagnostics import Diagnostic, Related
from bedplate.spec.tree import Map, Node, Place, Scalar, Seq, Source, unreadable
from bedplate.spec.yaml_problems import describe

DEPTH = 64
NODES = 500_000

_CORE = "tag:yaml.org,2002:"
_TEXT_TAGS = frozenset({"!", f"{_CORE}str"})
_VALUE_TAGS = frozenset(f"{_CORE}{name}" for name in ("int", "float", "bool", "null"))
_MAP_TAGS = frozenset({"!", f"{_CORE}map"})
_SEQ_TAGS = frozenset({"!", f"{_CORE}seq"})
# What YAML 1.2 calls no string; the 1.1 words (yes, no, on, off) are texts to this language.
_NOT_TEXT = (
    r"~|null|Null|NULL|true|True|TRUE|false|False|FALSE|0o[0-7]+|0x[0-9a-fA-F]+"
    r"|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)|"
)

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def is_text(scalar: Scalar) -> bool:
    """Whether YAML 1.2 reads a scalar as a string."""
    return not (scalar.plain and re.fullmatch(_NOT_TEXT, scalar.text))


def compose(text: str, source: Source) -> tuple[Node | None, list[Diagnostic]]:
    """The root of the one document in `text`, if there is one, and everything wrong on the way."""
    composer = _Composer(source)
    try:
        composer.run(text)
    except yaml.MarkedYAMLError as error:
        composer.diagnostics.append(describe(error, source))
    except _Stop:
        pass
    return composer.root, composer.diagnostics


class _Stop(Exception):
    """A bound is passed, and the diagnostic is written."""


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come. `pending` is the key that waits for its value."""

    place: Place
    is_map: bool
    anchor: str | None
    size_before: int
    refused: Scalar | None = None
    items: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)
    values: list[Node] = field(default_factory=list)
    pending: Node | None = None
    merge: Place | None = None
    merged: list[Map] = field(default_factory=list)


class _Composer:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.root: Node | None = None
        self.diagnostics: list[Diagnostic] = []
        self.stack: list[_Open] = []
        self.anchors: dict[str, Node] = {}
        self.sizes: dict[str, int] = {}
        self.size = 0
        self.documents = 0

    def run(self, text: str) -> None:
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.ScalarEvent):
                self.scalar(event)
            elif isinstance(event, yaml.CollectionStartEvent):
                self.open(event, is_map=isinstance(event, yaml.MappingStartEvent))
            elif isinstance(event, yaml.CollectionEndEvent):
                self.close()
            elif isinstance(event, yaml.AliasEvent):
                self.alias(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                self.document(event)

    def document(self, event: yaml.Event) -> None:
        self.documents += 1
        if self.documents > 1:
            self.stop("BP006", "a spec is one document; this begins a second", self.place(event))

    def scalar(self, event: yaml.ScalarEvent) -> None:
        tag, place = event.tag, self.place(event)
        unquoted = event.style in (None, "") and event.implicit[0]
        plain = unquoted if tag is None else tag in _VALUE_TAGS
        node = Scalar(event.value, plain, place)
        if tag is not None and not plain and tag not in _TEXT_TAGS:
            node = self.unknown_tag(tag, place)
        before = self.size
        self.count(1, place)
        self.put(node)
        self.name(event.anchor, node, before)

    def open(self, event: yaml.CollectionStartEvent, *, is_map: bool) -> None:
        place = self.place(event)
        if len(self.stack) >= DEPTH:
            self.stop("BP011", f"nested too deep: {DEPTH} levels are the limit", place)
        if event.tag is not None and event.tag not in (_MAP_TAGS if is_map else _SEQ_TAGS):
            refused = self.unknown_tag(event.tag, place)
        else:
            refused = None
        before = self.size
        self.count(1, place)
        if event.anchor is not None:
            self.anchors.pop(event.anchor, None)
        self.stack.append(_Open(place, is_map, event.anchor, before, refused))

    def close(self) -> None:
        done = self.stack.pop()
        node: Node
        if done.refused:
            node = done.refused
        elif done.is_map:
            for merged in done.merged:
                for key, value in merged.items.items():
                    if key not in done.items:
                        done.items[key], done.keys[key] = value, merged.keys[key]
            node = Map(done.items, done.keys, done.place)
        else:
            node = Seq(tuple(done.values), done.place)
        self.put(node)
        self.name(done.anchor, node, done.size_before)

    def alias(self, event: yaml.AliasEvent) -> None:
        place, name = self.place(event), str(event.anchor)
        node = self.anchors.get(name)
        if node is None:
            own = any(opened.anchor == name for opened in self.stack)
            if own:
                self.report("BP010", f"the anchor &{name} refers to itself", place)
            else:
                self.report("BP004", f"*{name} names no anchor above it", place, hint=f"write &{name} first")
            node = Scalar("", True, place, unreadable=True)
        self.count(self.sizes.get(name, 1), place)
        self.put(node)

    def put(self, node: Node) -> None:
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        if not parent.is_map:
            parent.values.append(node)
        elif parent.pending is None:
            parent.pending = node
        else:
            key, parent.pending = parent.pending, None
            self.pair(parent, key, node)

    def pair(self, parent: _Open, key: Node, value: Node) -> None:
        if isinstance(key, Scalar) and key.plain and key.text == "<<":
            self.merge(parent, key, value)
        elif not isinstance(key, Scalar) or not is_text(key):
            shown = f"; {key.text} is not: quote it" if isinstance(key, Scalar) and key.text else ""
            if not unreadable(key):
                self.report("BP008", f"keys must be strings{shown}", key.place)
        elif key.text in parent.items:
            first = parent.keys[key.text]
            self.report(
                "BP007",
                f"the key {key.text} is written twice, on lines {first.line + 1} and {key.place.line + 1}",
                key.place,
                related=(Related(first.span(), "first written here"),),
                hint="keep one of them",
            )
        else:
            parent.items[key.text] = value
            parent.keys[key.text] = key.place

    def merge(self, parent: _Open, key: Scalar, value: Node) -> None:
        if parent.merge is not None:
            self.report(
                "BP013",
                "a mapping can hold one << only",
                key.place,
                related=(Related(parent.merge.span(), "the first one"),),
                hint="use a sequence: <<: [*first, *second]",
            )
            return
        parent.merge = key.place
        parts = value.items if isinstance(value, Seq) else (value,)
        for part in parts:
            if isinstance(part, Map):
                parent.merged.append(part)
            else:
                self.report("BP013", "<< takes a mapping or a list of mappings", part.place)

    def name(self, anchor: str | None, node: Node, size_before: int) -> None:
        if anchor is not None:
            self.anchors[anchor] = node
            self.sizes[anchor] = self.size - size_before

    def count(self, nodes: int, place: Place) -> None:
        self.size += nodes
        if self.size > NODES:
            self.stop("BP012", f"more than {NODES:,} values, aliases written out", place)

    def place(self, event: yaml.Event) -> Place:
        start, end = cast(tuple[yaml.Mark, yaml.Mark], (event.start_mark, event.end_mark))
        if end.line == start.line:
            return Place(self.source, start.line, start.column, end.column)
        line = self.source.lines[start.line] if start.line < len(self.source.lines) else ""
        return Place(self.source, start.line, start.column, len(line.rstrip()))

    def unknown_tag(self, tag: str, place: Place) -> Scalar:
        shown = tag.replace(_CORE, "!!", 1)
        self.report("BP009", f"the tag {shown} is not part of the language", place, hint="remove the tag")
        return Scalar("", True, place, unreadable=True)

    def report(
        self,
        code: str,
        message: str,
        place: Place,
        *,
        hint: str | None = None,
        related: tuple[Related, ...] = (),
    ) -> None:
        self.diagnostics.append(Diagnostic(code, message, span=place.span(), help=hint, related=related))

    def stop(self, code: str, message: str, place: Place) -> None:
        self.report(code, message, place)
        raise _Stop
