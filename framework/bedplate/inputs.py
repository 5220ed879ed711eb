"""Everything outside the spec that compiling may look at, read once by the loader, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from bedplate.graph import Json
from bedplate.lockfile import LockFile, Pin
from bedplate.onnx_file import Unservable
from bedplate.signature import Signature
from bedplate.spec_files import SpecFiles

Kind = Literal["onnx", "json", "bytes"]


@dataclass(frozen=True, slots=True)
class Needed:
    """A file that an entry names: where in the spec, the path as written, and what is to be seen of it."""

    where: tuple[str | int, ...]
    path: str
    kind: Kind = "bytes"


@dataclass(frozen=True, slots=True)
class NotJson:
    """The file is no JSON; why, in one line."""

    reason: str


@dataclass(frozen=True, slots=True)
class JsonContent:
    """What a JSON file holds."""

    value: Json | None


Content: TypeAlias = Signature | Unservable | JsonContent | NotJson | None


@dataclass(frozen=True, slots=True)
class FileFact:
    """What was seen of a file that the spec names: sha256 in hexadecimal, size in bytes, and its content."""

    sha256: str
    size: int
    content: Content = None


@dataclass(frozen=True, slots=True)
class Inputs:
    """`files` maps a path as written in the spec to what was seen of it.

    `registry` are the versions of models whose alias is the truth, as the registry gave them last. `known` is
    False where nothing outside the spec was looked at, because of what is wrong in it.
    """

    files: Mapping[str, FileFact] = field(default_factory=dict)
    spec: SpecFiles = SpecFiles()
    lock: LockFile = LockFile()
    registry: Mapping[str, Pin] = field(default_factory=dict)
    known: bool = False
