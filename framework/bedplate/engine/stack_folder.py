"""The folder of a stack as the engine reads it: stacks/<stack>/ with Pulumi.yaml, graph and sources.

Pulumi.<environment>.yaml beside them is the engine's own: it keeps the salt of the state's encryption there.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import yaml

from bedplate._resources import resource
from bedplate.atomic import write_atomically
from bedplate.backend import Backend
from bedplate.compiler import in_order, is_stack
from bedplate.engine.sources import to_text
from bedplate.graph import Graph, Origin
from bedplate.spec_files import SpecFiles
from bedplate.workspace import Workspace


def write_stack_folder(
    workspace: Workspace,
    graph: Graph,
    origins: Mapping[str, Origin],
    files: SpecFiles = SpecFiles(),
    backend: Backend = Backend(),
) -> bool:
    """Writes what is not there byte for byte; True when anything changed."""
    written = [
        write_atomically(workspace.stacks / ".gitignore", resource("stacks", "gitignore").read_bytes()),
        write_atomically(workspace.stack(graph.stack) / "Pulumi.yaml", pulumi_yaml(graph)),
        write_atomically(workspace.graph(graph.stack, graph.environment), graph.to_json()),
        write_atomically(workspace.sources(graph.stack, graph.environment), to_text(origins, files, backend)),
    ]
    return any(written)


def compiled_before(workspace: Workspace, environment: str) -> list[str]:
    """The stacks of which a graph lies in the project, in the order of application."""
    found = (path.parent.name for path in workspace.stacks.glob(f"*/graph.{environment}.json"))
    return in_order(filter(is_stack, found))


def remove_stack_folder(workspace: Workspace, stack: str, environment: str) -> None:
    """Removes what `write_stack_folder` and the engine wrote for one environment, and the folder with the last."""
    folder = workspace.stack(stack)
    for path in (
        workspace.graph(stack, environment),
        workspace.sources(stack, environment),
        folder / f"Pulumi.{environment}.yaml",
    ):
        path.unlink(missing_ok=True)
    if not any(folder.glob("graph.*.json")):
        (folder / "Pulumi.yaml").unlink(missing_ok=True)
        with suppress(OSError):  # somebody keeps something of their own there
            folder.rmdir()


def pulumi_yaml(graph: Graph) -> str:
    """The Pulumi project of a stack: the skeleton with its name."""
    skeleton: dict[str, Any] = yaml.safe_load(resource("stacks", "Pulumi.yaml").read_bytes())
    project = {"name": f"{graph.project}-{graph.stack}", **skeleton}
    return yaml.safe_dump(project, sort_keys=False, allow_unicode=False)
