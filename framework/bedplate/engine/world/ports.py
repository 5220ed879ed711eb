"""Ports: the same service of the same project folder asks for the same port each time."""

from __future__ import annotations

import contextlib
import hashlib
import socket
from collections.abc import Callable, Collection
from pathlib import Path

from bedplate.local_ports import FIRST, LAST

HOST = "127.0.0.1"


def preferred(root: Path, environment: str, name: str) -> int:
    """A port that depends on the project's folder, so that a clone next to a clone prefers another."""
    key = hashlib.sha256(f"{root}\0{environment}\0{name}".encode()).digest()
    return FIRST + int.from_bytes(key[:8], "big") % (LAST - FIRST + 1)


def choose(preference: int, taken: Collection[int], is_free: Callable[[int], bool]) -> int | None:
    """The first port from `preference` on, around the range, that nobody has."""
    size = LAST - FIRST + 1
    for step in range(size):
        port = FIRST + (preference - FIRST + step) % size
        if port not in taken and is_free(port):
            return port
    return None


def is_free(port: int) -> bool:
    """Whether nothing listens on the port now. Connections that linger from earlier do not count."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True
