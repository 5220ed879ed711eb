"""Whose state this is. The identity lies in bedplate.lock, which is committed, and in every stack's outputs.

A state under the same name that another project wrote is refused: planning over it would delete it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace

from bedplate.atomic import write_atomically
from bedplate.engine.state import IDENTITY, State, outputs
from bedplate.errors import ForeignState, StateError
from bedplate.lockfile import LockFile, LockFileError, parse, to_text
from bedplate.project_files import open_regular
from bedplate.workspace import Workspace


def identity(workspace: Workspace) -> str | None:
    """The project's identity, None before the first `up`. Raises StateError when bedplate.lock is damaged."""
    return _lock_file(workspace).identity


def check_identity(workspace: Workspace, project: str, states: Iterable[State]) -> None:
    """Raises ForeignState when a state carries another project's identity."""
    marked = {outputs(state).get(IDENTITY) for state in states if state.exists()} - {None}
    ours = identity(workspace)
    if marked <= {ours}:
        return
    if ours is None:
        raise ForeignState(
            f"there is a state of a project {project}, but bedplate.lock, which says whose it is, is missing",
            hint="restore bedplate.lock from version control; it is committed with the spec",
        )
    raise ForeignState(
        f"the state of {project} belongs to another project of that name",
        hint="give this project another name, or another state",
    )


def claim(workspace: Workspace) -> None:
    """Makes the project's identity where there is none; what is applied from now on carries it."""
    if identity(workspace) is None:
        made = secrets.token_hex(16)
        write_atomically(workspace.lock_file, to_text(replace(_lock_file(workspace), identity=made)))


def _lock_file(workspace: Workspace) -> LockFile:
    try:
        with open_regular(workspace.lock_file) as file:
            return parse(file.read().decode("utf-8"))
    except FileNotFoundError:
        return LockFile()
    except (OSError, LockFileError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise StateError(
            f"{workspace.lock_file} cannot be read: {why}", hint="restore it from version control"
        ) from error
