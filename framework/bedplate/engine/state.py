"""The state of a stack, as it lies in Pulumi's backend, and what bedplate keeps beside it.

In a file backend we look at the files themselves, which costs no engine run; another one is asked through
the engine (remote_state.py). A record is written only after a whole, untargeted, successful run. While its
four facts still hold, there is nothing to do and the engine is not started: the graph's digest, the
checkpoint's hash, the versions that wrote it, a keyed fingerprint of each secret.
"""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from bedplate.atomic import write_atomically
from bedplate.engine.engine_lock import EngineLock, read_lock
from bedplate.errors import StateError
from bedplate.workspace import Workspace

NO_CHECKPOINT = ""
CHECKPOINT_VERSION = 3


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides whether a stack is as its graph says. Hashes are sha256 in hexadecimal."""

    graph: str
    checkpoint: str
    versions: Mapping[str, str]
    secrets: Mapping[str, str]

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Facts:
        return cls(data["graph"], data["checkpoint"], data["versions"], data["secrets"])


STACK_TYPE = "pulumi:pulumi:Stack"
CREATING = "creating"
UNREAD = "reading"
"""Our own, of a resource that `recover` took into the state and did not come to read."""
OURS = "bedplate:"
IDENTITY = "bedplate-project"
"""The output of a stack that says whose it is."""


class State(Protocol):
    """What is known of a stack without changing anything. All of it raises StateError for a damaged state."""

    @property
    def record(self) -> Record:
        """What this clone remembers of it."""

    def exists(self) -> bool:
        """Whether the engine knows it: removing a stack empties its history, losing a file does not."""

    def checkpoint_hash(self) -> str:
        """The hash of what it holds, or NO_CHECKPOINT."""

    def resources(self) -> list[Mapping[str, Any]]:
        """The resources that it holds."""

    def pending(self) -> list[Mapping[str, Any]]:
        """Operations that had begun when the engine was killed."""

    def locks(self) -> list[EngineLock]:
        """The engine's own locks on it: none, or one."""

    def encryption(self) -> Mapping[str, Any]:
        """What encrypts the secrets in it, in the engine's words; empty where nothing does."""

    def forget(self) -> None:
        """Called before the engine changes it: what was seen or recorded holds no more."""


@dataclass(frozen=True, slots=True)
class Record:
    """The facts after the last whole success of a stack. They are this clone's own, wherever the state lies."""

    path: Path

    def read(self) -> Facts | None:
        """None where nothing is recorded. A damaged record is as good as none."""
        try:
            return Facts.from_data(json.loads(self.path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, facts: Facts) -> None:
        write_atomically(self.path, json.dumps(asdict(facts), indent=2, sort_keys=True) + "\n")

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)


def record_of(workspace: Workspace, project: str, stack: str) -> Record:
    """`project` and `stack` are Pulumi's names of them."""
    return Record(workspace.state / "bedplate" / "records" / project / f"{stack}.json")


def outputs(state: State) -> Mapping[str, Any]:
    """What the stack itself has as outputs."""
    for resource in state.resources():
        if resource["type"] == STACK_TYPE:
            found: Mapping[str, Any] = resource.get("outputs") or {}
            return found
    return {}


def stacks_in(folder: Path, project: str, environment: str) -> list[str]:
    """The stacks of a project that lie in the backend in `folder`, by what follows the project in their names."""
    found = (folder / ".pulumi" / "stacks").glob(f"{glob.escape(project)}-*/{environment}.json")
    return [path.parent.name.removeprefix(f"{project}-") for path in found]


def unfinished(deployment: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The engine's pending operations, and resources of ours that nobody has read: all of them have outputs."""
    unread = (
        {"type": UNREAD, "resource": resource}
        for resource in deployment.get("resources") or ()
        if resource["type"].startswith(OURS) and not resource.get("outputs")
    )
    return [*(deployment.get("pending_operations") or ()), *unread]


@dataclass(frozen=True, slots=True)
class FileState:
    """The files of one stack in the backend that lies in `folder`."""

    folder: Path
    project: str
    stack: str
    record: Record

    @property
    def checkpoint(self) -> Path:
        return self.folder / ".pulumi" / "stacks" / self.project / f"{self.stack}.json"

    @property
    def backup(self) -> Path:
        return self.checkpoint.with_name(self.checkpoint.name + ".bak")

    @property
    def history(self) -> Path:
        return self.folder / ".pulumi" / "history" / self.project / self.stack

    def exists(self) -> bool:
        return self.checkpoint.exists() or (self.history.is_dir() and any(self.history.iterdir()))

    def checkpoint_hash(self) -> str:
        try:
            content = self.checkpoint.read_bytes()
        except FileNotFoundError:
            if self.exists():
                raise self._damaged("it is missing") from None
            return NO_CHECKPOINT
        except OSError as error:
            raise self._damaged(error.strerror or str(error)) from error
        self._parsed(content)
        return hashlib.sha256(content).hexdigest()

    def resources(self) -> list[Mapping[str, Any]]:
        return list(self._deployment().get("resources") or ())

    def pending(self) -> list[Mapping[str, Any]]:
        return unfinished(self._deployment())

    def locks(self) -> list[EngineLock]:
        folder = self.folder / ".pulumi" / "locks" / "organization" / self.project / self.stack
        paths = sorted(folder.iterdir()) if folder.is_dir() else ()
        return [lock for path in paths if (lock := read_lock(path)) is not None]

    def encryption(self) -> Mapping[str, Any]:
        return self._deployment().get("secrets_providers") or {}

    def forget(self) -> None:
        self.record.forget()

    def _deployment(self) -> Mapping[str, Any]:
        try:
            content = self.checkpoint.read_bytes()
        except FileNotFoundError:
            return {}
        latest: Mapping[str, Any] = self._parsed(content)["checkpoint"].get("latest") or {}
        return latest

    def _parsed(self, content: bytes) -> Mapping[str, Any]:
        try:
            data: Mapping[str, Any] = json.loads(content)
            version = data["version"]
            if not isinstance(data["checkpoint"], dict):
                raise TypeError("checkpoint")
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged("it is truncated or no checkpoint") from error
        if version != CHECKPOINT_VERSION:
            raise self._damaged(f"it is of version {version}, and this bedplate reads {CHECKPOINT_VERSION}")
        return data

    def _damaged(self, why: str) -> StateError:
        kept = " and ".join(str(path) for path in self._backups()) or "none was found"
        return StateError(
            f"the state {self.checkpoint} cannot be used: {why}",
            hint=f"it was left as it is; its backup: {kept}",
        )

    def _backups(self) -> Iterator[Path]:
        if self.backup.exists():
            yield self.backup
        folder = self.folder / ".pulumi" / "backups" / self.project / self.stack
        if folder.is_dir():
            yield from sorted(folder.iterdir())[-1:]
