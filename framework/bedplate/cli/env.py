"""`bedplate env`: print what bare `pulumi` needs."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from bedplate.cli import options, terminal
from bedplate.cli.project import find_workspace


@click.command("env", short_help="print the exports that bare `pulumi` needs")
@options.as_json
@click.pass_obj
def command(folder: Path, as_json: bool) -> None:
    """Print the exports that bare `pulumi` needs, to be read by a shell:  eval "$(bedplate env)"

    Holds paths, never a passphrase: that stays in its file.
    """
    from bedplate.engine.install import find_engine
    from bedplate.engine.launchers import FOREIGN_PASSPHRASE, engine_environment, write_launchers

    workspace = find_workspace(folder)
    write_launchers(workspace)
    wanted = engine_environment(workspace)
    exports = {key: value for key, value in wanted.items() if os.environ.get(key) != value}
    engine = find_engine()
    path = os.environ.get("PATH", "")
    if str(engine.path.parent) not in path.split(os.pathsep):
        exports["PATH"] = f"{engine.path.parent}{os.pathsep}{path}"
    if as_json:
        terminal.data(exports)
        return
    if FOREIGN_PASSPHRASE in os.environ:
        terminal.line(f"unset {FOREIGN_PASSPHRASE}")
    for key, value in sorted(exports.items()):
        terminal.line(f"export {key}={shlex.quote(value)}")
