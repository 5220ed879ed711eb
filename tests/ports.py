"""A port for a server under test."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port that nobody has, outside those that bedplate gives out."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
