"""The project's .bedplate/: state, secrets and logs of this machine, its owner's alone, never committed."""

from __future__ import annotations

from bedplate.atomic import write_atomically
from bedplate.workspace import Workspace


def make_private_folder(workspace: Workspace) -> None:
    """Makes it, unless it is there; from then on version control does not see it."""
    workspace.private.mkdir(mode=0o700, exist_ok=True)
    write_atomically(workspace.private / ".gitignore", "*\n")
