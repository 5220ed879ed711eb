"""Environments resolved: `extends` followed from the root down, variables and secrets' sources gathered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.diagnostics import Diagnostic, did_you_mean
from bedplate.spec.frame import EnvironmentSpec, Variable
from bedplate.spec.project import Environment
from bedplate.spec.tree import Map, at, find

LOCAL = "local"
ROOT = "environments"


@dataclass(frozen=True, slots=True)
class Resolved:
    """An environment to be applied, and the overrides that make its tree: the root's first."""

    environment: Environment
    overrides: tuple[Map, ...] = ()


def resolve(
    tree: Map,
    written: Mapping[str, EnvironmentSpec],
    broken: frozenset[str],
    variables: Mapping[str, Variable],
    broken_variables: frozenset[str],
) -> tuple[list[Resolved], list[Diagnostic]]:
    """Every environment that is no template and whose chain holds, and what is wrong with the others.

    `broken` were written and could not be read: what is wrong with them has been said.
    """
    specs = dict(written)
    if LOCAL not in specs and LOCAL not in broken:
        specs[LOCAL] = EnvironmentSpec.model_construct(target=LOCAL)
    resolver = _Resolver(tree, specs, broken, variables, broken_variables)
    resolved = [found for name in specs if (found := resolver.resolve(name)) is not None]
    return resolved, resolver.diagnostics


class _Resolver:
    def __init__(
        self,
        tree: Map,
        specs: Mapping[str, EnvironmentSpec],
        broken: frozenset[str],
        variables: Mapping[str, Variable],
        broken_variables: frozenset[str],
    ) -> None:
        self.tree, self.specs, self.broken = tree, specs, broken
        self.variables, self.broken_variables = variables, broken_variables
        self.diagnostics: list[Diagnostic] = []
        self.cycles: set[frozenset[str]] = set()

    def resolve(self, name: str) -> Resolved | None:
        self.undeclared(name)
        chain = self.chain(name)
        if chain is None or self.specs[name].abstract:
            return None
        specs = [self.specs[link] for link in chain]
        target = next((spec.target for spec in reversed(specs) if spec.target), None)
        if target is None and name == LOCAL:
            target = LOCAL
        if target is None:
            self.report("BP021", "target is missing", name, hint="add it, such as target: local")
            return None
        secrets = {key: {"env": source.env} for spec in specs for key, source in spec.secrets.items()}
        environment = Environment(name, target, self.values(name, specs), secrets)
        overrides = (at(self.tree, (ROOT, link, "override")) for link in chain)
        return Resolved(environment, tuple(node for node in overrides if isinstance(node, Map)))

    def chain(self, name: str) -> list[str] | None:
        """The environments that `name` is made of, the root first; None where the chain does not hold."""
        chain = [name]
        while (parent := self.specs[chain[-1]].extends) is not None:
            if parent in chain:
                self.cycle([*chain[chain.index(parent) :], parent])
                return None
            if parent in self.broken:
                return None
            if parent not in self.specs:
                if len(chain) == 1:
                    self.unknown(name, parent)
                return None
            chain.append(parent)
        return chain[::-1]

    def unknown(self, name: str, parent: str) -> None:
        near = did_you_mean(parent, self.specs)
        known = f"there are: {', '.join(sorted(self.specs))}"
        self.report(
            "BP102",
            f"there is no environment {parent}",
            name,
            "extends",
            hint=f"did you mean {near}?" if near else known,
        )

    def cycle(self, links: list[str]) -> None:
        if frozenset(links) not in self.cycles:
            self.cycles.add(frozenset(links))
            first = min(range(len(links) - 1), key=lambda i: find(self.tree, (ROOT, links[i])).line)
            turned = [*links[first:-1], *links[:first], links[first]]
            self.report(
                "BP103", f"environments extend each other: {' -> '.join(turned)}", turned[0], "extends"
            )

    def undeclared(self, name: str) -> None:
        known = {*self.variables, *self.broken_variables}
        for variable in self.specs[name].variables:
            if variable not in known:
                near = did_you_mean(variable, known)
                declare = f"declare it: variables: {{{variable}: {{type: string}}}}"
                self.report(
                    "BP105",
                    f"the variable {variable} is not declared",
                    name,
                    "variables",
                    variable,
                    hint=f"did you mean {near}?" if near else declare,
                    at_key=True,
                )

    def values(self, name: str, specs: list[EnvironmentSpec]) -> dict[str, str]:
        given = {key: value for spec in specs for key, value in spec.variables.items()}
        values = {}
        for variable, declared in self.variables.items():
            value = given.get(variable, declared.default)
            if value is not None:
                values[variable] = value
                continue
            self.diagnostics.append(
                Diagnostic(
                    "BP106",
                    f"the variable {variable} has no value in the environment {name}",
                    ("variables", variable),
                    find(self.tree, ("variables", variable), at_key=True).span(),
                    f"give it a default, or a value in environments.{name}.variables",
                )
            )
        return values

    def report(
        self, code: str, message: str, *path: str, hint: str | None = None, at_key: bool = False
    ) -> None:
        where = (ROOT, *path)
        self.diagnostics.append(
            Diagnostic(code, message, where, find(self.tree, where, at_key=at_key).span(), hint)
        )
