"""Environments resolved: `extends` followed from the root down, settings merged, variables given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bedplate.diagnostics import Diagnostic, meant_or
from bedplate.spec.frame import EnvironmentSpec, Variable
from bedplate.spec.grammar import read
from bedplate.spec.overlay import overlay
from bedplate.spec.project import Environment
from bedplate.spec.references import ReferenceProblem, References, SaidElsewhere
from bedplate.spec.tree import Map, Node, Scalar, at, find

LOCAL = "local"
ROOT = "environments"
DEVELOPMENT = "development"

# What means one environment alone, or is gathered along the chain: not merged as settings are.
NOT_INHERITED = ("extends", "abstract", "promotes_from", "override", "protect")
_OWN = (*NOT_INHERITED, "variables", "secrets")


@dataclass(frozen=True, slots=True)
class Layer:
    """Where values may come from: the spec's own sections, or the override of an environment."""

    what: str
    tree: Map


@dataclass(frozen=True, slots=True)
class Resolved:
    """An environment to be applied, the overrides that make its tree (the root's first), its references."""

    environment: Environment
    overrides: tuple[Layer, ...]
    references: References


@dataclass(frozen=True, slots=True)
class Written:
    """The parts of the spec that environments are made of. `broken` could not be read, which has been said.

    `declared` are the names of all variables, or None where the text gives no names.
    """

    tree: Map
    project: str
    timezone: str
    environments: Mapping[str, EnvironmentSpec]
    broken: frozenset[str]
    variables: Mapping[str, Variable]
    declared: frozenset[str] | None


def resolve(written: Written) -> tuple[list[Resolved], list[Diagnostic]]:
    """Every environment that is no template and whose chain holds, and what is wrong with the others."""
    specs = dict(written.environments)
    unsaid = isinstance(written.tree.items.get(ROOT, written.tree), Map)
    if not specs and not written.broken and unsaid:
        specs[LOCAL] = EnvironmentSpec.model_construct(target=LOCAL)
    resolver = _Resolver(written, specs)
    resolved = [found for name in specs if (found := resolver.resolve(name)) is not None]
    return resolved, resolver.diagnostics


def nowhere(written: Written) -> Resolved:
    """In the place of environments that are all wrong, so that what the sections say is looked at."""
    settings = EnvironmentSpec.model_construct(target=LOCAL)
    values = {name: variable.default or "" for name, variable in written.variables.items()}
    references = References("", written.project, values, written.declared)
    return Resolved(Environment(written.project, "", LOCAL, DEVELOPMENT, settings), (), references)


class _Resolver:
    def __init__(self, written: Written, specs: Mapping[str, EnvironmentSpec]) -> None:
        self.written, self.tree, self.specs = written, written.tree, specs
        self.diagnostics: list[Diagnostic] = []
        self.cycles: set[frozenset[str]] = set()

    def resolve(self, name: str) -> Resolved | None:
        self.undeclared(name)
        self.promoted(name)
        chain = self.chain(name)
        if chain is None or self.specs[name].abstract:
            return None
        references = self.references(name, chain)
        settings = self.settings(name, chain, references)
        if settings is None:
            return None
        if settings.target is None:
            self.report("BP021", "target is missing", name, hint="add it, such as target: local")
            return None
        environment = Environment(
            self.written.project,
            name,
            settings.target,
            settings.mode or DEVELOPMENT,
            settings,
            self.values(references),
            {key: source for link in chain for key, source in self.specs[link].secrets.items()},
            tuple(dict.fromkeys(address for link in chain for address in self.specs[link].protect)),
            self.specs[name].promotes_from,
            self.written.timezone,
        )
        overrides = ((link, at(self.tree, (ROOT, link, "override"))) for link in chain)
        layers = (Layer(f"override of {link}", node) for link, node in overrides if isinstance(node, Map))
        return Resolved(environment, tuple(layers), references)

    def chain(self, name: str) -> list[str] | None:
        """The environments that `name` is made of, the root first; None where the chain does not hold."""
        chain = [name]
        while (parent := self.specs[chain[-1]].extends) is not None:
            if parent in chain:
                self.cycle([*chain[chain.index(parent) :], parent])
                return None
            if parent in self.written.broken:
                return None
            if parent not in self.specs:
                if len(chain) == 1:
                    self.unknown(name, parent, "extends")
                return None
            chain.append(parent)
        return chain[::-1]

    def settings(self, name: str, chain: list[str], references: References) -> EnvironmentSpec | None:
        """What the environments of the chain say, each on what it extends."""
        nodes = [node for link in chain if isinstance(node := at(self.tree, (ROOT, link)), Map)]
        if not nodes:  # the one that nobody wrote
            return self.specs[name]
        merged: Node = _inherited(nodes[0])
        for node in nodes[1:]:
            merged = overlay(merged, _inherited(node))
        key = find(self.tree, (ROOT, name), at_key=True)
        found = read(EnvironmentSpec, merged, (ROOT, name), key, references)
        said = {(d.code, d.span) for d in self.diagnostics}
        self.diagnostics += [d for d in found.diagnostics if (d.code, d.span) not in said]
        return found.model

    def references(self, name: str, chain: list[str]) -> References:
        given = {key: value for link in chain for key, value in self.specs[link].variables.items()}
        declared = {key: variable.default for key, variable in self.written.variables.items()}
        values = {key: value for key in declared if (value := given.get(key, declared[key])) is not None}
        missing = [key for key in declared if key not in values]
        known = self.written.declared
        misnamed = 0 if known is None else len(given.keys() - known)
        for variable in missing if len(missing) > misnamed else ():  # else they have values under wrong names
            self.diagnostics.append(
                Diagnostic(
                    "BP106",
                    f"the variable {variable} has no value in the environment {name}",
                    ("variables", variable),
                    find(self.tree, ("variables", variable), at_key=True).span(),
                    f"give it a default, or a value in environments.{name}.variables",
                )
            )
        return References(name, self.written.project, values, known)

    def values(self, references: References) -> dict[str, str]:
        """Every variable with its references resolved."""
        values = {}
        for variable, text in references.variables.items():
            try:
                values[variable] = references.resolve(text, (f"var.{variable}",))
            except SaidElsewhere:
                continue
            except ReferenceProblem as problem:
                self.in_variable(variable, references.environment, problem)
        return values

    def in_variable(self, variable: str, environment: str, problem: ReferenceProblem) -> None:
        path: tuple[str, ...] = (ROOT, environment, "variables", variable)
        if at(self.tree, path) is None:
            path = ("variables", variable, "default")
        node = at(self.tree, path)
        place = node.place if isinstance(node, Scalar) else find(self.tree, path)
        told = Diagnostic(problem.code, problem.message, path, place.span(), problem.hint)
        if told not in self.diagnostics:
            self.diagnostics.append(told)

    def unknown(self, name: str, other: str, key: str) -> None:
        hint = meant_or(other, self.specs, f"there are: {', '.join(sorted(self.specs))}")
        self.report("BP102", f"there is no environment {other}", name, key, hint=hint)

    def promoted(self, name: str) -> None:
        origin = self.specs[name].promotes_from
        if origin is None or origin in self.written.broken:
            return
        if origin not in self.specs:
            self.unknown(name, origin, "promotes_from")
            return
        if self.specs[origin].abstract:
            others = sorted(each for each, spec in self.specs.items() if each != name and not spec.abstract)
            self.report(
                "BP102",
                f"the environment {origin} is abstract: nothing runs there",
                name,
                "promotes_from",
                hint=f"there are: {', '.join(others)}" if others else "take it out",
            )
        links = [name]
        while origin is not None and origin in self.specs and origin not in links:
            links.append(origin)
            origin = self.specs[origin].promotes_from
        if origin == name:
            self.cycle([*links, name], "promotes_from", "promote from each other")

    def cycle(self, links: list[str], key: str = "extends", what: str = "extend each other") -> None:
        if frozenset((key, *links)) not in self.cycles:
            self.cycles.add(frozenset((key, *links)))
            first = min(range(len(links) - 1), key=lambda i: find(self.tree, (ROOT, links[i])).line)
            turned = [*links[first:-1], *links[:first], links[first]]
            self.report("BP103", f"environments {what}: {' -> '.join(turned)}", turned[0], key)

    def undeclared(self, name: str) -> None:
        known = self.written.declared
        for variable in self.specs[name].variables:
            if known is not None and variable not in known:
                declare = f"declare it: variables: {{{variable}: {{type: string}}}}"
                self.report(
                    "BP105",
                    f"the variable {variable} is not declared",
                    name,
                    "variables",
                    variable,
                    hint=meant_or(variable, known, declare),
                    at_key=True,
                )

    def report(
        self, code: str, message: str, *path: str, hint: str | None = None, at_key: bool = False
    ) -> None:
        where = (ROOT, *path)
        self.diagnostics.append(
            Diagnostic(code, message, where, find(self.tree, where, at_key=at_key).span(), hint)
        )


def _inherited(node: Map) -> Map:
    return replace(node, items={key: value for key, value in node.items.items() if key not in _OWN})
