"""How the engine finds our plugins, and the environment in which it does.

Launchers lie in the project's .bedplate/bin, named by a relative path in every Pulumi.yaml. Each bedplate
command writes them anew: they start the bedplate that was used last.
"""

from __future__ import annotations

import os
import shlex
import sys

from bedplate.atomic import write_atomically
from bedplate.engine.secrets import PASSPHRASE, ensure_passphrase
from bedplate.private_folder import make_private_folder
from bedplate.workspace import Workspace

FOREIGN_PASSPHRASE = "PULUMI_CONFIG_PASSPHRASE"  # noqa: S105 - the name of a variable
PLUGINS = {
    "pulumi-language-bedplate": "bedplate.engine.language_host",
    "pulumi-resource-bedplate": "bedplate.engine.provider",
}


def write_launchers(workspace: Workspace) -> None:
    """Writes both launchers, if they are not as they shall be."""
    make_private_folder(workspace)
    for name, module in PLUGINS.items():
        write_atomically(workspace.launchers / name, launcher(module), mode=0o755)


def launcher(module: str) -> str:
    """A shell script that becomes `module`, told the project's folder from where the script itself lies.

    -P keeps the working directory, a stack's folder, out of Python's search path. SIGINT is ignored until the
    module itself says what it does, see quiet_start.py.
    """
    root = '"$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd -P)"'
    return (
        f'#!/bin/sh\ntrap "" INT\nexec {shlex.quote(sys.executable)} -P -m {module} --project {root} "$@"\n'
    )


def engine_environment(workspace: Workspace) -> dict[str, str]:
    """The whole environment of an engine run: this process's, and where this project keeps its state.

    The passphrase is created when there is none; call `ensure_passphrase` first to learn of it. One in the
    caller's environment is of another project: the engine would prefer it to this project's file.
    """
    make_private_folder(workspace)
    ensure_passphrase(workspace)
    workspace.state.mkdir(parents=True, exist_ok=True)
    return {
        **{key: value for key, value in os.environ.items() if key != FOREIGN_PASSPHRASE},
        "PULUMI_HOME": str(workspace.pulumi_home),
        # A blob's attributes would lie in a file beside it that is not written whole or not at all: an engine
        # that is killed in the middle of it could never read its state again. Nobody needs them.
        "PULUMI_BACKEND_URL": f"{workspace.state.as_uri()}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(workspace.secrets / PASSPHRASE),
        "PULUMI_SKIP_UPDATE_CHECK": "1",
    }
