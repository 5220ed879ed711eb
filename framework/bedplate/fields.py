"""The fields of the language as the published schema has them: for explanations, defaults and the reference."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from bedplate._resources import resource
from bedplate.diagnostics import meant_or
from bedplate.errors import UsageError

SCHEMA = "bedplate.schema.json"
ANY = "*"
LEFT_OUT = " Left out: "
FEW = 10


@dataclass(frozen=True, slots=True)
class Field:
    """One field. In `address`, * stands for a name of the user's. `of` is the model that it holds."""

    address: str
    node: Mapping[str, Any]
    required: bool = False

    @property
    def description(self) -> str:
        return str(self.node.get("description", ""))

    @property
    def purpose(self) -> str:
        """What it is for, without what holds where it is left out."""
        return self.description.partition(LEFT_OUT)[0]

    @property
    def absent(self) -> str:
        """What holds where it is left out, in words; empty where a default or nothing does."""
        return self.description.partition(LEFT_OUT)[2]

    @property
    def of(self) -> str | None:
        for node in (self.node, self.node.get("items", {}), *self.node.get("allOf", ())):
            if "$ref" in node:
                return str(node["$ref"].rpartition("/")[2])
        return None

    @property
    def type(self) -> str:
        """The type in a reader's words."""
        if "items" in self.whole:
            return f"a list, each item {_typed(self.held)}"
        return f"a mapping, each value {_typed(self.held)}" if self._values else _typed(self.whole)

    @property
    def held(self) -> Mapping[str, Any]:
        """The shape of what it holds: of a list, an item; of a mapping of scalars, a value; else itself."""
        node = self._values.node if self._values else self.whole
        return _resolved(node.get("items", node))

    @property
    def form(self) -> str:
        """How what it holds is written, where the type does not say it all."""
        return str(self.held.get("x-form", ""))

    @property
    def words(self) -> dict[str, str]:
        """The words that can stand there, and what each of them means; empty where other texts can."""
        return dict(zip(self.held.get("enum", ()), self.held.get("enumDescriptions", ()), strict=False))

    @property
    def one_of(self) -> tuple[str, ...]:
        """The fields below of which exactly one is written."""
        return tuple(name for choice in self.held.get("anyOf", ()) for name in choice.get("required", ()))

    @property
    def not_both(self) -> tuple[tuple[str, str], ...]:
        """Pairs of fields below of which one excludes the other, beside those of `one_of`."""
        excluded = self.held.get("dependencies", {}).items()
        pairs = [(one, other) for one, without in excluded for other in without["properties"]]
        return tuple(pair for pair in pairs if not {*pair} <= {*self.one_of})

    @property
    def _values(self) -> Field | None:
        """The values of a mapping of scalars."""
        values = self.children().get(ANY)
        return values if values and "properties" not in values.whole else None

    @property
    def default(self) -> object | None:
        """What holds where it is left out; None where that is no value of it."""
        return self.node.get("default")

    @property
    def examples(self) -> list[object]:
        return [*self.node.get("examples", [])]

    @property
    def since(self) -> str | None:
        return self.node.get("x-since")

    @property
    def whole(self) -> Mapping[str, Any]:
        """The node with the definition that it refers to; what it says itself counts more."""
        return _resolved(self.node)

    def children(self) -> dict[str, Field]:
        """The fields below, those of a list's items for a list; ANY for entries under any name."""
        node = _resolved(self.whole.get("items", self.whole))
        needed = node.get("required", [])
        found = {
            name: Field(_joined(self.address, name), child, name in needed)
            for name, child in node.get("properties", {}).items()
        }
        for pattern, child in node.get("patternProperties", {}).items():
            if pattern != "^x-":
                found[ANY] = Field(_joined(self.address, ANY), child)
        return found

    def all(self) -> Iterator[Field]:
        """The fields below, deep; parents first, the required ones before the others."""
        for child in sorted(self.children().values(), key=lambda field: not field.required):
            yield child
            yield from child.all()


def root() -> Field:
    """The whole spec."""
    return Field("", _schema())


def field_at(address: str) -> Field:
    """The field at an address such as `serving.delay.replicas`. Raises UsageError with what is near."""
    found = root()
    for part in re.sub(r"\[\d*\]", "", address).split("."):
        children = found.children()
        child = children.get(part) or children.get(ANY)
        if child is None:
            raise _unknown(address, part, children)
        found = Field(_joined(found.address, part), child.node, child.required)
    return Field(address, found.node, found.required)


def shown(value: object) -> str:
    """A value of the schema as it would be written, on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(shown, value)) + "]"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@cache
def _schema() -> Mapping[str, Any]:
    read: Mapping[str, Any] = json.loads(resource("specs", SCHEMA).read_bytes())
    return read


def _resolved(node: Mapping[str, Any]) -> Mapping[str, Any]:
    if "anyOf" in node and "type" not in node:
        return _resolved({**node["anyOf"][0], **{k: v for k, v in node.items() if k != "anyOf"}})
    beside = {k: v for k, v in node.items() if k not in ("$ref", "allOf")}
    if "$ref" in node:
        return {**_schema()["definitions"][node["$ref"].rpartition("/")[2]], **beside}
    for part in node.get("allOf", ())[:1]:  # of what a field says of itself, its shape is the first
        return {**_resolved(part), **beside}
    return node


def _typed(node: Mapping[str, Any]) -> str:
    """The type of one value. Of many words, such as time zones, it says what they are."""
    words = [str(word) for word in node.get("enum", ()) if word is not None]
    if 0 < len(words) <= FEW:
        return f"one of {', '.join(words)}" if len(words) > 1 else f"always {words[0]}"
    text = str(node["title"])
    if "minimum" in node:
        text += f" from {_number(node['minimum'])} to {_number(node['maximum'])}"
    return text


def _number(value: float) -> str:
    return str(int(value) if value == int(value) else value)


def _joined(address: str, name: str) -> str:
    return f"{address}.{name}" if address else name


def _unknown(address: str, part: str, children: Mapping[str, Field]) -> UsageError:
    known = f"known there: {', '.join(children)}" if children else "it has no fields"
    return UsageError(
        f"the spec has no field {address}: {part} is unknown", hint=meant_or(part, children, known)
    )
