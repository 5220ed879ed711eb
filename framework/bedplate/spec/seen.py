"""What was seen of large files, kept in .bedplate/cache so that validating does not read them each time.

A file is taken for the one that was seen while its size, times and inode are the same, unless it was written
so shortly before it was looked at that it could have changed within the clock's step (git's "racy" files).
What is kept is only what reading again would tell; losing it costs time and nothing else.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bedplate.inputs import Content, FileFact, Kind
from bedplate.onnx_file import Unservable
from bedplate.signature import Signature
from bedplate.version import __version__

LARGE_BYTES = 1024 * 1024
_RACY_NS = 2_000_000_000


@dataclass(slots=True)
class Seen:
    """`files`: path -> what identified it, and its digest and size. `contents`: digest -> what it holds."""

    place: Path
    files: dict[str, list[int | str]] = field(default_factory=dict)
    contents: dict[str, object] = field(default_factory=dict)
    loaded: bool = False
    changed: bool = False

    @classmethod
    @contextmanager
    def opened(cls, root: Path) -> Iterator[Seen]:
        """What was seen of the project's files; what is new is kept at the end, if it can be."""
        seen = cls(root / ".bedplate" / "cache" / "files.json")
        yield seen
        if seen.changed:
            seen.save()

    def fact(self, path: str, kind: Kind, file: BinaryIO) -> FileFact | None:
        """What is known of an open file without reading it."""
        identity = _identity(file)
        if identity is None:
            return None
        self.load()
        known = self.files.get(path)
        if known is None or known[:-2] != identity:
            return None
        sha256, size = str(known[-2]), int(known[-1])
        content = self.content(sha256, kind)
        return None if kind != "bytes" and content is None else FileFact(sha256, size, content)

    def content(self, sha256: str, kind: Kind) -> Content:
        """What a content of this digest holds; None where it has not been looked at."""
        data = self.contents.get(sha256)
        if kind != "onnx" or not isinstance(data, dict):
            return None
        with suppress(KeyError, TypeError, ValueError):
            return Unservable(str(data["not"])) if "not" in data else Signature.from_data(data)
        return None

    def remember(self, path: str, kind: Kind, file: BinaryIO, fact: FileFact) -> None:
        identity = _identity(file)
        if identity is None or kind == "json":
            return
        self.files[path] = [*identity, fact.sha256, fact.size]
        if isinstance(fact.content, Signature):
            self.contents[fact.sha256] = fact.content.to_data()
        elif isinstance(fact.content, Unservable):
            self.contents[fact.sha256] = {"not": fact.content.reason}
        self.changed = True

    def load(self) -> None:
        if self.loaded:
            return
        self.loaded = True
        with suppress(OSError, ValueError, KeyError, TypeError):
            data = json.loads(self.place.read_bytes())
            if data["by"] == __version__:
                self.files, self.contents = dict(data["files"]), dict(data["contents"])

    def save(self) -> None:
        """Nothing depends on it: a folder that cannot be written to is no error."""
        from bedplate.atomic import write_atomically
        from bedplate.private_folder import make_private_folder
        from bedplate.workspace import Workspace

        used = {str(known[-2]) for known in self.files.values()}
        contents = {sha256: data for sha256, data in self.contents.items() if sha256 in used}
        data = {"by": __version__, "files": self.files, "contents": contents}
        with suppress(OSError):
            make_private_folder(Workspace(self.place.parents[2]))
            write_atomically(self.place, json.dumps(data) + "\n")


def _identity(file: BinaryIO) -> list[int | str] | None:
    """What changes when a file does; None for one that is read as quickly, or may still be changing."""
    status = os.fstat(file.fileno())
    if status.st_size < LARGE_BYTES or time.time_ns() - status.st_mtime_ns < _RACY_NS:
        return None
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
