"""The state of a stack in a backend that only the engine can read: S3, Pulumi Cloud, and what else it knows."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from bedplate.engine.classify import classify
from bedplate.engine.engine_lock import EngineLock, told_locks
from bedplate.engine.pulumi import Outcome, Pulumi
from bedplate.engine.state import NO_CHECKPOINT, Record, unfinished
from bedplate.errors import EngineError, StateError


def stacks_at(pulumi: Pulumi, project: str, environment: str) -> list[str]:
    """The stacks of a project in the backend, by what follows the project in their names. Raises EngineError."""
    with tempfile.TemporaryDirectory(prefix="bedplate-") as scratch:
        ended = pulumi.call(Path(scratch), "stack", "ls", "--all", "--json")
    if not ended.ok:
        raise classify(ended.text, what=f"the stacks of {project}")
    try:  # what the engine warns of stands before its answer
        listed = json.loads(ended.text[ended.text.index("[") :])
    except ValueError:
        raise StateError(f"the stacks of {project} cannot be told from: {ended.text.strip()}") from None
    names = (str(stack["name"]).split("/") for stack in listed)
    return [
        parts[-2].removeprefix(f"{project}-")
        for parts in names
        if len(parts) > 1 and parts[-1] == environment and parts[-2].startswith(f"{project}-")
    ]


@dataclass(frozen=True, slots=True)
class RemoteState:
    """One stack, exported when it is first looked at and after the engine has changed it.

    `asks_for_locks` False: a backend that keeps its locks to itself.
    """

    pulumi: Pulumi
    project: str
    stack: str
    record: Record
    asks_for_locks: bool = True
    seen: list[str] = field(default_factory=list)

    def exists(self) -> bool:
        return self._exported() != NO_CHECKPOINT

    def checkpoint_hash(self) -> str:
        text = self._exported()
        return hashlib.sha256(text.encode()).hexdigest() if text else NO_CHECKPOINT

    def resources(self) -> list[Mapping[str, Any]]:
        return list(self._deployment().get("resources") or ())

    def pending(self) -> list[Mapping[str, Any]]:
        return unfinished(self._deployment())

    def encryption(self) -> Mapping[str, Any]:
        return self._deployment().get("secrets_providers") or {}

    def locks(self) -> list[EngineLock]:
        """No command shows them. To rename a stack to its own name takes the lock, and changes nothing."""
        if not self.asks_for_locks:
            return []
        with self._folder() as folder:
            ended = self.pulumi.call(folder, "stack", "rename", self.stack, "--stack", self.stack)
        if f"a stack named {self.stack} already exists" in ended.text or self._is_unknown(ended):
            return []
        locks = told_locks(ended.text)
        if not locks:
            raise self._failed(ended)
        return [replace(lock, certain=self.pulumi.has_run(lock.pid)) for lock in locks]

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
        with self._folder() as folder:
            file = folder / "state.json"
            ended = self.pulumi.call(folder, "stack", "export", "--stack", self.stack, "--file", str(file))
            if ended.ok:
                return file.read_text(encoding="utf-8")
        if self._is_unknown(ended):
            return NO_CHECKPOINT
        raise self._failed(ended)

    def _is_unknown(self, ended: Outcome) -> bool:
        return f"no stack named '{self.stack}' found" in ended.text

    def _failed(self, ended: Outcome) -> EngineError:
        return classify(ended.text, what=f"the state of {self.project} in {self.stack}")

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """A project of its own: a stack whose section nobody has compiled here has none."""
        with tempfile.TemporaryDirectory(prefix="bedplate-") as scratch:
            folder = Path(scratch)
            (folder / "Pulumi.yaml").write_text(yaml.safe_dump({"name": self.project, "runtime": "bedplate"}))
            yield folder
