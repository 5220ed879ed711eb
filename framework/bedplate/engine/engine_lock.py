"""The engine's own lock on a stack: a file that an engine which is killed leaves behind."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class EngineLock:
    """Who holds it, as far as the file says; a file that cannot be read has no holder."""

    path: Path
    user: str = ""
    host: str = ""
    pid: int = 0
    since: str = ""

    def alive(self) -> bool | None:
        """Whether that engine still runs, and is not a later process of the same id; None: not seen here."""
        if self.pid and self.host != socket.gethostname():
            return None
        try:
            return self.path.exists() and "pulumi" in Path(f"/proc/{self.pid}/comm").read_text()
        except OSError:
            return False

    def __str__(self) -> str:
        if not self.pid:
            return "an engine"
        return f"an engine of {self.user}@{self.host}, pid {self.pid}, since {self.since}"


def read_lock(path: Path) -> EngineLock | None:
    """The lock in a file; None where it was given back meanwhile."""
    try:
        data = json.loads(path.read_bytes())
        return EngineLock(
            path, str(data["username"]), str(data["hostname"]), int(data["pid"]), str(data["timestamp"])
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return EngineLock(path)
