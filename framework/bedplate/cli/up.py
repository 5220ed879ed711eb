"""`bedplate up`: make the world as the spec says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bedplate.cli import options, terminal
from bedplate.cli.interrupts import interruptible
from bedplate.cli.project import open_project

if TYPE_CHECKING:
    from bedplate.engine.plan import Plan
    from bedplate.engine.session import Session


@click.command("up", short_help="make the world as the spec says")
@options.environment
@options.as_json
@options.yes
@click.option("--refresh", is_flag=True, help="Look at the real world first, and mend what drifted.")
@click.option(
    "--plan",
    "plan_file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Apply this saved plan without a question; refused when anything has changed since it was made.",
)
@click.pass_obj
def command(
    folder: Path, environment: str, as_json: bool, yes: bool, refresh: bool, plan_file: Path | None
) -> int:
    """Make the world as the spec says: show what would change, ask, do it. Run again, it changes nothing."""
    from bedplate.cli.changes import StepLines, show_plan, summary
    from bedplate.engine import apply
    from bedplate.engine import plan as plans
    from bedplate.engine.lock import locked
    from bedplate.engine.session import open_session

    project = open_project(folder, environment)
    saved = plans.load(plan_file) if plan_file else None
    with locked(project.workspace, environment, "up"):
        session = open_session(project.workspace, project.compiled)
        with interruptible(session.pulumi.interruption):
            if saved is not None:
                apply.check_plan(session, saved)
            plan = saved or apply.preview(session, refresh=refresh)
            if not as_json:
                show_plan(plan)
            if plan.changes and saved is None and not terminal.confirmed("Apply this?", yes=yes):
                raise click.Abort
            steps = StepLines(quiet=as_json)
            apply.up(session, plan, refresh=refresh, on_step=steps)
    if as_json:
        terminal.data(_answer(session, plan))
        return 0
    if plan.changes:
        unchanged = sum(stack.unchanged for stack in plan.stacks)
        terminal.line(f"applied: {summary(plan.changes, unchanged, done=True)}")
    show_services(project.workspace, environment)
    return 0


def show_services(workspace: Any, environment: str) -> None:
    """Where the services are; a service that is not well is named with the way to heal it."""
    from bedplate.engine.world.observe import observe

    seen = observe(workspace, environment)
    for service in seen.services:
        terminal.line(f"  {service.address}  {service.url or '(no port)'}  {service.state}")
    if any(not service.healthy for service in seen.services):
        terminal.line("not everything runs: `bedplate status` says more, `bedplate up --refresh` heals it")


def _answer(session: Session, plan: Plan) -> dict[str, Any]:
    from bedplate.engine.world.observe import observe

    seen = observe(session.workspace, session.environment)
    return {
        "changes": [change for stack in plan.to_data()["stacks"] for change in stack["changes"]],
        "services": [{"address": s.address, "url": s.url, "state": s.state} for s in seen.services],
    }
