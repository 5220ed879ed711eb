"""From a folder to a compiled project: what most verbs begin with. Nothing here needs an engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bedplate._resources import resource
from bedplate.atomic import write_atomically
from bedplate.compiler import Compiled, check, compile_project
from bedplate.diagnostics import Diagnostic, did_you_mean, merged, ordered, refuses
from bedplate.errors import SpecError, StateError, UsageError
from bedplate.graph import Graph, GraphError
from bedplate.lockfile import LockFile
from bedplate.private_folder import make_private_folder
from bedplate.project_files import open_regular
from bedplate.sections import KNOWN, models
from bedplate.sections.serving.images import OTHER_MODELS
from bedplate.spec.environments import Layer
from bedplate.spec.inputs import read_inputs, read_lock, read_registry
from bedplate.spec.load import load
from bedplate.spec.project import Environment, Project
from bedplate.spec.references import Facts
from bedplate.spec.validate import cross_checks, validate
from bedplate.workspace import SPEC_FILE, Workspace

if TYPE_CHECKING:
    from bedplate.policies.policy import Policy

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


def serve_the_editor(spec: Path, folder: Path) -> None:
    """Writes the schema where the spec's first line says it lies. An editor's comfort fails no command."""
    with suppress(OSError, ValueError):
        workspace = Workspace(folder)
        with open_regular(spec) as file:
            named = MODELINE in file.read(MODELINE_WITHIN)
        if named:
            make_private_folder(workspace)
            schema = resource("specs", workspace.schema.name).read_bytes()
            write_atomically(workspace.schema, schema)


@dataclass(frozen=True, slots=True)
class _Read:
    """A spec, and what was seen of its files. Without projects where its text does not hold."""

    folder: Path
    projects: Mapping[str, Project]
    diagnostics: tuple[Diagnostic, ...]
    layers: Mapping[str, tuple[Layer, ...]] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        return refuses(self.diagnostics)


def check_file(spec: Path, *, code: bool = True) -> tuple[Mapping[str, Project], tuple[Diagnostic, ...]]:
    """The same for a spec under any name. Its folder is the project's.

    `code` False leaves out what would run code of the project: the team's policies in Python.
    """
    return _checked(_read(spec), code=code)


def _checked(read: _Read, *, code: bool = True) -> tuple[Mapping[str, Project], tuple[Diagnostic, ...]]:
    if read.refused:
        crossed = merged({name: cross_checks(project) for name, project in read.projects.items()})
        return {}, ordered([*read.diagnostics, *crossed])
    checked = merged({name: check(project) for name, project in read.projects.items()})
    if not refuses(checked):
        checked = (*checked, *_policies(read.projects, read.folder, code))
    return read.projects, ordered([*read.diagnostics, *checked])


def read_projects(workspace: Workspace) -> Mapping[str, Project]:
    """Every environment with what was seen of its files, whatever is pinned. Raises SpecError."""
    read = _read(workspace.spec)
    if read.refused:
        raise SpecError(read.diagnostics)
    return read.projects


def _read(spec: Path) -> _Read:
    loaded = load(spec)
    serve_the_editor(spec, loaded.folder)
    validated = validate(loaded)
    if refuses(validated.diagnostics):
        return _Read(loaded.folder, {}, validated.diagnostics)
    lock, files, damage = read_lock(loaded.folder, loaded.files)
    registry = read_registry(loaded.folder)
    projects, missing = read_inputs(validated.projects, loaded.folder, files, lock, registry)
    if validated.asked and not missing:  # references to what only the files tell
        validated = validate(loaded, {name: _facts(project) for name, project in projects.items()})
        projects, missing = read_inputs(validated.projects, loaded.folder, files, lock, registry)
    diagnostics = (*validated.diagnostics, *damage, *missing)
    return _Read(loaded.folder, projects, diagnostics, validated.layers)


def _policies(projects: Mapping[str, Project], root: Path, code: bool) -> tuple[Diagnostic, ...]:
    """Breaches of the built-in policies and the team's, in what the projects compile to."""
    from bedplate import policies

    team, damage = _of_team(projects, root, code)
    breaches = merged({name: [*policies.check(compile_project(p), p, team)] for name, p in projects.items()})
    return (*damage, *breaches)


def _of_team(
    projects: Mapping[str, Project], root: Path, code: bool
) -> tuple[tuple[Policy, ...], tuple[Diagnostic, ...]]:
    """The team's policies, and what is wrong with their files, at the place that names their folder."""
    from bedplate import policies

    any_project = next(iter(projects.values()), None)
    if any_project is None or any_project.policies is None:
        return (), ()
    team, damage = policies.of_team(root, any_project.policies, code=code)
    return team, tuple(replace(d, span=any_project.span(d.path)) for d in damage)


@dataclass(frozen=True, slots=True)
class Policed:
    """Where the team's policies lie, and what they are. `folder` is empty where the spec names none.

    `left_out`: files of policies in Python, where no code may run.
    """

    root: Path
    folder: str
    environments: Mapping[str, Environment]
    team: tuple[Policy, ...]
    damage: tuple[Diagnostic, ...]
    left_out: tuple[str, ...] = ()


def read_policies(folder: Path, environment: str | None = None, *, code: bool = True) -> Policed:
    """The team's policies, by the spec's text alone: its models may be missing. Raises SpecError, UsageError."""
    loaded = load(find_workspace(folder).spec)
    validated = validate(loaded)
    if refuses(validated.diagnostics):
        raise SpecError(validated.diagnostics)
    projects = validated.projects
    if environment is not None:
        projects = {environment: chosen(projects, environment)}
    team, damage = _of_team(projects, loaded.folder, code)
    where = next((project.policies for project in projects.values()), None) or ""
    environments = {name: project.environment for name, project in sorted(projects.items())}
    rules = (loaded.folder / where).glob("[!._]*.py") if where and not code else ()
    left_out = tuple(sorted(f"{where}/{rule.name}" for rule in rules))
    return Policed(loaded.folder, where, environments, team, damage, left_out)


def _facts(project: Project) -> Facts:
    """What references can name beyond the fields of the spec."""
    return {
        (key, *names): value
        for key, section in KNOWN.items()
        for names, value in section.facts(project.sections.get(key, {}), project).items()
    }


def valid_projects(workspace: Workspace) -> Mapping[str, Project]:
    """Every environment of a spec that holds. Raises SpecError with all that is wrong."""
    return _valid(_read(workspace.spec))


def _valid(read: _Read) -> Mapping[str, Project]:
    projects, diagnostics = _checked(read)
    if refuses(diagnostics):
        raise SpecError(diagnostics)
    return projects


def layered_project(folder: Path, environment: str) -> tuple[Project, tuple[Layer, ...]]:
    """The project in one environment, and the layers that it was made of. Raises SpecError, UsageError."""
    read = _read(find_workspace(folder).spec)
    project = chosen(_valid(read), environment)
    return project, read.layers[environment]


def compiled_offline(folder: Path, environment: str) -> tuple[Project, Compiled]:
    """The project in one environment, and what it compiles to. Raises SpecError, UsageError; asks nobody."""
    project = chosen(valid_projects(find_workspace(folder)), environment)
    refuse_unknown_versions([project])
    return project, compile_project(project)


def open_project(folder: Path, environment: str) -> OpenProject:
    """The project, compiled for one environment. Raises SpecError, UsageError; EngineError of a registry."""
    workspace = find_workspace(folder)
    project = chosen(_valid(_read_now(workspace, environment)), environment)
    refuse_unknown_versions([project])
    return OpenProject(workspace, compile_project(project))


def project_to_build(folder: Path, environment: str) -> tuple[Workspace, Project]:
    """The project whose images are to be built. What only building brings about is not demanded: no policy is
    asked, and the pinned images may be old.

    Raises SpecError, UsageError; EngineError of a registry.
    """
    workspace = find_workspace(folder)
    read = _read_now(workspace, environment)
    if read.refused:
        raise SpecError(read.diagnostics)
    project = chosen(read.projects, environment)
    refuse_unknown_versions([project])
    wrong = [diagnostic for diagnostic in check(project) if diagnostic.code != OTHER_MODELS]
    if refuses(wrong):
        raise SpecError(ordered(wrong))
    return workspace, project


def _read_now(workspace: Workspace, environment: str) -> _Read:
    """The spec, after asking a registry for the versions that aliases mean now."""
    read = _read(workspace.spec)
    known = read.projects.get(environment)
    if known is not None and not read.refused and models.follow_an_alias(known):
        from bedplate.engine.registry import ask_for_all

        ask_for_all(workspace, known)
        read = _read(workspace.spec)
    return read


def divided(folder: Path, environment: str, counts: Mapping[str, int]) -> tuple[OpenProject, LockFile]:
    """The project as it is when its sections are divided among so many stacks, and the lock file that says so."""
    workspace = find_workspace(folder)
    project = chosen(valid_projects(workspace), environment)
    lock = project.inputs.lock
    for section, count in counts.items():
        lock = lock.with_shards(environment, section, count)
    refuse_unknown_versions([project])
    project = replace(project, inputs=replace(project.inputs, lock=lock))
    return OpenProject(workspace, compile_project(project)), lock


def chosen(projects: Mapping[str, Project], environment: str) -> Project:
    """The project in an environment that can be applied. Raises UsageError for a name of none."""
    if environment in projects:
        return projects[environment]
    there_are = f"there are: {', '.join(sorted(projects))}"
    if any(environment in project.templates for project in projects.values()):
        raise UsageError(
            f"the environment {environment!r} is abstract: it is only extended, and never applied",
            hint=there_are,
        )
    near = did_you_mean(environment, projects)
    raise UsageError(
        f"there is no environment {environment!r} in the spec",
        hint=f"did you mean {near!r}?" if near else there_are,
    )


def refuse_unknown_versions(projects: Iterable[Project]) -> None:
    """Raises SpecError for models whose registry nobody has asked yet: what they are cannot be compiled."""
    found = [diagnostic for project in projects for diagnostic in models.unknown(project)]
    if found:
        raise SpecError(ordered(found))


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
    from bedplate.engine.sources import read_backend, read_sources, read_spec_files

    workspace = find_workspace(folder)
    graphs = dict(_compiled_before(workspace, environment))
    if not graphs:
        return open_project(folder, environment)
    project = next(iter(graphs.values())).project
    origins = {section: read_sources(workspace.sources(section, environment)) for section in graphs}
    sidecar = workspace.sources(next(iter(graphs)), environment)
    files, backend = read_spec_files(sidecar), read_backend(sidecar)
    return OpenProject(workspace, Compiled(project, environment, graphs, origins, files, backend))


def _compiled_before(workspace: Workspace, environment: str) -> Iterator[tuple[str, Graph]]:
    from bedplate.engine.stack_folder import compiled_before

    for stack in compiled_before(workspace, environment):
        path = workspace.graph(stack, environment)
        try:
            yield stack, Graph.from_json(path.read_bytes())
        except GraphError as error:
            raise StateError(f"{path}: {error}", hint="run `bedplate compile`, then try again") from error
