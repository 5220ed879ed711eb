"""Names and labels as Kubernetes takes them, and where an environment's objects go."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

from bedplate.graph import Value
from bedplate.spec.names import world_name
from bedplate.spec.project import Environment

LABEL_LENGTH = 63
_HASH_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where the objects of one project in one environment are."""

    project: str
    environment: str
    namespace: str
    prometheus: str | None = None
    gateway: str | None = None
    gateway_namespace: str | None = None
    artifacts: str | None = None

    def metadata(self, name: str, component: str) -> dict[str, Value]:
        """What every object says of itself."""
        return {
            "name": dns_name(name),
            "namespace": self.namespace,
            "labels": self.labels(name, component),
        }

    def labels(self, name: str, component: str) -> dict[str, Value]:
        """The recommended labels: https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels."""
        return {
            **selector(name),
            "app.kubernetes.io/component": component,
            "app.kubernetes.io/part-of": dns_name(self.project),
            "app.kubernetes.io/managed-by": "bedplate",
        }


def place(environment: Environment) -> Place:
    """Where the objects of an environment go. One that names no cluster has been refused."""
    told = environment.settings.kubernetes
    gateway = told.gateway if told else None
    return Place(
        environment.project,
        environment.name,
        told.namespace if told else "",
        told.prometheus if told else None,
        gateway.name if gateway else None,
        (gateway.namespace if gateway else None) or (told.namespace if told else None),
        environment.settings.artifacts,
    )


def selector(name: str) -> dict[str, Value]:
    """The labels by which a service's pods are known: nothing that a new version changes."""
    return {"app.kubernetes.io/name": dns_name(name)}


@cache
def dns_name(*parts: str) -> str:
    """Parts joined as a DNS-1123 label, which ends with no -. One that is too long is cut, and gets a hash."""
    whole = "-".join(parts)
    name = world_name(whole)
    if len(name) <= LABEL_LENGTH:
        return name
    digest = hashlib.sha256(whole.encode()).hexdigest()[:_HASH_DIGITS]
    return f"{name[: LABEL_LENGTH - _HASH_DIGITS - 1].rstrip('-')}-{digest}"
