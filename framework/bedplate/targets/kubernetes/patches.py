"""Changes to compiled objects in Kubernetes' own words: a strategic merge, as the API server does it.

Mappings merge by key. A list of mappings merges by the key that Kubernetes merges it by; every other list is
replaced. What comes out is looked at by the policies like everything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from bedplate.diagnostics import Diagnostic, PathKey, did_you_mean
from bedplate.graph import Value
from bedplate.targets.kubernetes.object import Object
from bedplate.workloads import Patch, Service

# The patchMergeKey of lists in the API's own types (k8s.io/api, struct tags).
_MERGED_BY = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "topologySpreadConstraints": "topologyKey",
    "hostAliases": "ip",
}


def check(service: Service, objects: Sequence[Object], entry: tuple[PathKey, ...]) -> Iterator[Diagnostic]:
    """Patches of objects that are not there."""
    for patch in service.patches:
        if _target(patch, objects) is None:
            kinds = sorted({item.kind for item in objects})
            near = did_you_mean(patch.kind, kinds)
            named = f" called {patch.name}" if patch.name else ""
            yield Diagnostic(
                "BP230",
                f"there is no {patch.kind}{named} among the objects of {service.address}",
                (*entry, "kubernetes", "patches", patch.index, "kind"),
                help=f"did you mean {near}?"
                if near and near != patch.kind
                else f"there are: {', '.join(kinds)}",
            )


def applied(service: Service, objects: Sequence[Object]) -> tuple[Object, ...]:
    """The objects with every patch in its place."""
    changed = list(objects)
    for patch in service.patches:
        index = _target(patch, changed)
        if index is not None:
            item = changed[index]
            merged = _merge(item.content, patch.patch)
            if isinstance(merged, dict):
                changed[index] = replace(item, content=merged)
    return tuple(changed)


def _target(patch: Patch, objects: Sequence[Object]) -> int | None:
    for index, item in enumerate(objects):
        if item.kind == patch.kind and patch.name in (None, item.name):
            return index
    return None


def _merge(base: Value, patch: Value, key: str = "") -> Value:
    if isinstance(base, Mapping) and isinstance(patch, Mapping):
        merged = dict(base)
        for name, value in patch.items():
            merged[name] = _merge(base[name], value, name) if name in base else value
        return merged
    by = _MERGED_BY.get(key)
    if by is not None and _is_list(base) and _is_list(patch):
        return _merged_list(base, patch, by)
    return patch


def _merged_list(base: Value, patch: Value, by: str) -> Value:
    if isinstance(base, str | Mapping) or isinstance(patch, str | Mapping):
        return patch
    if not isinstance(base, Sequence) or not isinstance(patch, Sequence):
        return patch
    merged = list(base)
    for item in patch:
        places = [i for i, known in enumerate(merged) if _same(known, item, by)]
        if places:
            merged[places[0]] = _merge(merged[places[0]], item)
        else:
            merged.append(item)
    return tuple(merged)


def _same(one: Value, other: Value, by: str) -> bool:
    return (
        isinstance(one, Mapping) and isinstance(other, Mapping) and one.get(by) == other.get(by) is not None
    )


def _is_list(value: Value) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
