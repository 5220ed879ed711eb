"""`bedplate refresh`: look at the real world and record what drifted."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from bedplate.cli import options, terminal
from bedplate.cli.project import open_applied


@click.command("refresh", short_help="look at the real world and record what drifted")
@options.environment
@options.as_json
@click.pass_obj
def command(folder: Path, environment: str, as_json: bool) -> None:
    """Look at the real world and record what drifted. Changes nothing in the world: `up` mends it."""
    from bedplate.cli.changes import show_change
    from bedplate.cli.interrupts import interruptible
    from bedplate.engine import apply
    from bedplate.engine.lock import locked
    from bedplate.engine.session import open_session

    project = open_applied(folder, environment)
    with locked(project.workspace, environment, "refresh"):
        session = open_session(project.workspace, project.compiled)
        with interruptible(session.pulumi.interruption):
            drifted = apply.refresh(session)
    if as_json:
        terminal.data({"drift": [asdict(change) for change in drifted]})
        return
    for change in drifted:
        show_change(change)
    terminal.line(
        f"{len(drifted)} drifted; `bedplate up` mends it"
        if drifted
        else "nothing drifted: the world is as recorded"
    )
