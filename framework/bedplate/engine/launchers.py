"""How the engine finds our plugins, and the environment in which it does.

Launchers lie in the project's .bedplate/bin, named by a relative path in every Pulumi.yaml. Each bedplate
command writes them anew: they start the bedplate that was used last.
"""

from __future__ import annotations

import os
import shlex
import sys

from bedplate.atomic import write_atomically
from bedplate.backend import Backend
from bedplate.engine.secrets import (
    PASSPHRASE,
    PASSPHRASE_FILE_VARIABLE,
    PASSPHRASE_VARIABLE,
    ensure_passphrase,
)
from bedplate.errors import EngineError
from bedplate.private_folder import make_private_folder
from bedplate.workspace import Workspace

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


def engine_environment(workspace: Workspace, backend: Backend = Backend()) -> dict[str, str]:
    """The whole environment of an engine run: this process's, and where this project keeps its state.

    For a state in the project itself the passphrase is created when there is none, and one in the caller's
    environment is of another project: the engine would prefer it to this project's file. For a state that a
    team shares the passphrase is the team's, in the caller's environment. Raises EngineError without it.
    """
    make_private_folder(workspace)
    environment = dict(os.environ)
    if backend.url is None:
        environment.pop(PASSPHRASE_VARIABLE, None)
        ensure_passphrase(workspace)
        workspace.state.mkdir(parents=True, exist_ok=True)
        environment[PASSPHRASE_FILE_VARIABLE] = str(workspace.secrets / PASSPHRASE)
    elif (
        backend.takes_a_passphrase
        and not {PASSPHRASE_VARIABLE, PASSPHRASE_FILE_VARIABLE} & environment.keys()
    ):
        raise EngineError(
            f"the passphrase of the state in {backend.url} is not set",
            hint=f"export {PASSPHRASE_VARIABLE}=..., which the team shares, or {PASSPHRASE_FILE_VARIABLE}=FILE",
        )
    return {
        **environment,
        "PULUMI_HOME": str(workspace.pulumi_home),
        "PULUMI_BACKEND_URL": _url(backend.url or workspace.state.as_uri()),
        "PULUMI_SKIP_UPDATE_CHECK": "1",
    }


def _url(address: str) -> str:
    """A blob's attributes would lie in a file beside it that is not written whole or not at all: an engine
    that is killed in the middle of it could never read its state again. Nobody needs them.
    """
    return f"{address}?metadata=skip" if address.startswith("file:") and "?" not in address else address
