"""A node of the tree against a model of the language: the model, or what is wrong with the node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bedplate.diagnostics import Diagnostic, PathKey, Related, did_you_mean
from bedplate.spec.model import model_at
from bedplate.spec.references import References
from bedplate.spec.tree import Map, Node, Place, Scalar, at, find, kind, unreadable
from bedplate.spec.types import NAME, SECRET_IN_SPEC, name_problem

Model = TypeVar("Model", bound=BaseModel)
Data: TypeAlias = "Scalar | list[Data] | dict[str, Data]"
Path: TypeAlias = tuple[PathKey, ...]

IGNORED = "x-"


@dataclass(frozen=True, slots=True)
class Read(Generic[Model]):
    """A model, or None and why."""

    model: Model | None
    diagnostics: tuple[Diagnostic, ...] = ()


def read(
    model: type[Model],
    node: Node,
    path: Path,
    key: Place | None = None,
    references: References | None = None,
    also_known: Iterable[str] = (),
) -> Read[Model]:
    """Reads the node at `path` as a model. `key`: its own key; `also_known`: keys read elsewhere."""
    if unreadable(node):
        return Read(None)
    try:
        data = _data(node)
        if isinstance(data, dict):
            data = {name: value for name, value in data.items() if name not in also_known}
        return Read(model.model_validate(data, context=references))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        reader = _Reader(model, node, path, key or node.place, tuple(also_known))
        told = (reader.diagnostic(d) for d in details if not unreadable(at(node, d["loc"])))
        return Read(None, tuple(told))


def unknown_key(name: str, path: Path, place: Place, known: Iterable[str]) -> Diagnostic:
    """The diagnostic of a key that nobody reads. `path` includes the key."""
    words = sorted(known)
    near = did_you_mean(name, words)
    help_text = f"did you mean {near}?" if near else f"known here: {', '.join(words) or 'nothing'}"
    return Diagnostic("BP020", f"unknown key {name}", path, place.span(), help_text)


def entries(root: Map, section: str) -> tuple[dict[str, Node], list[Diagnostic]]:
    """The entries of a mapping of named things, such as `models`, and what is wrong with their names."""
    node = root.items.get(section)
    if node is None or unreadable(node):
        return {}, []
    place = root.keys[section]
    if not isinstance(node, Map):
        return {}, [
            no_value((section,), place) if _null(node) else _shape("a mapping", node, (section,), place)
        ]
    found: list[Diagnostic] = []
    items: dict[str, Node] = {}
    in_dns: dict[str, str] = {}
    for name, entry in node.items.items():
        if name.startswith(IGNORED):
            continue
        path, key = (section, name), node.keys[name]
        if not NAME.fullmatch(name):
            message, help_text = name_problem(name[:60])
            found.append(Diagnostic("BP027", message, path, key.span(), help_text))
            continue
        first = in_dns.setdefault(name.replace("_", "-"), name)
        if first != name:
            found.append(_collision(path, name, first, key, node.keys[first]))
        items[name] = entry
    return items, found


def no_value(path: Path, place: Place) -> Diagnostic:
    """The diagnostic of a null outside an override."""
    return Diagnostic("BP026", "there is no value", path, place.span(), "write one, or remove the key")


def _collision(path: Path, name: str, first: str, key: Place, first_key: Place) -> Diagnostic:
    return Diagnostic(
        "BP113",
        f"{first} (line {first_key.line + 1}) and {name} (line {key.line + 1}) meet where _ becomes -",
        path,
        key.span(),
        "rename one of them",
        related=(Related(first_key.span(), "the other one"),),
    )


def _shape(expected: str, node: Node, path: Path, place: Place) -> Diagnostic:
    return Diagnostic("BP022", f"expected {expected}, found {kind(node)}", path, place.span())


def _null(node: Node | None) -> bool:
    return isinstance(node, Scalar) and node.is_null


def _data(node: Node) -> Data:
    if isinstance(node, Scalar):
        return node
    if isinstance(node, Map):
        return {key: _data(value) for key, value in node.items.items() if not key.startswith(IGNORED)}
    return [_data(item) for item in node.items]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns pydantic's errors about one node into diagnostics."""

    model: type[BaseModel]
    node: Node
    path: Path
    key: Place
    also_known: tuple[str, ...]

    def diagnostic(self, error: ErrorDetails) -> Diagnostic:
        location = error["loc"]
        if location and location[-1] == "[key]":
            return self._bad_name(location[:-1])
        path = (*self.path, *location)
        node = at(self.node, location)
        place = find(self.node, location) if location else self.key
        kind_of_error = error["type"]
        if kind_of_error == "extra_forbidden":
            return self._unknown(location, path)
        if kind_of_error == "missing":
            return self._missing(location, path)
        if node is None or _null(node):
            return no_value(path, place)
        if kind_of_error == "bedplate":
            return _told(error["ctx"], path, node, place)
        if kind_of_error in ("model_type", "dict_type", "model_attributes_type"):
            return _shape("a mapping", node, path, place)
        if kind_of_error in ("tuple_type", "list_type"):
            return _shape("a list", node, path, place)
        return Diagnostic("BP022", error["msg"], path, place.span())

    def _bad_name(self, location: Path) -> Diagnostic:
        message, help_text = name_problem(str(location[-1])[:60])
        place = find(self.node, location, at_key=True)
        return Diagnostic("BP027", message, (*self.path, *location), place.span(), help_text)

    def _unknown(self, location: Path, path: Path) -> Diagnostic:
        value = at(self.node, location)
        if "secrets" in location and isinstance(value, Scalar):
            # Somebody may have written the secret itself: it is not shown.
            return Diagnostic(
                "BP110", SECRET_IN_SPEC, path, value.place.span(), "say where it is: {env: VARIABLE}"
            )
        parent = model_at(self.model, location[:-1])
        known = [*(parent.model_fields if parent else ()), *(self.also_known if len(location) == 1 else ())]
        return unknown_key(str(path[-1]), path, find(self.node, location, at_key=True), known)

    def _missing(self, location: Path, path: Path) -> Diagnostic:
        parent = model_at(self.model, location[:-1])
        field = parent.model_fields.get(str(location[-1])) if parent else None
        example = field.examples[0] if field and field.examples else None
        place = find(self.node, location)
        if place is self.node.place:
            place = self.key
        name = location[-1]
        help_text = f"add it, such as {name}: {example}" if example is not None else "add it"
        return Diagnostic("BP021", f"{name} is missing", path, place.span(), help_text)


def _told(context: Mapping[str, object], path: Path, node: Node, place: Place) -> Diagnostic:
    """What a type of the language said. A part of a text is pointed at where the text has no escapes."""
    within = context.get("within")
    if isinstance(within, tuple) and isinstance(node, Scalar):
        quotes = (node.place.end_column - node.place.column - len(node.text)) // 2
        if quotes in (0, 1):
            place = node.place.within(within[0] + quotes, within[1])
    help_text = context.get("help")
    return Diagnostic(
        str(context["code"]),
        str(context["message"]),
        path,
        place.span(),
        str(help_text) if help_text is not None else None,
    )
