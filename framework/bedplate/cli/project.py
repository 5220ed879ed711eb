"""From a folder to a compiled project: what most verbs begin with. Nothing here needs an engine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bedplate._resources import resource
from bedplate.atomic import write_atomically
from bedplate.compiler import BASE, Compiled, check, compile_project
from bedplate.diagnostics import Diagnostic, did_you_mean, merged, ordered
from bedplate.errors import SpecError, StateError, UsageError
from bedplate.graph import Graph, GraphError
from bedplate.private_folder import make_private_folder
from bedplate.sections import SECTIONS
from bedplate.spec.inputs import read_inputs
from bedplate.spec.load import load
from bedplate.spec.project import Project
from bedplate.spec.regular import open_regular
from bedplate.spec.validate import cross_checks, validate
from bedplate.workspace import SPEC_FILE, Workspace

# No plugin of another package has a say in what a spec means, and looking for one through everything that
# is installed takes longer than validating.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


MODELINE = b"$schema=./.bedplate/bedplate.schema.json"
MODELINE_WITHIN = 1024


@dataclass(frozen=True, slots=True)
class OpenProject:
    """A project whose spec holds, compiled for one environment."""

    workspace: Workspace
    compiled: Compiled


def find_workspace(folder: Path) -> Workspace:
    """The project whose spec lies in `folder` or in the nearest folder above. Raises UsageError."""
    start = folder.resolve()
    for place in (start, *start.parents):
        if (place / SPEC_FILE).exists():
            return Workspace(place)
    raise UsageError(
        f"there is no {SPEC_FILE} in {start} or above it",
        hint="go to your project's folder, or name it with -C",
    )


def check_spec(workspace: Workspace) -> tuple[Mapping[str, Project], tuple[Diagnostic, ...]]:
    """Every environment of the spec, and everything that is wrong with it."""
    return check_file(workspace.spec)


def _serve_the_editor(spec: Path, folder: Path) -> None:
    """Writes the schema where the spec's first line says it lies. An editor's comfort fails no command."""
    with suppress(OSError, ValueError):
        workspace = Workspace(folder)
        with open_regular(spec) as file:
            named = MODELINE in file.read(MODELINE_WITHIN)
        if named:
            make_private_folder(workspace)
            schema = resource("specs", workspace.schema.name).read_bytes()
            write_atomically(workspace.schema, schema)


def check_file(spec: Path) -> tuple[Mapping[str, Project], tuple[Diagnostic, ...]]:
    """The same for a spec under any name. Its folder is the project's."""
    loaded = load(spec)
    _serve_the_editor(spec, loaded.folder)
    validated = validate(loaded)
    if any(d.severity == "error" for d in validated.diagnostics):
        return {}, validated.diagnostics
    projects, missing = read_inputs(validated.projects, loaded.folder, loaded.digest)
    if missing:
        return {}, ordered(
            [
                *validated.diagnostics,
                *missing,
                *merged({name: cross_checks(p) for name, p in projects.items()}),
            ]
        )
    checked = merged({name: check(project) for name, project in projects.items()})
    return projects, ordered([*validated.diagnostics, *checked])


def valid_projects(workspace: Workspace) -> Mapping[str, Project]:
    """Every environment of a spec that holds. Raises SpecError with all that is wrong."""
    projects, diagnostics = check_spec(workspace)
    if any(d.severity == "error" for d in diagnostics):
        raise SpecError(diagnostics)
    return projects


def open_project(folder: Path, environment: str) -> OpenProject:
    """The project, compiled for one environment. Raises SpecError, UsageError."""
    workspace = find_workspace(folder)
    projects = valid_projects(workspace)
    if environment not in projects:
        near = did_you_mean(environment, projects)
        raise UsageError(
            f"there is no environment {environment!r} in the spec",
            hint=f"did you mean {near!r}?" if near else f"there are: {', '.join(sorted(projects))}",
        )
    return OpenProject(workspace, compile_project(projects[environment]))


def find_applied(folder: Path, environment: str) -> Workspace:
    """The project, for a verb that looks at what runs. Raises UsageError for an unknown environment."""
    workspace = find_workspace(folder)
    if not workspace.world(environment).root.exists():
        open_project(folder, environment)
    return workspace


def open_applied(folder: Path, environment: str) -> OpenProject:
    """The project as it was compiled last, whatever has become of its spec: what is to be looked at, mended
    or taken away is what was applied. Raises UsageError where nothing was ever compiled.
    """
    from bedplate.engine.sources import read_sources, read_spec_digest

    workspace = find_workspace(folder)
    graphs = dict(_compiled_before(workspace, environment))
    if not graphs:
        return open_project(folder, environment)
    project = next(iter(graphs.values())).project
    origins = {section: read_sources(workspace.sources(section, environment)) for section in graphs}
    digest = read_spec_digest(workspace.sources(next(iter(graphs)), environment))
    return OpenProject(workspace, Compiled(project, environment, graphs, origins, digest))


def _compiled_before(workspace: Workspace, environment: str) -> Iterator[tuple[str, Graph]]:
    for section in (BASE, *SECTIONS):
        path = workspace.graph(section, environment)
        if path.exists():
            try:
                yield section, Graph.from_json(path.read_bytes())
            except GraphError as error:
                raise StateError(f"{path}: {error}", hint="run `bedplate compile`, then try again") from error
