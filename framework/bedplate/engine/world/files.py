"""Files of the world: written whole or not at all, in folders that only their owner can open."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bedplate.atomic import sync_folder
from bedplate.engine.provider.kind import ResourceFailed
from bedplate.graph import Json
from bedplate.workspace import LocalWorld

_LOCK_TIMEOUT_S = 60.0
_LOCK_POLL_S = 0.02


@contextlib.contextmanager
def failures(doing: str) -> Iterator[None]:
    """Says in words what could not be done when the operating system refuses."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise ResourceFailed(f"could not {doing}: {error.strerror or error}{where}") from error


def write_bytes(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replaces `path` atomically and durably; on failure the old file stands and nothing lies beside it.

    A file has one writer at a time, so the draft of one that was killed is overwritten by the next.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_path(path)
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def draft_path(path: Path) -> Path:
    """Where the next content of `path` is written until it is whole."""
    return path.with_name(f".{path.name}.draft")


def write_json(path: Path, data: Mapping[str, Json]) -> None:
    """A mapping as a JSON file that only its owner can read."""
    write_bytes(path, (json.dumps(data, indent=2, sort_keys=True) + "\n").encode())


def read_json(path: Path) -> dict[str, Json] | None:
    """The mapping in a JSON file, None where there is no file. Raises ValueError on anything else."""
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")
    return data


def remove_if_empty(folder: Path) -> None:
    """Removes a folder unless something lies in it."""
    with contextlib.suppress(FileNotFoundError, OSError):
        folder.rmdir()


def ensure_private(world: LocalWorld) -> None:
    """The runtime folder and its parent: ours, and closed to everybody else.

    They lie under a folder that everybody can write to, so somebody else may have been there first.
    """
    for folder in (world.runtime.parent, world.runtime):
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise ResourceFailed(
                f"{folder} is not a folder that only you can open",
                "somebody else may have made it: look at it, then remove it or set its mode to 0700",
            )


@contextlib.contextmanager
def locked(world: LocalWorld) -> Iterator[None]:
    """Holds what provider processes of one environment share: the supervisor, ports, the store."""
    descriptor = _lock(world.root / "lock")
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(path: Path) -> int:
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while time.monotonic() < deadline:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue
        if _holds(descriptor, path):
            return descriptor
        os.close(descriptor)
        time.sleep(_LOCK_POLL_S)
    raise ResourceFailed(f"another bedplate process has held {path} for {_LOCK_TIMEOUT_S:.0f} seconds")


def _holds(descriptor: int, path: Path) -> bool:
    """Whether we hold the lock on the file that is still there: `destroy` removes it while it holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False
