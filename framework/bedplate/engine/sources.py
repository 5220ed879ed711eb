"""The sidecar of a graph: the files of the spec it was compiled from, where in them each resource is, and where
its state lies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

from bedplate.backend import Backend
from bedplate.graph import Origin
from bedplate.json_text import json_text
from bedplate.spec_files import SpecFiles
from bedplate.workspace import Workspace

_ORIGIN = [field.name for field in fields(Origin)]


def to_text(origins: Mapping[str, Origin], files: SpecFiles, backend: Backend = Backend()) -> str:
    """The sidecar's text: the spec's files, and for each resource its address, file, line and column."""
    resources = {name: {key: getattr(origin, key) for key in _ORIGIN} for name, origin in origins.items()}
    data = {"spec": asdict(files), "resources": resources, "state": asdict(backend)}
    return json_text(data) + "\n"


def read_spec_files(path: Path) -> SpecFiles:
    """The files that a graph was compiled from, none where the sidecar does not say."""
    try:
        spec = json.loads(path.read_bytes())["spec"]
        return SpecFiles(dict(spec["digests"]), tuple(spec["patterns"]))
    except (OSError, ValueError, KeyError, TypeError):
        return SpecFiles()


def read_backend(path: Path) -> Backend:
    """Where the state of a graph lies, as it was when the graph was compiled."""
    try:
        return Backend(**json.loads(path.read_bytes())["state"])
    except (OSError, ValueError, KeyError, TypeError):
        return Backend()


def read_sources(path: Path) -> dict[str, Origin]:
    """The origins in a sidecar. One that is missing or damaged costs only the pointers to the spec."""
    try:
        resources = json.loads(path.read_bytes())["resources"]
        return {name: Origin(**data) for name, data in resources.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def addresses(workspace: Workspace, environment: str) -> dict[str, str]:
    """What the spec calls each service, by what the world does: an entry with a `name` has two addresses."""
    return {
        f"{origin.address.partition('.')[0]}.{name}": origin.address
        for folder in sorted(workspace.stacks.glob("*/"))
        for name, origin in read_sources(workspace.sources(folder.name, environment)).items()
    }


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
