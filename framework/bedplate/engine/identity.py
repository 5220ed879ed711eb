"""Whose state this is. The identity lies in bedplate.lock, which is committed, and as a mark in the state.

A state under the same name that another project wrote is refused: planning over it would delete it.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import yaml

from bedplate.atomic import write_atomically
from bedplate.errors import ForeignState, StateError
from bedplate.workspace import Workspace

LOCK_VERSION = 1
_HEADER = "# Written by bedplate, read by every clone: commit it.\n"


def identity(workspace: Workspace) -> str | None:
    """The project's identity, None before the first `up`. Raises StateError when bedplate.lock is damaged."""
    try:
        text = workspace.lock_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        data = yaml.load(text, Loader=yaml.CSafeLoader)
        found = data["identity"]
        if data["version"] != LOCK_VERSION or not isinstance(found, str):
            raise TypeError("version")
    except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise StateError(
            f"{workspace.lock_file} cannot be read", hint="restore it from version control"
        ) from error
    return found


def check_identity(workspace: Workspace, project: str) -> None:
    """Raises ForeignState when the state carries another project's mark."""
    marked = _marked(workspace, project)
    ours = identity(workspace)
    if marked is None or marked == ours:
        return
    if ours is None:
        raise ForeignState(
            f"there is a state of a project {project}, but bedplate.lock, which says whose it is, is missing",
            hint="restore bedplate.lock from version control; it is committed with the spec",
        )
    raise ForeignState(
        f"the state of {project} in {workspace.state} belongs to another project of that name",
        hint="give this project another name, or another state",
    )


def claim(workspace: Workspace, project: str) -> None:
    """Marks the state as this project's, making the identity first where there is none."""
    check_identity(workspace, project)
    ours = identity(workspace)
    if ours is None:
        ours = secrets.token_hex(16)
        content = yaml.safe_dump({"version": LOCK_VERSION, "identity": ours}, sort_keys=False)
        write_atomically(workspace.lock_file, _HEADER + content)
    write_atomically(_mark(workspace, project), json.dumps({"identity": ours}) + "\n")


def _mark(workspace: Workspace, project: str) -> Path:
    return workspace.state / "bedplate" / "projects" / f"{project}.json"


def _marked(workspace: Workspace, project: str) -> str | None:
    path = _mark(workspace, project)
    try:
        found = json.loads(path.read_bytes())["identity"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(
            f"{path} cannot be read", hint="remove it if this state is this project's"
        ) from error
    return str(found)
