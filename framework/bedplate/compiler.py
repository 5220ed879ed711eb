"""The pure pipeline behind the loader: check -> compile -> link -> lower, one Project to its Graphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bedplate.backend import Backend
from bedplate.diagnostics import Diagnostic, refuses
from bedplate.graph import Graph, Origin, secret_refs
from bedplate.link import givers, link
from bedplate.sections import SECTIONS
from bedplate.shards import parts, placed, stack_name
from bedplate.spec.project import Project
from bedplate.spec_files import SpecFiles
from bedplate.targets import target_of
from bedplate.targets.lowered import Lowered
from bedplate.workloads import Contribution, Workload, Yielded

BASE = "base"


@dataclass(frozen=True, slots=True)
class Compiled:
    """One project in one environment: its graphs in the order of application, and their sources, by stack.

    There is a graph for `base` and for every registered section, or each of its shards, also where it holds
    nothing.
    """

    project: str
    environment: str
    graphs: Mapping[str, Graph]
    origins: Mapping[str, Mapping[str, Origin]]
    files: SpecFiles = SpecFiles()
    backend: Backend = Backend()


def check(project: Project) -> list[Diagnostic]:
    """What is wrong across fields, sections and target, each diagnostic with its span."""
    found = [
        diagnostic
        for section, entries in project.sections.items()
        for diagnostic in SECTIONS[section].check(entries, project)
    ]
    target = target_of(project.environment)
    found.extend(target.settings(project.environment))
    if not refuses(found):
        for items in _yielded(project).values():
            for item in items:
                if not isinstance(item, Contribution):
                    found.extend(target.refuse(item, project.environment))
    return [_located(diagnostic, project) for diagnostic in found]


def compile_project(project: Project) -> Compiled:
    """The graphs of a project in which `check` found no error. Deterministic and without effects."""
    linked = workloads_of(project)
    target = target_of(project.environment)
    everything = [workload for workloads in linked.values() for workload in workloads]
    stacks: dict[tuple[str, int | None], Lowered] = {
        (BASE, None): target.base(everything, project.environment)
    }
    for section, workloads in linked.items():
        for shard, those in placed(
            workloads, project.inputs.lock.shards_of(project.environment.name, section)
        ).items():
            stacks[section, shard] = _lower(those, project)
    return Compiled(
        project.name,
        project.environment.name,
        {stack_name(*stack): _graph(*stack, lowered, project) for stack, lowered in stacks.items()},
        {stack_name(*stack): _origins(lowered, project) for stack, lowered in stacks.items()},
        project.inputs.spec,
        _backend(project),
    )


def workloads_of(project: Project) -> Mapping[str, tuple[Workload, ...]]:
    """What must run, by section, of a project in which `check` found no error."""
    return link(_yielded(project))


def with_stacks(compiled: Compiled, stacks: Iterable[str]) -> Compiled:
    """The same with an empty graph for each of `stacks` that it does not have: they are of another division."""
    graphs, origins = dict(compiled.graphs), dict(compiled.origins)
    for stack in stacks:
        if stack not in graphs and is_stack(stack):
            section, shard = parts(stack)
            graphs[stack] = Graph(compiled.project, section, compiled.environment, shard=shard)
            origins[stack] = {}
    return replace(compiled, graphs={stack: graphs[stack] for stack in in_order(graphs)}, origins=origins)


def is_stack(name: str) -> bool:
    """Whether a name is a section's, or that of one of its shards."""
    return parts(name)[0] in (BASE, *SECTIONS)


def in_order(stacks: Iterable[str]) -> list[str]:
    """Stacks in the order of application: their sections' order, then their shards' numbers."""
    sections = (BASE, *SECTIONS)
    return sorted(stacks, key=lambda stack: (sections.index(parts(stack)[0]), parts(stack)[1] or 0))


def gifts(project: Project) -> Mapping[str, tuple[str, ...]]:
    """For the addresses of entries, those of the entries that give them something."""
    return givers(_yielded(project))


def _backend(project: Project) -> Backend:
    state = project.environment.settings.state
    return Backend(state.backend, state.secrets_provider) if state else Backend()


def _yielded(project: Project) -> dict[str, tuple[Yielded, ...]]:
    return {
        key: tuple(section.compile(project.sections.get(key, {}), project))
        for key, section in SECTIONS.items()
    }


def _lower(workloads: tuple[Workload, ...], project: Project) -> Lowered:
    target, environment = target_of(project.environment), project.environment
    lowered = Lowered.merged(target.lower(w, environment) for w in workloads)
    protected = {name for name, address in lowered.addresses.items() if environment.protects(address)}
    if not protected:
        return lowered
    resources = tuple(replace(r, protect=True) if r.name in protected else r for r in lowered.resources)
    return replace(lowered, resources=resources)


def _graph(section: str, shard: int | None, lowered: Lowered, project: Project) -> Graph:
    used = {ref.name for resource in lowered.resources for ref in secret_refs(resource.properties)}
    return Graph(
        project=project.name,
        section=section,
        environment=project.environment.name,
        resources=lowered.resources,
        outputs=lowered.outputs,
        secrets={name: project.environment.secret_source(name) for name in sorted(used)},
        shard=shard,
    )


def _origins(lowered: Lowered, project: Project) -> dict[str, Origin]:
    origins = {}
    for name, address in lowered.addresses.items():
        span = project.span(tuple(address.split(".")), at_key=True)
        origins[name] = Origin(address, span.file, span.line, span.column)
    return origins


def _located(diagnostic: Diagnostic, project: Project) -> Diagnostic:
    if diagnostic.span is not None:
        return diagnostic
    return replace(diagnostic, span=project.span(diagnostic.path, at_key=diagnostic.at_key))
