"""Opens a file of the project, and nothing else: no folder, no FIFO that would block, no device, nothing that
a link leads out of the project's folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO


class OutsideProject(ValueError):
    """The path leads out of the project's folder."""


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


@contextmanager
def open_inside(root: str | os.PathLike[str], name: str) -> Iterator[BinaryIO]:
    """The regular file `name` of the project at `root`, wherever links inside of it lead.

    Raises OutsideProject, and what `open_regular` does.
    """
    real_root = os.path.realpath(root)
    real = os.path.realpath(os.path.join(real_root, name), strict=True)
    if os.path.commonpath((real, real_root)) != real_root:
        raise OutsideProject(name)
    # The real path has no links, and must still have none when it is opened.
    with open_regular(real, follow=False) as file:
        yield file
