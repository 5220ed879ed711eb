"""How many cores there are for this process: those that it may run on, and what the quota of its cgroup leaves.

A container on a large machine sees all its cores and gets a share of their time: as many threads as cores would
use that share up at once, and stand still until the next one is given.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

_GROUPS = Path("/proc/self/cgroup")
_MOUNTED = Path("/sys/fs/cgroup")


def available() -> int:
    """Whole cores, one at the least."""
    allowed = float(len(os.sched_getaffinity(0)))
    return max(1, int(min(allowed, quota(_text(_GROUPS), lambda path: _text(_MOUNTED / path)))))


def quota(groups: str, read: Callable[[str], str]) -> float:
    """The cores of the tightest quota, infinity without one.

    `groups` is the text of /proc/self/cgroup; `read` gives the text of a file by its path below /sys/fs/cgroup, an
    empty one where there is none.
    """
    return min(_quotas(groups, read), default=float("inf"))


def _quotas(groups: str, read: Callable[[str], str]) -> Iterator[float]:
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        # A group's quota holds for all below it; a container may see itself as the root, or not at all.
        for folder in (PurePosixPath(path), *PurePosixPath(path).parents):
            group = str(folder).strip("/")
            if not controllers:
                yield from _cores(*read(f"{group}/cpu.max".lstrip("/")).split())
            elif "cpu" in controllers.split(","):
                files = (f"{controllers}/{group}/cpu.cfs_{name}_us" for name in ("quota", "period"))
                yield from _cores(*(text for file in files for text in read(file.replace("//", "/")).split()))


def _cores(*numbers: str) -> Iterator[float]:
    """Of a quota and its period in microseconds; `max` and -1 are none."""
    match numbers:
        case (told, period) if told.isdigit() and period.isdigit() and int(period):
            yield int(told) / int(period)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
