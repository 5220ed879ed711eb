"""`bedplate logs`: print or follow the log of a service."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import click

from bedplate.cli import options, terminal
from bedplate.cli.project import compiled_offline, find_applied
from bedplate.diagnostics import did_you_mean, meant
from bedplate.errors import SpecError, UsageError
from bedplate.sections.serving import KEY as SERVING


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
        raise UsageError(
            f"there is no log of {address!r} in {environment}",
            hint=_instead(folder, environment, address, known),
        )
    shown = 0
    for text in follow_log(workspace, environment, known[address], follow=follow, lines=lines):
        terminal.line(terminal.escaped(text.rstrip("\n")))
        shown += 1
    if not shown and lines:
        terminal.line("nothing has been logged yet: a server logs what goes wrong", error=True)


def _instead(folder: Path, environment: str, address: str, logged: Collection[str]) -> str:
    """What was probably meant: of what has a log, or where nothing runs, of what the spec would start."""
    known = sorted(logged) or _served(folder, environment)
    near = did_you_mean(address.partition(".")[2] or address, [name.partition(".")[2] for name in known])
    if near is not None and f"{SERVING}.{near}" != address:
        return meant(f"{SERVING}.{near}")
    if logged:
        return f"there are: {', '.join(known)}"
    return "nothing runs there; `bedplate up` starts it"


def _served(folder: Path, environment: str) -> list[str]:
    """The services of the spec, if it holds."""
    with suppress(SpecError):
        project, _ = compiled_offline(folder, environment)
        return [f"{SERVING}.{key}" for key in sorted(project.sections.get(SERVING, {}))]
    return []
