"""`bedplate destroy`: take everything away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bedplate.cli import options, terminal
from bedplate.cli.project import open_applied
from bedplate.errors import EngineError

if TYPE_CHECKING:
    from bedplate.workspace import Workspace


@click.command("destroy", short_help="take everything away")
@options.environment
@options.as_json
@options.yes
@click.pass_obj
def command(folder: Path, environment: str, as_json: bool, yes: bool) -> None:
    """Stop and remove everything of one environment.

    Refused, before anything is touched, when something of it is protected (`protect` in the spec).

    What stays on purpose: the history of the state, the passphrase and the engine's home in .bedplate/.
    """
    from bedplate.cli.changes import StepLines
    from bedplate.cli.interrupts import interruptible
    from bedplate.engine import apply
    from bedplate.engine.lock import locked
    from bedplate.engine.session import open_session

    project = open_applied(folder, environment)
    terminal.confirmed_or_abort(
        f"Take away everything of {project.compiled.project} in {environment}?", yes=yes
    )
    with locked(project.workspace, environment, "destroy"):
        session = open_session(project.workspace, project.compiled)
        with interruptible(session.pulumi.interruption):
            steps = StepLines(quiet=as_json)
            apply.destroy(session, on_step=steps)
    _refuse_what_still_runs(project.workspace, environment)
    if as_json:
        terminal.data({"deleted": steps.done})
    else:
        terminal.line(f"destroyed: {steps.done} resources deleted; nothing of {environment} runs any more")


def _refuse_what_still_runs(workspace: Workspace, environment: str) -> None:
    """Raises EngineError: what no state knows, since somebody removed .bedplate, is not taken away by it."""
    from bedplate.engine.world.observe import observe

    seen = observe(workspace, environment)
    if seen.supervisor.alive or seen.supervisor.foreign:
        raise EngineError(
            f"the state of {environment} holds nothing, but a supervisor that it does not know still runs",
            hint=f"was .bedplate removed? `kill {seen.supervisor.pid}` ends it and all that it runs",
        )
