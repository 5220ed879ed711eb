"""`bedplate plan`: what `up` would change."""

from __future__ import annotations

from pathlib import Path

import click

from bedplate.cli import options, terminal
from bedplate.cli.project import open_project

CHANGES = 7


@click.command("plan", short_help="show what `up` would change")
@options.environment
@options.as_json
@click.option(
    "--save",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Also write the plan to FILE, for `up --plan`.",
)
@click.option("--exit-code", is_flag=True, help="Exit with 7 instead of 0 when there are changes.")
@click.option("--refresh", is_flag=True, help="Look at the real world first.")
@click.pass_obj
def command(
    folder: Path, environment: str, as_json: bool, save: Path | None, exit_code: bool, refresh: bool
) -> int:
    """Show what `up` would change, in the spec's words. Changes nothing."""
    from bedplate.cli.changes import show_plan
    from bedplate.engine import apply
    from bedplate.engine import plan as plans
    from bedplate.engine.session import open_session

    project = open_project(folder, environment)
    plan = apply.preview(open_session(project.workspace, project.compiled), refresh=refresh)
    if save:
        plans.save(plan, save)
    if as_json:
        terminal.data(plan.to_data())
    else:
        show_plan(plan)
    return CHANGES if exit_code and plan.changes else 0
