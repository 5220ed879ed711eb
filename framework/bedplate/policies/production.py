"""What `mode: production` demands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from bedplate.compiler import Compiled
from bedplate.graph import mappings
from bedplate.policies.policy import Applies, Breach, Policy, resources
from bedplate.spec.project import Environment

_WORKLOADS = ("Deployment", "Rollout")


def _state(compiled: Compiled, environment: Environment) -> Iterator[Breach]:
    backend = environment.settings.state.backend if environment.settings.state else None
    if environment.is_production and (backend is None or urlsplit(backend).scheme == "file"):
        yield Breach(
            f"the state of {environment.name} would lie in files of one machine",
            "name a backend that everybody shares: state: {backend: s3://BUCKET}",
            field=("state",),
        )


def _digests(compiled: Compiled, environment: Environment) -> Iterator[Breach]:
    if not environment.is_production:
        return
    for stack, resource in resources(compiled, *_WORKLOADS):
        images = (part.get("image") for part in mappings(resource.properties))
        for image in sorted({name for name in images if isinstance(name, str) and "@sha256:" not in name}):
            yield Breach(
                f"production runs images by digest, and {image} is by tag",
                "write image: ...@sha256:DIGEST",
                stack,
                resource.name,
                ("image",),
            )


def _gates(compiled: Compiled, environment: Environment) -> Iterator[Breach]:
    if not environment.is_production:
        return
    for stack, resource in resources(compiled, *_WORKLOADS):
        spec = resource.properties.get("spec")
        strategy = spec.get("strategy") if isinstance(spec, Mapping) else None
        canary = strategy.get("canary") if isinstance(strategy, Mapping) else None
        if not isinstance(canary, Mapping):
            message, field = "a change would reach all callers at once", "canary"
        elif "analysis" not in canary:
            message, field = "a canary would be promoted whatever it does: it has no gates", "gates"
        else:
            continue
        yield Breach(
            message,
            "production needs rollout: {canary: [{weight: 5%, hold: 1h}]}, an slo, and a Prometheus to ask",
            stack,
            resource.name,
            ("rollout", field),
        )


def _replicas(compiled: Compiled, environment: Environment) -> Iterator[Breach]:
    if not environment.is_production:
        return
    for stack, resource in resources(compiled, *_WORKLOADS, "HorizontalPodAutoscaler", "ScaledObject"):
        spec = resource.properties.get("spec")
        for key, field in (
            ("replicas", ("replicas",)),
            ("minReplicas", ("autoscaling", "min")),
            ("minReplicaCount", ("autoscaling", "min")),
        ):
            count = spec.get(key) if isinstance(spec, Mapping) else None
            if isinstance(count, int) and count < 2:
                yield Breach(
                    "one replica is none while its node is drained",
                    "2 or more in production",
                    stack,
                    resource.name,
                    field,
                )


_PRODUCTION = Applies(mode="production")
_OBJECTS = Applies("kubernetes:*", mode="production")
POLICIES = (
    Policy("BP701", "production keeps its state where everybody shares it", _state, applies=_PRODUCTION),
    Policy("BP702", "production runs images by digest", _digests, applies=_OBJECTS),
    Policy("BP703", "production changes through gates", _gates, applies=_OBJECTS),
    Policy("BP704", "production survives a drained node", _replicas, applies=_OBJECTS),
)
