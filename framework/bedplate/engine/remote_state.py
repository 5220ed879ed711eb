"""The state of a stack in a backend that only the engine can read: S3, Pulumi Cloud, and what else it knows."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bedplate.engine.classify import classify
from bedplate.engine.engine_lock import EngineLock
from bedplate.engine.pulumi import Pulumi
from bedplate.engine.state import NO_CHECKPOINT, Record
from bedplate.errors import StateError

_UNKNOWN = ("no stack named", "not found")


@dataclass(frozen=True, slots=True)
class RemoteState:
    """One stack, exported when it is first looked at and after the engine has changed it."""

    pulumi: Pulumi
    project: str
    stack: str
    record: Record
    seen: list[str] = field(default_factory=list)

    def exists(self) -> bool:
        return self._exported() != NO_CHECKPOINT

    def checkpoint_hash(self) -> str:
        text = self._exported()
        return hashlib.sha256(text.encode()).hexdigest() if text else NO_CHECKPOINT

    def resources(self) -> list[Mapping[str, Any]]:
        return list(self._deployment().get("resources") or ())

    def pending(self) -> list[Mapping[str, Any]]:
        return list(self._deployment().get("pending_operations") or ())

    def locks(self) -> list[EngineLock]:
        """The engine shows a lock only to who needs it: a command that does is refused by the engine itself."""
        return []

    def forget(self) -> None:
        self.seen.clear()
        self.record.forget()

    def _deployment(self) -> Mapping[str, Any]:
        text = self._exported()
        if not text:
            return {}
        try:
            deployment: Mapping[str, Any] = json.loads(text)["deployment"] or {}
        except (ValueError, KeyError, TypeError) as error:
            raise StateError(
                f"the state of {self.project} in {self.stack} cannot be read: {error}"
            ) from error
        return deployment

    def _exported(self) -> str:
        if not self.seen:
            self.seen.append(self._export())
        return self.seen[0]

    def _export(self) -> str:
        """In a folder of its own: a stack whose section nobody has compiled here has none."""
        with tempfile.TemporaryDirectory(prefix="bedplate-") as scratch:
            folder, file = Path(scratch), Path(scratch) / "state.json"
            (folder / "Pulumi.yaml").write_text(yaml.safe_dump({"name": self.project, "runtime": "bedplate"}))
            ended = self.pulumi.call(folder, "stack", "export", "--stack", self.stack, "--file", str(file))
            if ended.ok:
                return file.read_text(encoding="utf-8")
        if all(words in ended.text for words in _UNKNOWN):
            return NO_CHECKPOINT
        raise classify(ended.text, what=f"the state of {self.project} in {self.stack}")
