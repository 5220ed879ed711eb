"""Entries of an override whose names are almost those of others: said once, and read as what was meant.

An override may add entries, so that a slip in a name would add one, or override nothing. What counts as a slip is
narrow: names are often alike on purpose (`eu1` and `eu2`, `delay-a` and `delay-b`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bedplate.diagnostics import Diagnostic, did_you_mean
from bedplate.sections import SECTIONS
from bedplate.spec.environments import ROOT
from bedplate.spec.grammar import IGNORED, read
from bedplate.spec.layers import DEFAULTS
from bedplate.spec.overlay import fill, without_nulls
from bedplate.spec.references import AsWritten
from bedplate.spec.tree import Map, Node, Scalar, at, is_null

_LACKS = ("BP021", "BP028")
_FEWEST_LETTERS = 5


def mended(tree: Map) -> tuple[Map, list[Diagnostic]]:
    """The tree with the entries that were meant, and what is said of those that were written."""
    found: list[Diagnostic] = []
    for environment in _items(tree, (ROOT,)):
        for section in SECTIONS:
            path = (ROOT, environment, "override", section)
            meant = dict(_Override(tree, environment, section).slips())
            node = at(tree, path)
            if meant and isinstance(node, Map):
                found += [_told(path, key, node, other) for key, other in meant.items()]
                tree = _with(tree, path, _renamed(node, meant))
    return tree, found


def _told(path: tuple[str, ...], key: str, node: Map, meant: str) -> Diagnostic:
    return Diagnostic(
        "BP124",
        f"there is no {path[-1]}.{key} to override",
        (*path, key),
        node.keys[key].span(),
        f"did you mean {meant}? (a new entry needs a name that is not almost another's)",
    )


@dataclass(frozen=True, slots=True)
class _Override:
    """What an environment's override says of one section."""

    tree: Map
    environment: str
    section: str

    def slips(self) -> Iterator[tuple[str, str]]:
        """Keys that are almost those of entries that can be overridden here, and the keys of these."""
        own = self.entries(self.environment)
        below = {**_items(self.tree, (self.section,)), **self.inherited()}
        wanted = below.keys() - own.keys()
        for key, node in own.items():
            if key in below or key.startswith(IGNORED) or self.elsewhere(key):
                continue
            meant = next((other for other in sorted(wanted) if one_slip(key, other)), None)
            if meant is None or self.named_alike(key):
                meant = did_you_mean(key, wanted) if self.lacks(key, node) else None
            if meant is not None:
                wanted -= {meant}
                yield key, meant

    def entries(self, environment: str) -> dict[str, Node]:
        """What it writes; what it removes is looked at elsewhere."""
        found = _items(self.tree, (ROOT, environment, "override", self.section))
        return {key: node for key, node in found.items() if not is_null(node)}

    def inherited(self) -> dict[str, Node]:
        """What the environments that this one extends add."""
        found: dict[str, Node] = {}
        chain = [self.environment]
        while isinstance(parent := at(self.tree, (ROOT, chain[-1], "extends")), Scalar):
            if parent.text in chain:
                break
            chain.append(parent.text)
            found |= self.entries(parent.text)
        return found

    def elsewhere(self, key: str) -> bool:
        """Whether another environment writes it too: it is no slip, and may be completed there."""
        others = (name for name in _items(self.tree, (ROOT,)) if name != self.environment)
        return any(key in self.entries(name) for name in others)

    def named_alike(self, key: str) -> bool:
        """Whether another section has an entry of this name: a service for a model of its own."""
        override = (ROOT, self.environment, "override")
        sections = [section for section in SECTIONS if section != self.section]
        return any(key in _items(self.tree, (*path, s)) for path in ((), override) for s in sections)

    def lacks(self, key: str, node: Node) -> bool:
        """Whether it cannot be a new entry: fields that it needs are missing."""
        whole = without_nulls(node)
        for path in ((ROOT, self.environment, "override", DEFAULTS), (DEFAULTS,)):
            defaults = at(self.tree, (*path, self.section))
            whole = fill(whole, defaults) if defaults is not None else whole
        said = read(SECTIONS[self.section].Model, whole, (self.section, key), None, AsWritten()).diagnostics
        return any(diagnostic.code in _LACKS for diagnostic in said)


def one_slip(written: str, known: str) -> bool:
    """Whether one letter too many, too few or wrong, two swapped, or a lost dash makes one name of the other.

    Never what tells siblings apart: a digit, a last letter, a short part such as `eu`.
    """
    if abs(len(written) - len(known)) > 1 or max(len(written), len(known)) < _FEWEST_LETTERS:
        return False
    ours, theirs = re.split("[-_]", written), re.split("[-_]", known)
    if len(ours) != len(theirs):
        return "".join(ours) == "".join(theirs)
    unlike = [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]]
    return len(unlike) == 1 and _one_edit(*unlike[0])


def _one_edit(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    if len(long) < _FEWEST_LETTERS:
        return False
    start = next((i for i, letter in enumerate(short) if letter != long[i]), len(short))
    left, right = short[start:], long[start:]
    while left and left[-1] == right[-1]:
        left, right = left[:-1], right[:-1]
    if any(letter.isdigit() for letter in left + right):
        return False
    if len(left) == len(right) == 2:
        return left == right[::-1]
    if start + len(right) == len(long):  # a plural, or a letter written twice
        return not left and len(right) == 1 and (right == "s" or long[-2:-1] == right)
    return len(left) <= 1 and len(right) == 1


def _items(tree: Map, path: tuple[str, ...]) -> Mapping[str, Node]:
    node = at(tree, path)
    return node.items if isinstance(node, Map) else {}


def _renamed(node: Map, names: Mapping[str, str]) -> Map:
    items = {names.get(key, key): value for key, value in node.items.items()}
    return replace(node, items=items, keys={names.get(key, key): place for key, place in node.keys.items()})


def _with(tree: Map, path: tuple[str, ...], node: Node) -> Map:
    """The tree with another node at `path`, through mappings that are all there."""
    if len(path) > 1:
        below = tree.items[path[0]]
        node = _with(below, path[1:], node) if isinstance(below, Map) else below
    return replace(tree, items={**tree.items, path[0]: node})
