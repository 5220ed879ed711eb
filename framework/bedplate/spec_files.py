"""The files that a spec is written in: bedplate.yaml, what it includes, and bedplate.lock.

Light, as the language host looks whether a graph is as old as they are.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bedplate.project_files import open_regular

LOCK_FILE = "bedplate.lock"
_OF_NO_GRAPH = (b"#", b"version:", b"identity:")


@dataclass(frozen=True, slots=True)
class SpecFiles:
    """What was read: the sha256 of each file by its name, and the patterns that named the included ones.

    Names are relative to the project's folder, with forward slashes.
    """

    digests: Mapping[str, str] = field(default_factory=dict)
    patterns: tuple[str, ...] = ()

    def changed(self, root: Path) -> str | None:
        """The first of the files that is not as it was read, gone, or new; None where there is none."""
        now = {name for pattern in self.patterns for name in expand(root, pattern)}
        for name in sorted(now | self.digests.keys()):
            if name not in self.digests or _digest(root / name) != self.digests[name]:
                return name
        return None


def expand(root: Path, pattern: str) -> list[str]:
    """The files of the project that a pattern names, sorted; a name without wildcards stands for itself."""
    if not glob.has_magic(pattern):
        return [pattern]
    return sorted(name for name in glob.glob(pattern, root_dir=root) if not os.path.isdir(root / name))


def digest_of(name: str, data: bytes) -> str:
    """The sha256 of a file's bytes; of the lock, without what changes no graph: none is as good as a new one."""
    if name == LOCK_FILE:
        data = b"".join(line for line in data.splitlines(True) if not line.startswith(_OF_NO_GRAPH))
    return hashlib.sha256(data).hexdigest()


def _digest(path: Path) -> str | None:
    try:
        with open_regular(path) as file:
            return digest_of(path.name, file.read())
    except OSError:
        return digest_of(path.name, b"") if path.name == LOCK_FILE else None
