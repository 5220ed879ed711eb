"""`bedplate env`: print what bare `pulumi` needs."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from bedplate.cli import options, terminal
from bedplate.cli.project import open_applied


@click.command("env", short_help="print the exports that bare `pulumi` needs")
@options.environment
@options.as_json
@click.pass_obj
def command(folder: Path, environment: str, as_json: bool) -> None:
    """Print the exports that bare `pulumi` needs, for a shell to read:

    \b
      eval "$(bedplate env)"

    Holds paths and the address of the state, never a passphrase: that stays where it is.
    """
    from bedplate.engine.install import find_engine
    from bedplate.engine.launchers import engine_environment, write_launchers
    from bedplate.engine.secrets import PASSPHRASE_VARIABLE

    project = open_applied(folder, environment)
    write_launchers(project.workspace)
    wanted = engine_environment(project.workspace, project.compiled.backend)
    exports = {key: value for key, value in wanted.items() if os.environ.get(key) != value}
    engine = find_engine()
    path = os.environ.get("PATH", "")
    if str(engine.path.parent) not in path.split(os.pathsep):
        exports["PATH"] = f"{engine.path.parent}{os.pathsep}{path}"
    if as_json:
        terminal.data(exports)
        return
    if PASSPHRASE_VARIABLE in os.environ and PASSPHRASE_VARIABLE not in wanted:
        terminal.line(f"unset {PASSPHRASE_VARIABLE}")
    for key, value in sorted(exports.items()):
        terminal.line(f"export {key}={shlex.quote(value)}")
