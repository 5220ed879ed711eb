"""Overrides and defaults on the tree: what merges, what replaces, what goes away, what fills in."""

from __future__ import annotations

from bedplate.spec.tree import Map, Node, Place, Scalar, is_null

# A key that says what a mapping is: when it changes, nothing of the old mapping fits the new one.
TAGS = ("type", "engine", "runtime", "target")

# Keys of which a mapping has one: to choose another takes the first away.
ALTERNATIVES = (
    frozenset({"path", "mlflow"}),
    frozenset({"replicas", "autoscaling"}),
    frozenset({"model", "models"}),
)


def overlay(base: Node, over: Node) -> Node:
    """`over` on `base`: mappings merge by key, everything else replaces, null removes.

    What `over` does not name is the same node as in `base`.
    """
    if not isinstance(base, Map) or not isinstance(over, Map) or _retagged(base, over):
        return without_nulls(over)
    items, keys, removed = dict(base.items), dict(base.keys), dict(base.removed)
    for key in over.items:
        for rival in rivals(key) & items.keys() - over.items.keys():
            del items[rival], keys[rival]
    for key, value in over.items.items():
        if is_null(value):
            _remove(key, items, keys)
            removed[key] = over.keys[key]
            continue
        joined = isinstance(items.get(key), Map) and isinstance(value, Map)
        items[key] = overlay(items[key], value) if key in items else without_nulls(value)
        if not joined:
            keys[key] = over.keys[key]
    return Map(items, keys, base.place, removed)


def fill(node: Node, defaults: Node) -> Node:
    """`node` with what it leaves out taken from `defaults`, deep; what an override removed stays away."""
    if not isinstance(node, Map) or not isinstance(defaults, Map) or _retagged(defaults, node):
        return node
    items, keys = dict(node.items), dict(node.keys)
    for key, value in defaults.items.items():
        if key in items:
            items[key] = fill(items[key], value)
        elif key not in node.removed and not rivals(key) & node.items.keys():
            items[key], keys[key] = value, defaults.keys[key]
    return Map(items, keys, node.place, node.removed)


def without_nulls(node: Node) -> Node:
    """An override that meets nothing: what it removes is not there anyway."""
    if not isinstance(node, Map):
        return node
    kept = {key: without_nulls(value) for key, value in node.items.items() if not is_null(value)}
    removed = {key: node.keys[key] for key in node.items if key not in kept}
    return Map(kept, {key: node.keys[key] for key in kept}, node.place, removed)


def _remove(key: str, items: dict[str, Node], keys: dict[str, Place]) -> None:
    items.pop(key, None)
    keys.pop(key, None)


def _retagged(base: Map, over: Map) -> bool:
    for tag in TAGS:
        old, new = base.items.get(tag), over.items.get(tag)
        if isinstance(old, Scalar) and isinstance(new, Scalar) and not new.is_null and old.text != new.text:
            return True
    return False


def rivals(key: str) -> frozenset[str]:
    """The keys that exclude a key."""
    for group in ALTERNATIVES:
        if key in group:
            return group - {key}
    return frozenset()
