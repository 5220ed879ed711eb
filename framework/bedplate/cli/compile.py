"""`bedplate compile`: write the Pulumi projects of every environment, or plain manifests of a cluster's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bedplate.atomic import write_atomically
from bedplate.cli import options, terminal
from bedplate.cli.project import chosen, find_workspace, refuse_unknown_versions, valid_projects
from bedplate.errors import UsageError

if TYPE_CHECKING:
    from bedplate.spec.project import Project
    from bedplate.workspace import Workspace

_MANIFESTS = "manifests"


@click.command("compile", short_help="write the Pulumi projects of every environment under stacks/")
@click.option(
    "--format",
    "form",
    type=click.Choice(["pulumi", _MANIFESTS]),
    default="pulumi",
    metavar="FORM",
    help="pulumi, or manifests: YAML for kubectl, Argo CD or Flux.  [default: pulumi]",
)
@click.option(
    "--env",
    "environment",
    metavar="NAME",
    help="With manifests: this environment alone.  [default: all on a cluster]",
)
@options.as_json
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write DIR/stacks, or DIR/manifests, instead of the project's own.",
)
@click.pass_obj
def command(folder: Path, form: str, environment: str | None, as_json: bool, out: Path | None) -> None:
    """Write one Pulumi project per section, or per shard of it, into stacks/, with a graph for every environment.

    With --format manifests: the same objects as manifests/ENV/STACK.yaml for every environment on a cluster. A value
    that is secret is in none of them: the head of each file says which Secret is needed, and what it must hold.

    Needs no engine.
    """
    workspace = find_workspace(folder)
    target = type(workspace)(out.resolve()) if out else workspace
    projects = valid_projects(workspace)
    refuse_unknown_versions(projects.values())
    if form == _MANIFESTS:
        place, kind = target.root / _MANIFESTS, _MANIFESTS
        written = [*_write_manifests(place, _on_clusters(projects, environment))]
    elif environment is not None:
        raise UsageError(
            "the Pulumi projects are of all environments", hint="--env goes with --format manifests"
        )
    else:
        place, kind = target.stacks, "graphs"
        written = [*_write_stacks(target, projects)]
    if as_json:
        terminal.data({"folder": str(place), kind: written})
        return
    for name in written:
        terminal.line(f"  {place.name}/{name}")
    terminal.line(f"compiled {len(written)} {kind}")


def _write_stacks(target: Workspace, projects: Mapping[str, Project]) -> Iterator[str]:
    from bedplate.compiler import compile_project, with_stacks
    from bedplate.engine.stack_folder import compiled_before, write_stack_folder

    for project in projects.values():
        before = compiled_before(target, project.environment.name)
        compiled = with_stacks(compile_project(project), before)
        for stack, graph in compiled.graphs.items():
            if graph.resources or stack in before:
                write_stack_folder(target, graph, compiled.origins[stack], compiled.files, compiled.backend)
                yield f"{stack}/graph.{compiled.environment}.json"


def _on_clusters(projects: Mapping[str, Project], environment: str | None) -> list[Project]:
    """The projects to write manifests of. Raises UsageError."""
    asked = [*projects.values()] if environment is None else [chosen(projects, environment)]
    found = [project for project in asked if project.environment.target == "kubernetes"]
    if not found:
        what = "no environment is on a cluster"
        if environment is not None:
            target = asked[0].environment.target
            what = f"the environment {environment} is not on a cluster: its target is {target}"
        raise UsageError(what, hint="manifests are of those with target: kubernetes")
    return found


def _write_manifests(place: Path, projects: list[Project]) -> Iterator[str]:
    from bedplate.compiler import compile_project
    from bedplate.targets.kubernetes.manifests import manifests

    for project in projects:
        compiled = compile_project(project)
        folder = place / compiled.environment
        files = {
            f"{stack}.yaml": manifests(graph) for stack, graph in compiled.graphs.items() if graph.resources
        }
        for left in folder.glob("*.yaml"):
            if left.name not in files:
                left.unlink()
        folder.mkdir(parents=True, exist_ok=True)
        for name, found in files.items():
            write_atomically(folder / name, found.to_yaml())
            yield f"{compiled.environment}/{name}"
