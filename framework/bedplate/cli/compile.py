"""`bedplate compile`: write the Pulumi projects of every environment."""

from __future__ import annotations

from pathlib import Path

import click

from bedplate.cli import options, terminal
from bedplate.cli.project import find_workspace, refuse_unknown_versions, valid_projects


@click.command("compile", short_help="write the Pulumi projects of every environment under stacks/")
@options.as_json
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write DIR/stacks instead of the project's own.",
)
@click.pass_obj
def command(folder: Path, as_json: bool, out: Path | None) -> None:
    """Write one Pulumi project per section, or per shard of it, into stacks/, with a graph for every environment.

    Needs no engine.
    """
    from bedplate.compiler import compile_project, with_stacks
    from bedplate.engine.stack_folder import compiled_before, write_stack_folder

    workspace = find_workspace(folder)
    target = type(workspace)(out.resolve()) if out else workspace
    written: list[str] = []
    projects = valid_projects(workspace)
    refuse_unknown_versions(projects.values())
    for project in projects.values():
        before = compiled_before(target, project.environment.name)
        compiled = with_stacks(compile_project(project), before)
        for stack, graph in compiled.graphs.items():
            if graph.resources or stack in before:
                write_stack_folder(target, graph, compiled.origins[stack], compiled.files, compiled.backend)
                written.append(f"{stack}/graph.{compiled.environment}.json")
    if as_json:
        terminal.data({"folder": str(target.stacks), "graphs": written})
        return
    for name in written:
        terminal.line(f"  stacks/{name}")
    terminal.line(f"compiled {len(written)} graphs")
