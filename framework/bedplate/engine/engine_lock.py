"""The engine's own lock on a stack: a file that an engine which is killed leaves behind."""

from __future__ import annotations

import json
import re
import socket
from dataclasses import dataclass
from pathlib import Path

_TOLD = re.compile(
    r"(?P<file>\S+): created by (?P<user>.*)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<since>\S+)"
)


@dataclass(frozen=True, slots=True)
class EngineLock:
    """Who holds it, as far as the file says; a file that cannot be read has no holder.

    `certain`: its host is this very machine, and not only one of the same name.
    """

    file: str
    user: str = ""
    host: str = ""
    pid: int = 0
    since: str = ""
    certain: bool = True

    def alive(self) -> bool | None:
        """Whether that engine still runs, and is not a later process of the same id; None: not seen here."""
        if self.pid and self.host != socket.gethostname():
            return None
        if _is_engine(self.pid):
            return True
        return False if self.certain else None

    def __str__(self) -> str:
        if not self.pid:
            return "an engine"
        return f"an engine of {self.user}@{self.host}, pid {self.pid}, since {self.since}"


def read_lock(path: Path) -> EngineLock | None:
    """The lock in a file; None where it was given back meanwhile."""
    try:
        data = json.loads(path.read_bytes())
        holder = str(data["username"]), str(data["hostname"]), int(data["pid"]), str(data["timestamp"])
        return EngineLock(str(path), *holder)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return EngineLock(str(path))


def told_locks(text: str) -> list[EngineLock]:
    """The locks that an engine names when it is refused; where it was its machine, nobody has told."""
    if "currently locked" not in text:
        return []
    found = [
        EngineLock(told["file"], told["user"], told["host"], int(told["pid"]), told["since"], certain=False)
        for told in _TOLD.finditer(text)
    ]
    return found or [EngineLock("", certain=False)]


def _is_engine(pid: int) -> bool:
    try:
        return "pulumi" in Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return False
