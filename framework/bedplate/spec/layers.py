"""The sections of one environment, made of layers: the spec, overrides from the root's down, defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bedplate.sections import SECTIONS
from bedplate.spec.environments import Layer
from bedplate.spec.overlay import fill, overlay
from bedplate.spec.tree import Map, Node, Scalar, Seq

BASE = "the spec"
DEFAULTS = "defaults"
ENVIRONMENTS = "environments"


@dataclass(slots=True)
class Sections:
    """Nodes are shared between environments wherever they are the same, so that each is read once.

    `environments` are the names of all. Defaults of a section in `broken_defaults` fill nothing: what is wrong
    with them has been said.
    """

    environments: frozenset[str]
    broken_defaults: set[str] = field(default_factory=set)
    # (identity of an entry, identity of the defaults) -> both, and what they make
    filled: dict[tuple[int, int], tuple[Node, Node, Node]] = field(default_factory=dict)

    def of(self, layers: Sequence[Layer], environment: str) -> tuple[Map, dict[str, frozenset[str]]]:
        """The tree in one environment, and by section the entries that exist in others only."""
        tree = layers[0].tree
        for layer in layers[1:]:
            merged = overlay(tree, self.only(layer.tree, DEFAULTS))
            tree = merged if isinstance(merged, Map) else tree
        defaults = self.defaults_of(tree)
        items = dict(tree.items)
        elsewhere = {}
        for section in SECTIONS:
            node = items.get(section)
            if not isinstance(node, Map):
                continue
            here = {name: entry for name, entry in node.items.items() if self.exists(entry, environment)}
            elsewhere[section] = frozenset(node.items) - here.keys()
            filling = None if section in self.broken_defaults else defaults.get(section)
            if filling is not None:
                here = {name: self.fill(entry, filling) for name, entry in here.items()}
            elif not elsewhere[section]:
                continue
            items[section] = replace(node, items=here)
        return replace(tree, items=items), elsewhere

    def exists(self, entry: Node, environment: str) -> bool:
        """Whether an entry exists there; one that names no environment by a slip exists everywhere.

        So it does in no environment, where everything is looked at.
        """
        listed = entry.items.get(ENVIRONMENTS) if isinstance(entry, Map) else None
        if not isinstance(listed, Seq) or not environment:
            return True
        names = {item.text for item in listed.items if isinstance(item, Scalar)}
        return environment in names or not names <= self.environments

    def fill(self, entry: Node, defaults: Node) -> Node:
        key = (id(entry), id(defaults))
        if key not in self.filled:
            self.filled[key] = (entry, defaults, fill(entry, defaults))
        return self.filled[key][2]

    @staticmethod
    def only(tree: Map, *more: str) -> Map:
        """The tree with its sections alone."""
        return replace(tree, items={k: v for k, v in tree.items.items() if k in SECTIONS or k in more})

    @staticmethod
    def defaults_of(tree: Map) -> Mapping[str, Node]:
        """The defaults that a tree has, by section."""
        node = tree.items.get(DEFAULTS)
        return {k: v for k, v in node.items.items() if k in SECTIONS} if isinstance(node, Map) else {}
