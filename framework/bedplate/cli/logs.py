"""`bedplate logs`: print or follow the log of a service."""

from __future__ import annotations

from pathlib import Path

import click

from bedplate.cli import options, terminal
from bedplate.cli.project import find_applied
from bedplate.diagnostics import meant_or
from bedplate.errors import UsageError


@click.command("logs", short_help="print or follow the log of a service")
@click.argument("address")
@options.environment
@click.option("--follow", "-f", is_flag=True, help="Go on printing what comes, until Ctrl-C.")
@click.option(
    "--lines",
    "-n",
    default=50,
    show_default=True,
    type=click.IntRange(0),
    help="How many of the last lines to begin with.",
)
@click.pass_obj
def command(folder: Path, address: str, environment: str, follow: bool, lines: int) -> None:
    """Print or follow the log of the service at ADDRESS in the spec, such as serving.delay."""
    from bedplate.engine.sources import addresses
    from bedplate.engine.world.logs import follow_log

    workspace = find_applied(folder, environment)
    logged = sorted(path.stem for path in workspace.world(environment).logs.glob("*.log"))
    called = addresses(workspace, environment)
    known = {called.get(name, name): name for name in logged}
    if address not in known:
        there_are = f"there are: {', '.join(sorted(known))}"
        raise UsageError(
            f"there is no log of {address!r} in {environment}",
            hint=meant_or(
                address, known, there_are if known else "nothing runs there; `bedplate up` starts it"
            ),
        )
    shown = 0
    for text in follow_log(workspace, environment, known[address], follow=follow, lines=lines):
        terminal.line(terminal.escaped(text.rstrip("\n")))
        shown += 1
    if not shown and lines:
        terminal.line("nothing has been logged yet: a server logs what goes wrong", error=True)
