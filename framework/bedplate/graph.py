"""The Graph: what one stack shall be, as frozen data. It is the golden file of the tests, the identity
of a plan (sha256 of its bytes), what policies read, and the program that the language host runs.

It cannot hold a secret's value, a null, a number that JSON would round, or a path of this machine.
Where each resource came from in the spec lies in a sidecar (`Origins`) and does not count in the digest.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TypeAlias

from bedplate.json_text import json_text
from bedplate.shards import stack_name

GRAPH_VERSION = 1
LARGEST_EXACT = 2**53


@dataclass(frozen=True, slots=True)
class Ref:
    """An output of another resource of the same graph, known only once that one is created."""

    resource: str
    output: str


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A secret by name; its value is read when the graph is applied, by whoever needs it."""

    name: str


Value: TypeAlias = "bool | int | float | str | Ref | SecretRef | Sequence[Value] | Mapping[str, Value]"
Link: TypeAlias = "Ref | SecretRef"
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json]"

# What values are made of: dicts, tuples and lists, and no other mapping or sequence. To ask for an abstract type
# takes ten times as long, and there is much to ask in a large graph.
_NUMBER = (int, float)  # and bool, which is an int
_PLAIN = (str, *_NUMBER)
_LINK = (Ref, SecretRef)
_LEAF = (*_PLAIN, *_LINK)
_LIST = (tuple, list)


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource. `name` is unique in its graph; `type` is a Pulumi token (`package:module:Type`).

    `ignore_changes` are property paths that another controller owns. `aliases` are earlier names of this
    resource in the same stack. `import_id` adopts an existing object instead of creating one.
    """

    name: str
    type: str
    properties: Mapping[str, Value]
    depends_on: tuple[str, ...] = ()
    protect: bool = False
    ignore_changes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    import_id: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where in the spec a resource comes from: its address (`serving.delay`) and file:line:column."""

    address: str
    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Graph:
    """One section in one environment, or one of its shards: one Pulumi stack.

    `secrets` says for every SecretRef's name where its value is to be read, e.g. `{"env": "API_KEY"}`.
    Raises GraphError when the data cannot be carried exactly, or names what is not there.
    """

    project: str
    section: str
    environment: str
    resources: tuple[Resource, ...] = ()
    outputs: Mapping[str, Value] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    shard: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "resources", tuple(sorted(self.resources, key=lambda r: r.name)))
        _check(self)

    @property
    def stack(self) -> str:
        """The stack's own name in its project: the section's, with the number of its shard where there are several."""
        return stack_name(self.section, self.shard)

    def to_json(self) -> str:
        """The canonical text: sorted keys, two spaces, ASCII, a newline at the end."""
        return json_text(self.to_data()) + "\n"

    def to_data(self) -> dict[str, Json]:
        return {
            "version": GRAPH_VERSION,
            "project": self.project,
            "section": self.section,
            **({} if self.shard is None else {"shard": self.shard}),
            "environment": self.environment,
            "resources": [_resource_to_data(r) for r in self.resources],
            "outputs": {key: encode(value) for key, value in self.outputs.items()},
            "secrets": {name: dict(source) for name, source in self.secrets.items()},
        }

    @property
    def digest(self) -> str:
        """sha256 of the canonical text, as hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @classmethod
    def from_json(cls, text: str | bytes) -> Graph:
        """The inverse of `to_json`. Raises GraphError on anything else."""
        try:
            data = json.loads(text)
            if data["version"] != GRAPH_VERSION:
                raise GraphError(f"graph version {data['version']!r} is not {GRAPH_VERSION}")
            return cls(
                project=data["project"],
                section=data["section"],
                environment=data["environment"],
                resources=tuple(_resource_from_data(r) for r in data["resources"]),
                outputs={key: decode(value) for key, value in data["outputs"].items()},
                secrets=data["secrets"],
                shard=data.get("shard"),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise GraphError(f"not a graph: {error!r}") from error

    def in_order(self) -> tuple[Resource, ...]:
        """The resources, each after all that it depends on; ties by name."""
        by_name = {r.name: r for r in self.resources}
        sorter = TopologicalSorter({r.name: dependencies(r) for r in self.resources})
        sorter.prepare()
        order: list[Resource] = []
        while sorter.is_active():
            ready = sorted(sorter.get_ready())
            order.extend(by_name[name] for name in ready)
            sorter.done(*ready)
        return tuple(order)


class GraphError(ValueError):
    """The data is no graph; a bug in a section or target, or a file edited by hand."""


def dependencies(resource: Resource) -> frozenset[str]:
    """The names that a resource depends on, said outright or through a Ref."""
    return _needed(resource, _links(resource.properties.values(), []))


def refs(value: Value) -> list[Ref]:
    """Every Ref inside a value."""
    return [link for link in _links((value,), []) if isinstance(link, Ref)]


def secret_refs(value: Value) -> list[SecretRef]:
    """Every SecretRef inside a value."""
    return [link for link in _links((value,), []) if isinstance(link, SecretRef)]


def mappings(value: Value) -> list[Mapping[str, Value]]:
    """Every mapping inside a value, an outer one before those in it."""
    return _mappings((value,), [])


def encode(value: Value) -> Json:
    """A value as JSON data: a Ref is `{"$ref": [resource, output]}`, a SecretRef `{"$secret": name}`."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Ref):
        return {"$ref": [value.resource, value.output]}
    if isinstance(value, SecretRef):
        return {"$secret": value.name}
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    return [encode(item) for item in value]


def decode(data: Json) -> Value:
    """The inverse of `encode`."""
    if isinstance(data, list):
        return tuple(decode(item) for item in data)
    if isinstance(data, dict):
        match data:
            case {"$ref": [str(resource), str(output)], **rest} if not rest:
                return Ref(resource, output)
            case {"$secret": str(name), **rest} if not rest:
                return SecretRef(name)
        return {key: decode(item) for key, item in data.items()}
    return data


def _links(values: Iterable[Value], found: list[Link]) -> list[Link]:
    """Puts every Ref and SecretRef in or below the values into `found`."""
    for value in values:
        if isinstance(value, _PLAIN):
            continue
        if isinstance(value, _LINK):
            found.append(value)
        else:
            _links(value.values() if isinstance(value, dict) else value, found)
    return found


def _mappings(values: Iterable[Value], found: list[Mapping[str, Value]]) -> list[Mapping[str, Value]]:
    for value in values:
        if isinstance(value, _LEAF):
            continue
        if isinstance(value, dict):
            found.append(value)
            _mappings(value.values(), found)
        else:
            _mappings(value, found)
    return found


def _needed(resource: Resource, links: Iterable[Link]) -> frozenset[str]:
    return frozenset(resource.depends_on).union(link.resource for link in links if isinstance(link, Ref))


def _resource_to_data(resource: Resource) -> dict[str, Json]:
    data: dict[str, Json] = {
        "name": resource.name,
        "type": resource.type,
        "properties": encode(resource.properties),
    }
    if resource.depends_on:
        data["depends_on"] = [*sorted(resource.depends_on)]
    if resource.protect:
        data["protect"] = True
    if resource.ignore_changes:
        data["ignore_changes"] = [*sorted(resource.ignore_changes)]
    if resource.aliases:
        data["aliases"] = [*sorted(resource.aliases)]
    if resource.import_id is not None:
        data["import_id"] = resource.import_id
    return data


def _resource_from_data(data: Mapping[str, Json]) -> Resource:
    properties = decode(data["properties"])
    if not isinstance(properties, Mapping):
        raise GraphError(f"properties of {data['name']} are not a mapping")
    return Resource(
        name=str(data["name"]),
        type=str(data["type"]),
        properties=properties,
        depends_on=_names(data, "depends_on"),
        protect=bool(data.get("protect", False)),
        ignore_changes=_names(data, "ignore_changes"),
        aliases=_names(data, "aliases"),
        import_id=str(data["import_id"]) if "import_id" in data else None,
    )


def _names(data: Mapping[str, Json], key: str) -> tuple[str, ...]:
    names = data.get(key, [])
    if not isinstance(names, list):
        raise GraphError(f"{key} is not a list")
    return tuple(str(name) for name in names)


def _check(graph: Graph) -> None:
    names = [r.name for r in graph.resources]
    for first, second in pairwise(names):
        if first == second:
            raise GraphError(f"two resources are named {first!r}")
    known = set(names)
    needed: dict[str, frozenset[str]] = {}
    for resource in graph.resources:
        links = _checked(resource.properties, resource.name, [])
        needed[resource.name] = _needed(resource, links)
        for name in sorted(needed[resource.name] - known):
            raise GraphError(f"{resource.name} depends on {name}, which is not in the graph")
        for secret in links:
            if isinstance(secret, SecretRef) and secret.name not in graph.secrets:
                raise GraphError(f"{resource.name} uses the secret {secret.name}, which has no source")
    for ref in _checked(graph.outputs, "outputs", []):
        if isinstance(ref, Ref) and ref.resource not in known:
            raise GraphError(f"an output refers to {ref.resource}, which is not in the graph")
    try:
        TopologicalSorter({name: names for name, names in needed.items() if names}).prepare()
    except CycleError as error:
        raise GraphError(f"resources depend on each other: {' -> '.join(error.args[1])}") from error


def _checked(value: Value, where: str, found: list[Link]) -> list[Link]:
    """The same as `_links`, of what is no text itself. Raises GraphError for what is no value of a graph."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or key.startswith("$"):
                raise GraphError(f"{where}: {key!r} cannot be a key")
            if not isinstance(item, str):
                _checked(item, f"{where}.{key}", found)
    elif isinstance(value, _NUMBER):
        if not math.isfinite(value) or abs(value) > LARGEST_EXACT:
            raise GraphError(f"{where}: {value!r} cannot be carried exactly as a JSON number")
    elif isinstance(value, _LINK):
        found.append(value)
    elif isinstance(value, _LIST):
        for index, item in enumerate(value):
            if not isinstance(item, str):
                _checked(item, f"{where}[{index}]", found)
    else:
        raise GraphError(f"{where}: {type(value).__name__} cannot be in a graph")
    return found
