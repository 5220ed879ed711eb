"""The located tree to one Project per environment, with everything that is wrong said at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import BaseModel

from bedplate.diagnostics import Diagnostic, merged, ordered
from bedplate.sections import SECTIONS
from bedplate.spec.environments import Resolved, resolve
from bedplate.spec.frame import EnvironmentSpec, Frame, Variable
from bedplate.spec.grammar import IGNORED, Model, Read, entries, read, unknown_key
from bedplate.spec.load import Loaded
from bedplate.spec.overlay import overlay
from bedplate.spec.project import Project
from bedplate.spec.references import References
from bedplate.spec.tree import Map, Node, Place, at, scalars


@dataclass(frozen=True, slots=True)
class Validated:
    """The environments in which the spec holds, and what is wrong with the others.

    Cross-checks of sections have run where something is wrong; where nothing is, they are the compiler's
    first step.
    """

    projects: Mapping[str, Project]
    diagnostics: tuple[Diagnostic, ...] = ()


def validate(loaded: Loaded) -> Validated:
    """Every environment of a loaded spec."""
    if loaded.tree is None:
        return Validated({}, loaded.diagnostics)
    return _Validation(loaded.tree, loaded.diagnostics).run()


@dataclass(slots=True)
class _Validation:
    tree: Map
    loading: tuple[Diagnostic, ...]
    # (section, name, identity of the node, environment where it holds references) -> what came of it
    seen: dict[tuple[str, str, int, str], Read[BaseModel]] = field(default_factory=dict)
    referring: dict[int, bool] = field(default_factory=dict)

    def run(self) -> Validated:
        frame = read(Frame, self.tree, (), also_known=SECTIONS)
        variables, variable_problems = self.named("variables", Variable)
        environments, environment_problems = self.named("environments", EnvironmentSpec)
        resolved, resolve_problems = resolve(
            self.tree,
            environments,
            frozenset(self.names("environments")) - environments.keys(),
            variables,
            frozenset(self.names("variables")) - variables.keys(),
        )
        problems = [
            *self.loading, *frame.diagnostics, *variable_problems, *environment_problems, *resolve_problems,
            *self.override_problems(),
        ]  # fmt: skip
        known = frozenset(self.names("variables"))
        found = {item.environment.name: self.environment(item, frame.model, known) for item in resolved}
        diagnostics = ordered([*problems, *merged({name: said for name, (_, said) in found.items()})])
        whole = not any(d.severity == "error" for d in problems)
        projects = {name: project for name, (project, said) in found.items() if whole and not said}
        return Validated(projects, diagnostics)

    def named(self, section: str, model: type[Model]) -> tuple[dict[str, Model], list[Diagnostic]]:
        nodes, problems = entries(self.tree, section)
        models = {}
        for name, node in nodes.items():
            found = read(model, node, (section, name), self.tree_key(section, name))
            problems.extend(found.diagnostics)
            if found.model is not None:
                models[name] = found.model
        return models, problems

    def tree_key(self, section: str, name: str) -> Place:
        node = self.tree.items[section]
        return node.keys[name] if isinstance(node, Map) else node.place

    def names(self, section: str) -> tuple[str, ...]:
        node = self.tree.items.get(section)
        return tuple(node.items) if isinstance(node, Map) else ()

    def override_problems(self) -> list[Diagnostic]:
        problems = []
        for name in self.names("environments"):
            node = at(self.tree, ("environments", name, "override"))
            for key in node.items if isinstance(node, Map) else ():
                if isinstance(node, Map) and key not in SECTIONS and not key.startswith(IGNORED):
                    path = ("environments", name, "override", key)
                    problems.append(unknown_key(key, path, node.keys[key], SECTIONS))
        return problems

    def environment(
        self, resolved: Resolved, frame: Frame | None, variables: frozenset[str]
    ) -> tuple[Project, list[Diagnostic]]:
        tree = self.tree
        for override in resolved.overrides:
            sections = Map(
                {k: v for k, v in override.items.items() if k in SECTIONS}, override.keys, override.place
            )
            tree = _as_map(overlay(tree, sections), tree)
        environment = resolved.environment
        references = References(environment.name, environment.variables, variables)
        sections_read: dict[str, dict[str, BaseModel]] = {}
        problems: list[Diagnostic] = []
        for key in SECTIONS:
            sections_read[key], said = self.section(tree, key, references)
            problems.extend(said)
        project = Project(frame.project if frame else "", environment, sections_read, tree=tree)
        if problems:
            problems.extend(cross_checks(project))
        return project, problems

    def section(
        self, tree: Map, section: str, references: References
    ) -> tuple[dict[str, BaseModel], list[Diagnostic]]:
        nodes, problems = entries(tree, section)
        whole = tree.items.get(section)
        models = {}
        for name, node in nodes.items():
            environment = references.environment if self.refers(node) else ""
            identity = (section, name, id(node), environment)
            found = self.seen.get(identity)
            if found is None:
                key = whole.keys[name] if isinstance(whole, Map) else node.place
                found = read(SECTIONS[section].Model, node, (section, name), key, references)
                self.seen[identity] = found
            problems.extend(found.diagnostics)
            if found.model is not None:
                models[name] = found.model
        return models, problems

    def refers(self, node: Node) -> bool:
        known = self.referring.get(id(node))
        if known is None:
            known = self.referring[id(node)] = any("${" in scalar.text for scalar in scalars(node))
        return known


def cross_checks(project: Project) -> list[Diagnostic]:
    """What is wrong across fields and sections, located."""
    found = (d for key, entry in project.sections.items() for d in SECTIONS[key].check(entry, project))
    return [d if d.span else replace(d, span=project.span(d.path, at_key=d.at_key)) for d in found]


def _as_map(node: Node, fallback: Map) -> Map:
    return node if isinstance(node, Map) else fallback
