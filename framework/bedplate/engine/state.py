"""The state of a stack, as it lies in Pulumi's file backend, and what bedplate keeps beside it.

A record is written only after a whole, untargeted, successful run. While its four facts still hold, there
is nothing to do and the engine is not started: the graph's digest, the checkpoint's hash, the versions
that wrote it, a keyed fingerprint of each secret.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bedplate.atomic import write_atomically
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


@dataclass(frozen=True, slots=True)
class StackState:
    """The files of one stack: `project` and `stack` are Pulumi's names of them."""

    workspace: Workspace
    project: str
    stack: str

    @property
    def checkpoint(self) -> Path:
        return self.workspace.state / ".pulumi" / "stacks" / self.project / f"{self.stack}.json"

    @property
    def backup(self) -> Path:
        return self.checkpoint.with_name(self.checkpoint.name + ".bak")

    @property
    def history(self) -> Path:
        return self.workspace.state / ".pulumi" / "history" / self.project / self.stack

    @property
    def record(self) -> Path:
        return self.workspace.state / "bedplate" / "records" / self.project / f"{self.stack}.json"

    @property
    def engine_locks(self) -> Path:
        return self.workspace.state / ".pulumi" / "locks" / "organization" / self.project / self.stack

    def exists(self) -> bool:
        """Whether the engine knows it: removing a stack empties its history, losing a file does not."""
        return self.checkpoint.exists() or (self.history.is_dir() and any(self.history.iterdir()))

    def checkpoint_hash(self) -> str:
        """The hash of the checkpoint, or NO_CHECKPOINT. Raises StateError when it is damaged."""
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
        """The resources that the checkpoint holds."""
        return list(self._deployment().get("resources") or ())

    def pending(self) -> list[Mapping[str, Any]]:
        """Operations that had begun when the engine was killed."""
        return list(self._deployment().get("pending_operations") or ())

    def recorded(self) -> Facts | None:
        """The facts after the last whole success. A damaged record is as good as none."""
        try:
            return Facts.from_data(json.loads(self.record.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write_record(self, facts: Facts) -> None:
        write_atomically(self.record, json.dumps(asdict(facts), indent=2, sort_keys=True) + "\n")

    def forget_record(self) -> None:
        self.record.unlink(missing_ok=True)

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
        folder = self.workspace.state / ".pulumi" / "backups" / self.project / self.stack
        if folder.is_dir():
            yield from sorted(folder.iterdir())[-1:]
