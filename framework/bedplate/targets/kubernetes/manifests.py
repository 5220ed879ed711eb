"""A graph's objects as plain manifests, for kubectl, Argo CD or Flux: the same objects, each after what it names.

What is no object of a cluster, and a Secret whose values only an `up` reads, is not in them but named at their head.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bedplate.graph import Graph, Json, Resource, SecretRef, encode, secret_refs

_PREFIX = "kubernetes:"
_WIDTH = 110
_FIRST = ("apiVersion", "kind", "metadata")


@dataclass(frozen=True, slots=True)
class Manifests:
    """`objects` in the order in which they are applied; `others` are the resources that none of them is."""

    objects: tuple[Mapping[str, Json], ...]
    others: tuple[Resource, ...]
    graph: Graph

    def to_yaml(self) -> str:
        """One document for each object; the same graph gives the same text."""
        import yaml

        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the same text, some times as fast
        text = yaml.dump_all(
            self.objects,
            Dumper=dumper,
            sort_keys=False,
            allow_unicode=False,
            width=_WIDTH,
            explicit_start=True,
        )
        return "".join(f"# {line}\n" for line in self._head()) + str(text)

    def _head(self) -> Iterator[str]:
        graph = self.graph
        yield f"{graph.project}, {graph.stack} in {graph.environment}; written by bedplate compile --format manifests"
        for resource in self.others:
            yield from _needed(resource, graph.secrets)


def manifests(graph: Graph) -> Manifests:
    """The manifests of a graph of the target kubernetes."""
    objects, others = [], []
    for resource in graph.in_order():
        if resource.type.startswith(_PREFIX) and not secret_refs(resource.properties):
            objects.append(_document(resource))
        else:
            others.append(resource)
    return Manifests(tuple(objects), tuple(others), graph)


def _document(resource: Resource) -> Mapping[str, Json]:
    data = {key: encode(value) for key, value in resource.properties.items()}
    return {**{key: data[key] for key in _FIRST}, **data}


def _needed(resource: Resource, secrets: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """What has to be there that is not in the manifests."""
    properties = resource.properties
    match properties.get("metadata"), properties.get("stringData"):
        case {"name": str(name), "namespace": str(namespace)}, dict(values):
            yield f"Needed: the Secret {name} in {namespace}, with"
            for key, value in values.items():
                if isinstance(value, SecretRef):
                    yield f"  {key}: the secret {value.name}, from {_source(secrets[value.name])}"
                else:
                    yield f"  {key}: {value}"
        case _:
            yield f"Needed: {resource.name} ({resource.type}), which `bedplate up` makes"


def _source(source: Mapping[str, str]) -> str:
    match source:
        case {"env": str(variable)}:
            return f"the environment variable {variable}"
        case {"kubernetes": str(name), "key": str(key)}:
            return f"the key {key} of the Secret {name}"
    return ", ".join(f"{key} {value}" for key, value in sorted(source.items()))
