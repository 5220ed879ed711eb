"""The lock of one environment's state: one apply at a time, with who holds it and since when.

It is a file made with O_EXCL beside the state. A holder that was killed leaves it behind; nobody breaks it
by himself: `bedplate recover` does, after looking whether the holder still lives.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from bedplate.errors import Locked
from bedplate.private_folder import make_private_folder
from bedplate.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lock. `started` tells a process from a later one of the same id (clock ticks, Linux)."""

    user: str
    host: str
    pid: int
    started: int
    since: str
    command: str

    @classmethod
    def this_process(cls, command: str) -> Holder:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(_user(), socket.gethostname(), os.getpid(), process_start(os.getpid()), now, command)

    def alive(self) -> bool | None:
        """Whether the process still runs; None when it is on another machine."""
        if self.host != socket.gethostname():
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return process_start(self.pid) == self.started

    def __str__(self) -> str:
        return f"{self.user}@{self.host}, pid {self.pid}, `bedplate {self.command}` since {self.since}"


def lock_path(workspace: Workspace, environment: str) -> Path:
    return workspace.state / "bedplate" / "locks" / f"{environment}.json"


@contextmanager
def locked(workspace: Workspace, environment: str, command: str) -> Iterator[None]:
    """Holds the environment's lock. Raises Locked, naming the holder, when somebody else does."""
    path = lock_path(workspace, environment)
    make_private_folder(workspace)
    path.parent.mkdir(parents=True, exist_ok=True)
    this = Holder.this_process(command)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        draft.write_text(json.dumps(asdict(this)))
        try:
            os.link(draft, path)  # atomic and with its content: no reader ever sees an empty lock
        except FileExistsError:
            raise _refusal(holder(path)) from None
        finally:
            draft.unlink()
        yield
    finally:
        if holder(path) == this:  # and not of one who broke ours, believing us dead
            path.unlink(missing_ok=True)


@contextmanager
def one_breaker(path: Path) -> Iterator[None]:
    """Lets one process at a time look at a lock and break it: a second might break the lock taken next."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def holder(path: Path) -> Holder | None:
    """Who holds the lock; None when it is free or unreadable. What a later bedplate adds is let be."""
    try:
        data = json.loads(path.read_bytes())
        held = Holder(**{field.name: data[field.name] for field in fields(Holder)})
        datetime.fromisoformat(held.since)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return held if isinstance(held.pid, int) else None


def process_start(pid: int) -> int:
    """When a process started, in clock ticks since boot; 0 where the system does not say."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[19])


def age(since: str) -> str:
    """How long ago an ISO time is, in words."""
    seconds = int(time.time() - datetime.fromisoformat(since).timestamp())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{max(seconds, 0)} s"


def _refusal(held: Holder | None) -> Locked:
    if held is None:
        return Locked("the environment is locked", hint="try again; if it stays so, run `bedplate recover`")
    message = f"locked by {held}, {age(held.since)} ago"
    if held.alive() is False:
        return Locked(f"{message}; that process is gone", hint="run `bedplate recover`, then try again")
    return Locked(message, hint="wait until it is done; if it was killed, run `bedplate recover`")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
