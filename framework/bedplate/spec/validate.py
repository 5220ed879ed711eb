"""The located tree to one Project per environment, with everything that is wrong said at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from pydantic import BaseModel

from bedplate.diagnostics import Diagnostic, merged, ordered, refuses
from bedplate.sections import KNOWN, SECTIONS
from bedplate.spec import almost, removals
from bedplate.spec.environments import LOCAL, Layer, Resolved, Written, nowhere, resolve
from bedplate.spec.frame import READ_WHOLE, EnvironmentSpec, Frame, Variable
from bedplate.spec.frame_checks import FrameChecks
from bedplate.spec.grammar import Model, Read, entries, meetings, no_mapping, read, unknown_keys
from bedplate.spec.layers import BASE, DEFAULTS, ENVIRONMENTS, Sections
from bedplate.spec.load import Loaded
from bedplate.spec.overlay import without_nulls
from bedplate.spec.project import Project
from bedplate.spec.references import AsWritten, Facts, References
from bedplate.spec.secret_sources import Secrets
from bedplate.spec.tree import Map, Node, Place, at, find, is_null, scalars


@dataclass(frozen=True, slots=True)
class Validated:
    """The environments in which the spec holds, and what is wrong with the others.

    Cross-checks of sections have run where something is wrong; where nothing is, they are the compiler's
    first step. `asked`: facts about files that references name and that were not known, by environment;
    `layers`: what each environment's tree was made of, what counts most last.
    """

    projects: Mapping[str, Project]
    diagnostics: tuple[Diagnostic, ...] = ()
    asked: Mapping[str, frozenset[tuple[str, ...]]] = field(default_factory=dict)
    layers: Mapping[str, tuple[Layer, ...]] = field(default_factory=dict)


def validate(loaded: Loaded, facts: Mapping[str, Facts] | None = None) -> Validated:
    """Every environment of a loaded spec. `facts`: what is known of entries' files, by environment."""
    if loaded.tree is None:
        return Validated({}, loaded.diagnostics)
    tree, slips = almost.mended(loaded.tree)
    return _Validation(tree, (*loaded.diagnostics, *slips), facts or {}).run()


@dataclass(slots=True)
class _Validation:
    tree: Map
    loading: tuple[Diagnostic, ...]
    facts: Mapping[str, Facts]
    # (section, name, identity of the node, environment where it holds references) -> what came of it
    seen: dict[tuple[str, str, int, str], Read[BaseModel]] = field(default_factory=dict)
    referring: dict[int, bool] = field(default_factory=dict)
    sections: Sections = field(init=False)
    refused: bool = False
    templates: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.sections = Sections(frozenset(self.names(ENVIRONMENTS)) or frozenset({LOCAL}))

    def run(self) -> Validated:
        frame = read(Frame, self.tree, (), also_known=SECTIONS)
        variables, variable_problems = self.named("variables", Variable)
        specs, environment_problems = self.named(ENVIRONMENTS, EnvironmentSpec, partial=True)
        self.templates = frozenset(name for name, spec in specs.items() if spec.abstract)
        written = Written(
            self.tree,
            frame.model.project if frame.model else "",
            frame.model.timezone if frame.model else "UTC",
            specs,
            frozenset(self.names(ENVIRONMENTS)) - specs.keys(),
            variables,
            frozenset(self.names("variables")) if self.is_mapping("variables") else None,
        )
        resolved, resolve_problems = resolve(written)
        across = FrameChecks(self.tree, specs, self.names(ENVIRONMENTS))
        secrets = Secrets.of(self.tree)
        problems = [
            *self.loading, *frame.diagnostics, *variable_problems, *environment_problems, *resolve_problems,
            *self.part_problems(), *self.removal_problems(across), *self.default_problems(), *across.run(),
            *secrets.almost(),
        ]  # fmt: skip
        if not resolved:  # their mistakes do not hide those of the sections
            resolved = [nowhere(written)]
            if not problems:
                problems.append(self.nothing_to_apply())
        self.refused = refuses(problems)
        policies = frame.model.policies if frame.model else None
        known = {
            item.environment.name: self.environment(item, written.project, policies) for item in resolved
        }
        found = {name: said for name, (_, said) in known.items()}
        diagnostics = ordered([*problems, *merged(found)])
        if not diagnostics:  # else what uses them may be among what could not be read
            diagnostics = ordered(secrets.unused())
            self.refused = refuses(diagnostics)
        projects = {name: project for name, (project, said) in known.items() if not self.refused and not said}
        asked = {item.environment.name: frozenset(item.references.asked) for item in resolved}
        asked = {name: names for name, names in asked.items() if names}
        layers = {item.environment.name: self.layers(item) for item in resolved}
        return Validated(projects, diagnostics, asked, layers)

    def layers(self, resolved: Resolved) -> tuple[Layer, ...]:
        return (Layer(BASE, self.tree), *resolved.overrides)

    def nothing_to_apply(self) -> Diagnostic:
        place = find(self.tree, (ENVIRONMENTS,), at_key=True)
        message = "every environment is abstract: there is nothing to apply"
        return Diagnostic("BP116", message, (ENVIRONMENTS,), place.span(), "add one that extends a template")

    def named(
        self, section: str, model: type[Model], *, partial: bool = False
    ) -> tuple[dict[str, Model], list[Diagnostic]]:
        nodes, problems = entries(self.tree, section)
        models = {}
        for name, node in nodes.items():
            key = self.tree_key(section, name)
            found = read(model, node, (section, name), key, AsWritten(), partial=partial, whole=READ_WHOLE)
            problems.extend(found.diagnostics)
            if found.model is not None:
                models[name] = found.model
        return models, problems

    def tree_key(self, section: str, name: str) -> Place:
        node = self.tree.items[section]
        return node.keys[name] if isinstance(node, Map) else node.place

    def is_mapping(self, section: str) -> bool:
        return isinstance(self.tree.items.get(section, self.tree), Map)

    def names(self, section: str) -> tuple[str, ...]:
        node = self.tree.items.get(section)
        return tuple(node.items) if isinstance(node, Map) else ()

    def part_problems(self) -> Iterator[Diagnostic]:
        """Unknown sections in overrides and in `defaults`."""
        for name in self.names(ENVIRONMENTS):
            override = (ENVIRONMENTS, name, "override")
            yield from unknown_keys(at(self.tree, override), override, (*SECTIONS, DEFAULTS))
        for path in self.default_paths():
            node = at(self.tree, path)
            yield from unknown_keys(node, path, SECTIONS)
            if len(path) > 1 and node is not None and not isinstance(node, Map) and not is_null(node):
                yield no_mapping(node, path, find(self.tree, path, at_key=True))

    def removal_problems(self, across: FrameChecks) -> Iterator[Diagnostic]:
        """Slips in what overrides remove."""
        for name in self.names(ENVIRONMENTS):
            for key, section in SECTIONS.items():
                where = (ENVIRONMENTS, name, "override", key)
                filling = (ENVIRONMENTS, name, "override", DEFAULTS, key)
                yield from removals.of_entries(section.Model, at(self.tree, where), where, across.known(key))
                yield from removals.of_fields(section.Model, at(self.tree, filling), filling)

    def default_problems(self) -> Iterator[Diagnostic]:
        """What is wrong with `defaults` is said there, not in every entry that they fill."""
        for path in self.default_paths():
            for section in SECTIONS:
                where = (*path, section)
                node = at(self.tree, where)
                if node is None or (is_null(node) and path != (DEFAULTS,)):
                    continue
                if path != (DEFAULTS,):  # an override removes by null
                    node = without_nulls(node)
                key = find(self.tree, where, at_key=True)
                told = read(SECTIONS[section].Model, node, where, key, AsWritten(), partial=True).diagnostics
                if told:
                    self.sections.broken_defaults.add(section)
                yield from told

    def default_paths(self) -> tuple[tuple[str, ...], ...]:
        overrides = ((ENVIRONMENTS, name, "override", DEFAULTS) for name in self.names(ENVIRONMENTS))
        return ((DEFAULTS,), *overrides)

    def environment(
        self, resolved: Resolved, project: str, policies: str | None
    ) -> tuple[Project, list[Diagnostic]]:
        environment, references = resolved.environment, resolved.references
        tree, elsewhere = self.sections.of(self.layers(resolved), environment.name)
        references.sections = self.sections.only(tree)
        references.grammar = {key: section.Model for key, section in SECTIONS.items()}
        references.attributes = {key: section.ATTRIBUTES for key, section in KNOWN.items()}
        references.facts = self.facts.get(environment.name, {})
        sections_read: dict[str, dict[str, BaseModel]] = {}
        problems: list[Diagnostic] = []
        for key in SECTIONS:
            sections_read[key], said = self.section(tree, key, references)
            problems.extend(said)
        found = Project(
            project, environment, sections_read,
            tree=tree, elsewhere=elsewhere, policies=policies, templates=self.templates,
        )  # fmt: skip
        if problems or self.refused:
            problems.extend(cross_checks(found))
        return found, problems

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
                # What defaults with a mistake would have filled is not missing as well.
                unfilled = section in self.sections.broken_defaults
                found = read(
                    SECTIONS[section].Model, node, (section, name), key, references, partial=unfilled
                )
                self.seen[identity] = found
            problems.extend(found.diagnostics)
            if found.model is not None:
                models[name] = found.model
            else:
                references.broken.add((section, name))
        problems.extend(meetings(section, models, whole))
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
