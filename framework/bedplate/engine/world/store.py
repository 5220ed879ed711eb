"""The content-addressed store: models by the sha256 of their bytes, written once.

A file stays while a token or the configuration of any server names it, so a server that still runs an
older model keeps it until it has gone over to the newer one.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from bedplate.atomic import sync_folder
from bedplate.engine.provider.kind import ResourceFailed
from bedplate.engine.world import token
from bedplate.engine.world.files import failures, read_json
from bedplate.graph import Json
from bedplate.workspace import LocalWorld

_CHUNK = 2**20


def stored(world: LocalWorld, sha256: str) -> Path:
    """Where the content with this digest lies."""
    return world.artifacts / f"sha256-{sha256}.onnx"


def token_path(world: LocalWorld, name: str) -> Path:
    return world.artifacts / f"{name}.json"


def partial_path(world: LocalWorld, name: str) -> Path:
    """Where a copy is written until it is whole; one per artifact, so a retry overwrites it."""
    return world.artifacts / f".{name}.partial"


def open_source(root: Path, relative: str) -> int:
    """A descriptor of the project's regular file `relative`, wherever links inside the project lead."""
    real = Path(os.path.realpath(root / relative))
    if not real.is_relative_to(os.path.realpath(root)):
        raise ResourceFailed(f"{relative} lies outside the project")
    with failures(f"read {relative}"):
        # The path was resolved above: a link now means that it was swapped. A FIFO must not make us wait.
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ResourceFailed(f"{relative} is not a regular file")
    return descriptor


def copy(source: int, target: Path, stop: Callable[[], bool]) -> str:
    """Copies an open file to `target`, durably, and gives the sha256 of what was copied.

    Nothing is left at `target` on failure.
    """
    digest = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        with open(source, "rb") as reader, open(target, "wb") as writer:
            while chunk := reader.read(_CHUNK):
                if stop():
                    raise ResourceFailed("interrupted")
                digest.update(chunk)
                writer.write(chunk)
            writer.flush()
            os.fchmod(writer.fileno(), 0o400)
            os.fsync(writer.fileno())
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return digest.hexdigest()


def place(world: LocalWorld, partial: Path, sha256: str) -> None:
    """Makes a whole copy the store's content of that digest."""
    os.replace(partial, stored(world, sha256))
    sync_folder(world.artifacts)


def look(path: Path) -> tuple[str, int] | None:
    """The sha256 and size of a stored file, None if there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return None


def collect_garbage(world: LocalWorld) -> None:
    """Removes contents that nothing names. Call it with the world locked."""
    try:
        needed = set(_needed(world))
    except (ValueError, ResourceFailed):
        return  # a damaged file may name anything
    for path in world.artifacts.glob("sha256-*.onnx"):
        if path.name not in needed:
            path.unlink(missing_ok=True)


def _needed(world: LocalWorld) -> Iterator[str]:
    for path in world.artifacts.glob("*.json"):
        owner = token.load(path)
        if owner is not None:
            yield stored(world, str(owner.details.get("sha256", ""))).name
    for path in (world.root / "services").glob("*/*.json"):
        if path.name in ("server.json", "next.json"):
            yield from _served(read_json(path) or {})


def _served(config: dict[str, Json]) -> Iterator[str]:
    models = config.get("models")
    if not isinstance(models, list):
        raise ValueError("no list of models")
    for model in models:
        with suppress(TypeError, KeyError):
            yield stored_name(model)


def stored_name(model: Json) -> str:
    """The store's file behind a model of a server's configuration."""
    if not isinstance(model, dict):
        raise ValueError("not a model")
    return f"sha256-{model['sha256']}.onnx"
