"""The folder of a stack as the engine reads it: stacks/<section>/ with Pulumi.yaml, graph and sources.

Pulumi.<environment>.yaml beside them is the engine's own: it keeps the salt of the state's encryption there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from bedplate._resources import resource
from bedplate.atomic import write_atomically
from bedplate.backend import Backend
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
        write_atomically(workspace.stack(graph.section) / "Pulumi.yaml", pulumi_yaml(graph)),
        write_atomically(workspace.graph(graph.section, graph.environment), graph.to_json()),
        write_atomically(
            workspace.sources(graph.section, graph.environment), to_text(origins, files, backend)
        ),
    ]
    return any(written)


def pulumi_yaml(graph: Graph) -> str:
    """The Pulumi project of a section: the skeleton with its name."""
    skeleton: dict[str, Any] = yaml.safe_load(resource("stacks", "Pulumi.yaml").read_bytes())
    project = {"name": f"{graph.project}-{graph.section}", **skeleton}
    return yaml.safe_dump(project, sort_keys=False, allow_unicode=False)
