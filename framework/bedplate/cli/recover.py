"""`bedplate recover`: clean up after a command that was killed."""

from __future__ import annotations

from pathlib import Path

import click

from bedplate.cli import options, terminal
from bedplate.cli.project import open_applied


@click.command("recover", short_help="clean up after a command that was killed")
@options.environment
@options.as_json
@click.option("--force", is_flag=True, help="Also break a lock whose holder nobody here can see.")
@click.pass_obj
def command(folder: Path, environment: str, as_json: bool, force: bool) -> None:
    """Remove the locks of a command that was killed, and find out what became of what it was doing.

    Refused while that command still runs, and where nobody here can see whether it does, such as on another
    machine: --force is for who knows that it is gone. Afterwards `bedplate up` goes on where it stopped.
    """
    from bedplate.cli.interrupts import interruptible
    from bedplate.engine.recover import recover
    from bedplate.engine.session import open_session

    project = open_applied(folder, environment)
    session = open_session(project.workspace, project.compiled)
    with interruptible(session.pulumi.interruption):
        lines = recover(
            session, force=force, say=lambda text: None if as_json else terminal.line(f"  {text}")
        )
    if as_json:
        terminal.data({"recovered": list(lines)})
        return
    for text in lines:
        terminal.line(f"  {text}")
    terminal.line("recovered; `bedplate up` goes on from here" if lines else "nothing to recover")
