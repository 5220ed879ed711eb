"""Secrets against their sources: a name that is almost a known one, and a source that nothing uses.

A secret without a source comes from the variable of its own name, so that a slip in either place would pass for
another secret. What counts as used is what any part of the spec names, in whichever environment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bedplate.diagnostics import Diagnostic, PathKey, Related, did_you_mean, meant, meant_or
from bedplate.sections import SECTIONS
from bedplate.spec.environments import ROOT
from bedplate.spec.grammar import IGNORED
from bedplate.spec.layers import DEFAULTS
from bedplate.spec.names import NAME, variable_of
from bedplate.spec.tree import Map, Node, Place, Scalar, at

# Nearer than for other words: redis-url and redis-auth may well be two.
_ALMOST = 0.8

Path = tuple[PathKey, ...]


@dataclass(slots=True)
class Secrets:
    """`sources`: the environments that have one, by the secret's name; `uses`: where it is named first."""

    tree: Map
    sources: dict[str, list[str]] = field(default_factory=dict)
    uses: dict[str, tuple[Path, Place]] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, tree: Map) -> Secrets:
        found = cls(tree)
        environments = tree.items.get(ROOT)
        names = tuple(environments.items) if isinstance(environments, Map) else ()
        for name in names:
            named = at(tree, (ROOT, name, "secrets"))
            for secret in named.items if isinstance(named, Map) else ():
                found.sources.setdefault(secret, []).append(name)
        if found.sources:
            for parent in ((), *((ROOT, name, "override") for name in names)):
                for key in (*SECTIONS, DEFAULTS):
                    node = at(tree, (*parent, key))
                    if node is not None:
                        found.look((*parent, key), node)
        return found

    def look(self, path: Path, node: Node) -> None:
        if isinstance(node, Scalar) or id(node) in self.seen:
            return
        self.seen.add(id(node))
        if not isinstance(node, Map):
            for index, item in enumerate(node.items):
                self.look((*path, index), item)
            return
        items = {key: item for key, item in node.items.items() if not key.startswith(IGNORED)}
        name = items.get("secret")
        if len(items) == 1 and isinstance(name, Scalar) and NAME.fullmatch(name.text):
            self.uses.setdefault(name.text, ((*path, "secret"), name.place))
        for key, item in items.items():
            self.look((*path, key), item)

    def almost(self) -> Iterator[Diagnostic]:
        """Secrets without a source whose names are almost those of others."""
        for name, (path, place) in self.uses.items():
            near = None if name in self.sources else did_you_mean(name, self.sources, _ALMOST)
            if near is None:
                continue
            environment = self.sources[near][0]
            own = f"environments.{environment}.secrets: {{{name}: {{env: {variable_of(name)}}}}}"
            source = self.place(environment, near)
            yield Diagnostic(
                "BP122",
                f"the secret {name} has no source, and {near} has one",
                path,
                place.span(),
                f"{meant(near)} if not, say where it comes from: {own}",
                related=(Related(source.span(), f"the source of {near}"),) if source else (),
            )

    def unused(self) -> Iterator[Diagnostic]:
        """Sources of secrets that nothing in the spec uses."""
        for name, environments in self.sources.items():
            if name in self.uses:
                continue
            for environment in environments:
                place = self.place(environment, name)
                known = [use for use in self.uses if environment not in self.sources.get(use, ())]
                yield Diagnostic(
                    "BP123",
                    f"nothing uses the secret {name}",
                    (ROOT, environment, "secrets", name),
                    place.span() if place else None,
                    meant_or(name, known, "take it out, or name it where it is used: {secret: " + name + "}"),
                )

    def place(self, environment: str, name: str) -> Place | None:
        named = at(self.tree, (ROOT, environment, "secrets"))
        return named.keys.get(name) if isinstance(named, Map) else None
