"""The pure pipeline behind the loader: check -> compile -> link -> lower, one Project to its Graphs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bedplate import targets
from bedplate.diagnostics import Diagnostic
from bedplate.graph import Graph, Origin
from bedplate.link import link
from bedplate.sections import SECTIONS
from bedplate.spec.project import Project
from bedplate.workloads import Workload

BASE = "base"


@dataclass(frozen=True, slots=True)
class Compiled:
    """One project in one environment: its graphs in the order of application, and their sources.

    `graphs` has an entry for `base` and for every registered section, empty ones included.
    """

    environment: str
    graphs: Mapping[str, Graph]
    origins: Mapping[str, Mapping[str, Origin]]


def check(project: Project) -> list[Diagnostic]:
    """Everything that is wrong across fields and sections, each with its span."""
    found: list[Diagnostic] = []
    for section, entries in _present(project):
        found.extend(SECTIONS[section].check(entries, project))
        for workload in _workloads(section, project):
            found.extend(targets.refuse(workload, project))
    return [_located(diagnostic, project) for diagnostic in found]


def compile_project(project: Project) -> Compiled:
    """The graphs of a project that `check` found no error in."""
    yielded = {section: tuple(_workloads(section, project)) for section in SECTIONS}
    linked = link(yielded)
    lowered = targets.lower(linked, project)
    graphs = {
        section: Graph(
            project=project.name,
            section=section,
            environment=project.environment.name,
            resources=stack.resources,
            outputs=stack.outputs,
            secrets=stack.secrets,
        )
        for section, stack in lowered.items()
    }
    return Compiled(project.environment.name, graphs, _origins(graphs, project))
