"""The sidecar that says where in the spec each resource of a stack comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from bedplate.graph import Origin
from bedplate.workspace import Workspace


def to_text(origins: Mapping[str, Origin]) -> str:
    """The sidecar's text: resource name to address, file, line, column."""
    data = {name: asdict(origin) for name, origin in origins.items()}
    return json.dumps(data, sort_keys=True, indent=2) + "\n"


def read_sources(path: Path) -> dict[str, Origin]:
    """The origins in a sidecar. One that is missing or damaged costs only the pointers to the spec."""
    try:
        return {name: Origin(**data) for name, data in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def origin_of(workspace: Workspace, urn: str) -> Origin | None:
    """Where the resource of a URN (`urn:pulumi:<stack>::<project>-<section>::<type>::<name>`) comes from."""
    stack, _, rest = urn.removeprefix("urn:pulumi:").partition("::")
    project, _, typed_name = rest.partition("::")
    name = typed_name.partition("::")[2]
    for folder in sorted(workspace.stacks.glob("*/")):
        if project.endswith(f"-{folder.name}"):
            found = read_sources(workspace.sources(folder.name, stack)).get(name)
            if found is not None:
                return found
    return None


def pointed(origin: Origin | None, message: str) -> str:
    """`message` with the place in the spec before it: `bedplate.yaml:12:3: serving.delay: ...`."""
    if origin is None:
        return message
    place = f"{origin.file}:{origin.line}:{origin.column}: "
    if message.startswith(place):
        return message
    address = "" if message.startswith(origin.address) else f"{origin.address}: "
    return f"{place}{address}{message}"
