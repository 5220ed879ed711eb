"""Opens a file of the project, and nothing else: no folder, no FIFO that would block, no device, nothing that
a link leads out of the project's folder.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from bedplate.diagnostics import did_you_mean

LISTED_AT_MOST = 2000


class OutsideProject(ValueError):
    """The path leads out of the project's folder."""


def meant_path(root: str | os.PathLike[str], name: str) -> str | None:
    """The path in the project that `name` was probably meant to be, where one part of it is not there."""
    parts = name.split("/")
    for depth, part in enumerate(parts):
        place = os.path.join(root, *parts[:depth])
        if os.path.lexists(os.path.join(place, part)):
            continue
        near = (
            did_you_mean(part, _listed(root, place)) if part.strip(".") and not glob.has_magic(part) else None
        )
        meant = "/".join([*parts[:depth], near, *parts[depth + 1 :]]) if near else None
        return meant if meant and glob.glob(meant, root_dir=root) else None
    return None


def _listed(root: str | os.PathLike[str], place: str) -> list[str]:
    """The names in a folder of the project; none where it leads out of it, or cannot be read."""
    real, real_root = os.path.realpath(place), os.path.realpath(root)
    try:
        names = os.listdir(real) if os.path.commonpath((real, real_root)) == real_root else []
    except OSError:
        names = []
    return sorted(name for name in names if not name.startswith("."))[:LISTED_AT_MOST]


@contextmanager
def open_regular(path: str | os.PathLike[str], *, follow: bool = True) -> Iterator[BinaryIO]:
    """The regular file at `path`. Raises OSError, and ValueError for a path that cannot be one."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def real_inside(root: str | os.PathLike[str], name: str) -> str:
    """The real path of a file or folder of the project at `root`, wherever links inside of it lead.

    Raises OutsideProject, OSError where there is nothing, and ValueError for a path that cannot be one.
    """
    real_root = os.path.realpath(root)
    real = os.path.realpath(os.path.join(real_root, name), strict=True)
    if os.path.commonpath((real, real_root)) != real_root:
        raise OutsideProject(name)
    return real


@contextmanager
def open_inside(root: str | os.PathLike[str], name: str) -> Iterator[BinaryIO]:
    """The regular file `name` of the project at `root`, wherever links inside of it lead.

    Raises OutsideProject, and what `open_regular` does.
    """
    # The real path has no links, and must still have none when it is opened.
    with open_regular(real_inside(root, name), follow=False) as file:
        yield file
