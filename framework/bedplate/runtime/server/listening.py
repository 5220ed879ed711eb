"""How a master comes by its listening socket: from a live predecessor, or by binding it."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from bedplate.runtime.server import control, log
from bedplate.runtime.server.config import Config

_BACKLOG = 2048
_BIND_FOR_S = 5.0  # the workers of a master that was killed need a moment to be gone
_ANSWER_S = 10.0


class CannotListen(Exception):
    """A socket cannot be had; the text says why, `in_use` that somebody has it."""

    def __init__(self, message: str, *, in_use: bool = False) -> None:
        super().__init__(message)
        self.in_use = in_use


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


@dataclass(frozen=True)
class Obtained:
    """The listening socket, since when it listens (Unix time), who had it, and what keeps the port for gRPC."""

    listener: socket.socket
    since: float
    predecessor: Predecessor | None
    guard: socket.socket | None


async def obtain(config: Config, path: Path) -> Obtained:
    """The sockets that a master needs; raises CannotListen."""
    until = time.monotonic() + _BIND_FOR_S
    while True:
        try:
            connection = control.connect(path, _ANSWER_S)
            if connection is not None:
                return _from_predecessor(config, path, connection)
            guard = reserve(config, None)
            return Obtained(_bound(guard, config), time.time(), None, guard)
        except CannotListen as error:
            if not error.in_use or time.monotonic() > until:
                raise
        except OSError as error:
            raise CannotListen(f"{path}: {error.strerror or error}") from error
        await asyncio.sleep(0.05)


def bind(config: Config, port: int) -> socket.socket:
    """Bind and listen; raises CannotListen."""
    listener = _socket(config)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((config.host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _cannot(config, port, error) from error
    return listener


def reserve(config: Config, known: int | None) -> socket.socket | None:
    """What keeps strangers from the port for gRPC, which workers bind and share; raises CannotListen.

    It is bound and does not listen, so that no connection comes to it. `known`: a port that we have already.
    """
    port = config.grpc_port
    if port is None:
        return None
    if port != known:
        bind(config, port).close()
    guard = _socket(config)
    try:
        guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        guard.bind((config.host, port))
    except OSError as error:
        guard.close()
        raise _cannot(config, port, error) from error
    return guard


def _bound(guard: socket.socket | None, config: Config) -> socket.socket:
    try:
        return bind(config, config.port)
    except CannotListen:
        if guard is not None:
            guard.close()
        raise


def _socket(config: Config) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in config.host else socket.AF_INET)


def _cannot(config: Config, port: int, error: OSError) -> CannotListen:
    in_use = error.errno == errno.EADDRINUSE
    why = "is in use by another service or process" if in_use else f"cannot be had: {error.strerror or error}"
    return CannotListen(f"port {port} of {config.host} {why}", in_use=in_use)


def _from_predecessor(config: Config, path: Path, connection: socket.socket) -> Obtained:
    answer, listener = control.take_over(connection)
    if answer["service"] != config.service:
        listener.close()
        raise CannotListen(f"{path} belongs to the running server of {answer['service']}")
    since = answer["listening_since"]
    predecessor = Predecessor(path, connection)
    known = answer.get("grpc_port")
    guard = reserve(config, known if isinstance(known, int) else None)
    if (answer["host"], answer["port"]) == (config.host, config.port) and isinstance(since, float):
        return Obtained(listener, since, predecessor, guard)
    listener.close()
    return Obtained(_bound(guard, config), time.time(), predecessor, guard)
