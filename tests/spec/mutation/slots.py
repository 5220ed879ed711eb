"""Every place of a spec's text where the grammar takes a key or a value: what is to be mutated.

The text is walked along the models with PyYAML's own nodes, which know offsets; the loader has no part in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import yaml
from pydantic import BaseModel

from bedplate.sections import SECTIONS
from bedplate.spec.frame import Entries, Frame, Parts
from bedplate.spec.leaf import Leaf
from bedplate.spec.model import LIST, MAPPING, ONE, SpecModel, inner, leaf, leaf_of, model_of
from bedplate.spec.secrets import Secret, TextOrSecret

Takes: TypeAlias = "Leaf | str"
Stretch: TypeAlias = "tuple[int, int]"

SECRET_NAME = "the name of a secret"


@dataclass(frozen=True)
class Slot:
    """A value, and what the grammar takes there: a scalar type, "a mapping" or "a list".

    `key` is the stretch of its key, if it is a word of the grammar or of an entry; `owner` and `name` are the
    field, where it is one; `siblings` are the words known in its place. `start` is where the value could
    begin: behind the key's colon, or behind the dash; `parent` where that begins which lacks it if it is taken
    out. `merged`: others may say what is taken out here; `removable`: null takes it out.
    """

    path: tuple[str | int, ...]
    takes: Takes
    value: Stretch
    start: int
    key: Stretch | None = None
    pair: Stretch | None = None
    owner: type[BaseModel] | None = None
    name: str = ""
    required: bool = False
    siblings: frozenset[str] = frozenset()
    parent: int = 0
    merged: bool = False
    removable: bool = False

    @property
    def is_word(self) -> bool:
        """Whether its key is a word of the grammar."""
        return bool(self.siblings)


def fields() -> Iterator[tuple[type[BaseModel], str]]:
    """Every field of the grammar."""
    waiting: list[type[BaseModel]] = [Frame, *(section.Model for section in SECTIONS.values())]
    seen: set[type[BaseModel]] = set()
    while waiting:
        model = waiting.pop()
        if model in seen:
            continue
        seen.add(model)
        for name, field in model.model_fields.items():
            yield model, name
            found = leaf(field)
            below = found.model if isinstance(found, Entries) else model_of(field.annotation)
            if below is not None:
                waiting.append(below)


def slots(text: str) -> list[Slot]:
    """Every slot of a spec's text, in the order of the text."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    return list(_Walk(text).root(root))


@dataclass(frozen=True)
class _Walk:
    text: str
    merged: bool = False
    removable: bool = False

    def root(self, node: yaml.MappingNode) -> Iterator[Slot]:
        known = frozenset({*Frame.model_fields, *SECTIONS})
        for slot, value in self.pairs(node, ()):
            field = Frame.model_fields.get(slot.name)
            if field is None:
                yield replace(slot, takes="a mapping", siblings=known)
                yield from self.entries(SECTIONS[slot.name].Model, value, slot)
            else:
                yield from self.field(Frame, slot, value, known)

    def model(self, model: type[BaseModel], node: yaml.Node, at: Slot) -> Iterator[Slot]:
        for slot, value in self.pairs(node, at.path, at.key[0] if at.key else at.value[0]):
            yield from self.field(model, slot, value, frozenset(model.model_fields))

    def field(
        self, model: type[BaseModel], slot: Slot, node: yaml.Node, known: frozenset[str]
    ) -> Iterator[Slot]:
        assert issubclass(model, SpecModel)
        field = model.model_fields[slot.name]
        takes = leaf(field)
        holds, held = inner(field.annotation)
        shape = {LIST: "a list", MAPPING: "a mapping", ONE: "a mapping"}[holds]
        slot = replace(
            slot, owner=model, takes=takes or shape, siblings=known,
            required=field.is_required() or slot.name in model.ONE_OF,
        )  # fmt: skip
        if isinstance(takes, Entries | Parts):
            yield replace(slot, takes="a mapping")
            yield from self.parts(takes, node, slot)
            return
        yield slot
        if takes is not None:
            yield from self.secret(takes, node, slot)
        elif holds == ONE:
            yield from self.model(held, node, slot)  # type: ignore[arg-type]
        else:
            yield from self.items(held, node, slot)

    def parts(self, takes: Entries | Parts, node: yaml.Node, at: Slot) -> Iterator[Slot]:
        """Named entries, or parts of sections, which are merged with others."""
        if isinstance(takes, Entries):
            assert takes.model is not None
            yield from self.entries(takes.model, node, at)
            return
        walk = replace(self, merged=True, removable=self.removable or takes.of_entries)
        known = frozenset({*SECTIONS, "defaults"} if takes.of_entries else SECTIONS)
        for slot, value in walk.pairs(node, at.path):
            yield replace(slot, takes="a mapping", siblings=known)
            if slot.name == "defaults":
                yield from walk.parts(Parts(of_entries=False), value, slot)
            elif takes.of_entries:
                yield from walk.entries(SECTIONS[slot.name].Model, value, slot)
            else:
                yield from walk.model(SECTIONS[slot.name].Model, value, slot)

    def entries(self, model: type[BaseModel], node: yaml.Node, at: Slot) -> Iterator[Slot]:
        for slot, value in self.pairs(node, at.path):
            yield replace(slot, takes="a mapping")
            extends = "extends" in [key.value for key, _ in value.value]
            walk = replace(self, merged=True) if extends else self
            yield from walk.model(model, value, slot)

    def items(self, held: object, node: yaml.Node, at: Slot) -> Iterator[Slot]:
        if isinstance(node, yaml.SequenceNode):  # which replaces, and merges with nothing
            self = replace(self, merged=False, removable=False)
        takes = leaf_of(held)
        for slot, value in self.children(node, at):
            yield replace(slot, takes=takes or "a mapping")
            if takes is not None:
                yield from self.secret(takes, value, slot)
            else:
                yield from self.model(held, value, slot)  # type: ignore[arg-type]

    def secret(self, takes: Leaf, node: yaml.Node, at: Slot) -> Iterator[Slot]:
        """The one key of `{secret: NAME}`."""
        if isinstance(takes, Secret | TextOrSecret) and isinstance(node, yaml.MappingNode):
            for slot, _ in self.pairs(node, at.path):
                yield replace(slot, takes=SECRET_NAME, siblings=frozenset({"secret"}))

    def children(self, node: yaml.Node, at: Slot) -> Iterator[tuple[Slot, yaml.Node]]:
        if isinstance(node, yaml.MappingNode):
            yield from self.pairs(node, at.path)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                start = item.start_mark.index
                yield Slot(
                    (*at.path, index), "", (start, self.end(item)), start
                ), item  # fmt: skip

    def pairs(
        self, node: yaml.Node, path: tuple[str | int, ...], parent: int = 0
    ) -> Iterator[tuple[Slot, yaml.Node]]:
        assert isinstance(node, yaml.MappingNode)
        for key, value in node.value:
            begin, colon = key.start_mark.index, key.end_mark.index + 1
            end = self.end(value)
            stretch = (value.start_mark.index, end)
            yield Slot(
                (*path, key.value), "", stretch, colon, (begin, colon - 1), (begin, end),
                name=key.value, parent=parent, merged=self.merged, removable=self.removable,
            ), value  # fmt: skip

    def end(self, node: yaml.Node) -> int:
        """Without what YAML counts to a block besides its text: the lines up to the next token."""
        begin = node.start_mark.index
        return begin + len(self.text[begin : node.end_mark.index].rstrip())


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, counted from 1."""
    before = text[:offset]
    return before.count("\n") + 1, offset - before.rfind("\n")
