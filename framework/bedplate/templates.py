"""What new projects start from: layers of files under templates/, put on top of each other.

Files that end in .j2 are Jinja2 text and lose that ending; all others are taken byte for byte.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bedplate._resources import resource
from bedplate.spec.names import LENGTH, is_plain_name, world_name
from bedplate.workspace import SPEC_FILE

RENDERED = ".j2"
NAMELESS = "project"
# Stands for the image that a team builds; its digest is not one that any image has.
IMAGE = "ghcr.io/acme/model-server@sha256:" + 32 * "ac"


@dataclass(frozen=True, slots=True)
class Template:
    """`layers` are folders under templates/; a later one may replace files of an earlier one.

    `clusters`: the environments that its workflow plans and applies, in their order.
    """

    summary: str
    layers: tuple[str, ...]
    clusters: tuple[str, ...] = ()


TEMPLATES = {
    "minimal": Template("the smallest project that runs: one model, one server", ("shared", "minimal")),
    "service": Template(
        "one service as a small team has it: training, tests, a policy, staging and prod, CI",
        ("shared", "team", "service"),
        ("staging", "prod"),
    ),
    "fleet": Template(
        "several models that teams own in files of their own: two regions, staging and production",
        ("shared", "team", "fleet"),
        ("staging", "prod-eu", "prod-us"),
    ),
}


def files(template: str, project: str) -> Mapping[str, bytes]:
    """The files of a new project by their paths in it, the spec last: without it, it is none yet."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, autoescape=False
    )
    told = {
        "template": template,
        "project": project,
        "dns": world_name(project),
        "image": IMAGE,
        "clusters": TEMPLATES[template].clusters,
    }
    found: dict[str, bytes] = {}
    for layer in TEMPLATES[template].layers:
        for name, content in _layer(resource("templates", layer)):
            if name.endswith(RENDERED):
                text = environment.from_string(content.decode()).render(told)
                found[name.removesuffix(RENDERED)] = text.encode()
            else:
                found[name] = content
    return {name: found[name] for name in sorted(found, key=lambda name: (name == SPEC_FILE, name))}


def _layer(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def name_from(folder: str) -> str:
    """The name for a project in a folder of this name: `My Models (2)` becomes my-models-2."""
    plain = unicodedata.normalize("NFKD", folder).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9_]+", "-", plain)
    name = re.sub(r"^([^a-z]+|x-+)+", "", words)[:LENGTH].rstrip("-_")
    return name if is_plain_name(name) else NAMELESS


def taken(root: Path, names: Iterable[str]) -> list[str]:
    """What stands where files of a new project would: files, or a file or link in the place of a folder."""
    found: set[str] = set()
    for name in names:
        path = Path(name)
        folders = [folder for folder in path.parents if folder.name]
        blocked = [part for part in folders if (root / part).is_symlink() or (root / part).is_file()]
        if blocked:
            found.add(blocked[-1].as_posix())
        elif os.path.lexists(root / path):
            found.add(name)
    return sorted(found)


def write(root: Path, contents: Mapping[str, bytes]) -> None:
    """Writes the files, all or none, and never over one that is there. Raises OSError."""
    made_folders: list[Path] = []
    made_files: list[Path] = []
    try:
        for name, content in contents.items():
            path = root / name
            for folder in [p for p in reversed(path.parents) if not p.exists()]:
                folder.mkdir()
                made_folders.append(folder)
            with path.open("xb") as file:
                made_files.append(path)
                file.write(content)
    except BaseException:
        for path in made_files:
            path.unlink(missing_ok=True)
        for folder in reversed(made_folders):
            folder.rmdir()
        raise
