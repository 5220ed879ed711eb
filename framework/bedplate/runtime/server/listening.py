"""How a master comes by its listening socket: from a live predecessor, or by binding it."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from dataclasses import dataclass, replace
from pathlib import Path

from bedplate.runtime.server import control, log
from bedplate.runtime.server.config import Config

_BACKLOG = 2048
_BIND_FOR_S = 5.0  # the workers of a master that was killed need a moment to be gone
_ANSWER_S = 10.0


class CannotListen(Exception):
    """The socket cannot be had; the text says why."""


@dataclass(frozen=True)
class Predecessor:
    """A live master that serves until it is retired; the connection ends when it does."""

    path: Path
    connection: socket.socket

    async def gone(self) -> None:
        """Return when the predecessor is no more."""
        self.connection.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            while await loop.sock_recv(self.connection, 1024):
                continue
        except OSError:
            return

    def retire(self) -> None:
        """Tell it to drain and end; if it is gone already, so much the better."""
        try:
            self.connection.setblocking(True)
            self.connection.settimeout(_ANSWER_S)
            self.connection.sendall(b'{"command": "retire"}\n')
        except OSError as error:
            log.write("warning", "predecessor is gone", reason=str(error))

    def close(self) -> None:
        self.connection.close()


async def obtain(config: Config, path: Path) -> tuple[socket.socket, float, Predecessor | None]:
    """The listening socket, since when it listens, and who had it; raises CannotListen."""
    until = time.monotonic() + _BIND_FOR_S
    while True:
        port = config.port
        try:
            connection = control.connect(path, _ANSWER_S)
            if connection is not None:
                return _from_predecessor(config, path, connection)
            if config.grpc_port is not None:  # the workers share it, and must not share it with strangers
                port = config.grpc_port
                bind(replace(config, port=port)).close()
                port = config.port
            return bind(config), time.time(), None
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                raise CannotListen(f"{config.host}:{port}: {error.strerror or error}") from error
        await asyncio.sleep(0.05)


def bind(config: Config) -> socket.socket:
    """Bind and listen; raises OSError."""
    listener = socket.socket(socket.AF_INET6 if ":" in config.host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((config.host, config.port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _from_predecessor(
    config: Config, path: Path, connection: socket.socket
) -> tuple[socket.socket, float, Predecessor]:
    answer, listener = control.take_over(connection)
    if answer["service"] != config.service:
        listener.close()
        raise CannotListen(f"{path} belongs to the running server of {answer['service']}")
    since = answer["listening_since"]
    predecessor = Predecessor(path, connection)
    if (answer["host"], answer["port"]) == (config.host, config.port) and isinstance(since, float):
        return listener, since, predecessor
    listener.close()
    return bind(config), time.time(), predecessor
