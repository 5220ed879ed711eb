"""A node of the tree against a model of the language: the model, or what is wrong with the node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bedplate.diagnostics import Diagnostic, PathKey, Related, did_you_mean, meant, meant_or
from bedplate.spec.leaf import Resolver
from bedplate.spec.model import LACKING, model_at
from bedplate.spec.names import NAME, name_problem, world_name
from bedplate.spec.secrets import SECRET_IN_SPEC
from bedplate.spec.tree import Map, Node, Place, Scalar, at, find, is_null, kind, unreadable

Model = TypeVar("Model", bound=BaseModel)
Data: TypeAlias = "Scalar | list[Data] | dict[str, Data]"
Path: TypeAlias = tuple[PathKey, ...]

IGNORED = "x-"
_LACKING = ("missing", LACKING)


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
    references: Resolver | None = None,
    also_known: Iterable[str] = (),
    *,
    partial: bool = False,
    whole: Iterable[str] = (),
) -> Read[Model]:
    """Reads the node at `path` as a model. `key`: its own key; `also_known`: keys read elsewhere.

    `partial`: the node is going to be merged with others, so that what it lacks is no mistake, but in the
    fields that are `whole`.
    """
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
        if partial:
            told = [d for d in details if d["type"] not in _LACKING or d["loc"][:1] in [(n,) for n in whole]]
            lacking = [d["loc"][0] for d in details if d not in told and d["loc"]]
            if len(lacking) == len(details) and isinstance(data, dict) and data.keys() >= {*lacking}:
                rest = {name: value for name, value in data.items() if name not in lacking}
                return Read(model.model_validate(rest, context=references))
            details = told
        details = [d for d in details if not unreadable(at(node, d["loc"]))]
        return Read(None, tuple(reader.diagnostics(details)))


def unknown_key(name: str, path: Path, place: Place, known: Iterable[str]) -> Diagnostic:
    """The diagnostic of a key that nobody reads. `path` includes the key."""
    words = sorted(known)
    help_text = meant_or(name, words, f"known here: {', '.join(words) or 'nothing'}")
    return Diagnostic("BP020", f"unknown key {name}", path, place.span(), help_text)


def unknown_keys(node: Node | None, path: Path, known: Iterable[str]) -> Iterator[Diagnostic]:
    """The diagnostics of a mapping's keys that nobody reads."""
    for key in node.items if isinstance(node, Map) else ():
        if isinstance(node, Map) and key not in known and not key.startswith(IGNORED):
            yield unknown_key(key, (*path, key), node.keys[key], known)


def entries(root: Map, section: str) -> tuple[dict[str, Node], list[Diagnostic]]:
    """The entries of a mapping of named things, such as `models`, and what is wrong with their names."""
    node = root.items.get(section)
    if node is None or unreadable(node):
        return {}, []
    place = root.keys[section]
    if not isinstance(node, Map):
        return {}, [no_mapping(node, (section,), place)]
    found: list[Diagnostic] = []
    items: dict[str, Node] = {}
    for name, entry in node.items.items():
        if name.startswith(IGNORED):
            continue
        if not NAME.fullmatch(name):
            message, help_text = name_problem(name[:60])
            found.append(Diagnostic("BP027", message, (section, name), node.keys[name].span(), help_text))
            continue
        items[name] = entry
    return items, found


def meetings(section: str, models: Mapping[str, BaseModel], whole: Node | None) -> Iterator[Diagnostic]:
    """Entries that are the same in the world: by their `name`, or where _ becomes -."""
    first_of: dict[str, str] = {}
    for key in whole.items if isinstance(whole, Map) else ():
        model = models.get(key)
        if not isinstance(whole, Map) or not NAME.fullmatch(key):
            continue
        identity = getattr(model, "name", None) or key
        first = first_of.setdefault(world_name(identity), key)
        if first != key:
            yield _collision(section, first, key, whole)


def no_value(path: Path, place: Place) -> Diagnostic:
    """The diagnostic of a null outside an override."""
    return Diagnostic("BP026", "there is no value", path, place.span(), "write one, or remove the key")


def _collision(section: str, first: str, key: str, whole: Map) -> Diagnostic:
    one, other = whole.keys[first], whole.keys[key]
    return Diagnostic(
        "BP113",
        f"{first} (line {one.line + 1}) and {key} (line {other.line + 1}) have one name in the world, "
        "where _ becomes - and no name ends with it",
        (section, key),
        other.span(),
        "rename one of them",
        related=(Related(one.span(), "the other one"),),
    )


def no_mapping(node: Node, path: Path, key: Place) -> Diagnostic:
    """The diagnostic of something else where a mapping of named things should be. `key`: its own key."""
    if is_null(node):
        return no_value(path, key)
    return _shape("a mapping", node, path, node.place if isinstance(node, Scalar) else key)


def _shape(expected: str, node: Node, path: Path, place: Place) -> Diagnostic:
    return Diagnostic("BP022", f"expected {expected}, found {kind(node)}", path, place.span())


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

    def diagnostics(self, errors: Sequence[ErrorDetails]) -> Iterator[Diagnostic]:
        """One for each root cause: a key that is written wrong is not missing as well, nor what is below it."""
        found = [(error["type"], error["loc"], self.diagnostic(error)) for error in errors]
        misspelt = {(loc[:-1], d.help) for what, loc, d in found if what == "extra_forbidden"}
        for what, loc, diagnostic in found:
            way = ((loc[:depth], meant(str(key))) for depth, key in enumerate(loc))
            if what not in _LACKING or misspelt.isdisjoint(way):
                yield diagnostic

    def diagnostic(self, error: ErrorDetails) -> Diagnostic:
        location = error["loc"]
        if location and location[-1] == "[key]":
            return self._bad_key(location[:-1], error["ctx"])
        path = (*self.path, *location)
        node = at(self.node, location)
        text = isinstance(self.node, Scalar) and not self.node.is_null
        place = find(self.node, location) if location or text else self.key
        kind_of_error = error["type"]
        if kind_of_error == "extra_forbidden":
            return self._unknown(location, path)
        if kind_of_error == "missing":
            return self._missing(location, path)
        if node is None or is_null(node):
            return no_value(path, place)
        if kind_of_error in ("bedplate", LACKING):
            return _told(error["ctx"], path, node, place)
        if kind_of_error in ("model_type", "dict_type", "model_attributes_type"):
            return _shape("a mapping", node, path, place)
        if kind_of_error in ("tuple_type", "list_type"):
            return _shape("a list", node, path, place)
        return Diagnostic("BP022", error["msg"], path, place.span())

    def _bad_key(self, location: Path, context: Mapping[str, object]) -> Diagnostic:
        place = find(self.node, location, at_key=True)
        message, help_text = str(context["message"]), str(context["help"])
        return Diagnostic(str(context["code"]), message, (*self.path, *location), place.span(), help_text)

    def _unknown(self, location: Path, path: Path) -> Diagnostic:
        value = at(self.node, location)
        parent = model_at(self.model, location[:-1])
        known = [*(parent.model_fields if parent else ()), *(self.also_known if len(location) == 1 else ())]
        if "secrets" in location and isinstance(value, Scalar) and not did_you_mean(str(path[-1]), known):
            # Somebody may have written the secret itself: it is not shown.
            return Diagnostic(
                "BP110", SECRET_IN_SPEC, path, value.place.span(), "say where it is: {env: VARIABLE}"
            )
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
    within, key, below = context.get("within"), context.get("key"), context.get("below")
    if isinstance(below, tuple) and below:
        place, path = find(node, below), (*path, *below)
        node = at(node, below) or node
    if isinstance(key, str) and isinstance(node, Map):
        place, path = node.keys.get(key, place), (*path, key)
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
