"""Accepting and ending connections: Uvicorn's HTTP protocol under our own listener and drain.

Uvicorn's server closes its socket and idle connections at once when told to stop; a client that
sends on a kept connection in that moment loses its request. Here a draining worker answers what
still comes on its connections with `Connection: close`, and closes only those that stay quiet.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from email.utils import formatdate

from uvicorn.config import Config as UvicornConfig

from bedplate.runtime.server import log
from bedplate.runtime.server.connection import KEPT_S, Application, Connection, State

_HANDSHAKE_S = 10.0
_TICK_S = 1.0
_DRAIN_TICK_S = 0.05
_OUT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Connections:
    """The connections of a worker, accepted one at a time so that workers share them evenly."""

    def __init__(
        self, listener: socket.socket, front: Application, tls: ssl.SSLContext | None = None
    ) -> None:
        self._listener = listener
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._state = State(front)
        self._opening: set[asyncio.Task[object]] = set()
        self._uvicorn = UvicornConfig(
            app=front,
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=KEPT_S,
        )
        self._uvicorn.load()
        self._accepting = False
        self._tick()

    def accept(self) -> None:
        """Take connections from the shared listening socket from now on."""
        if not self._accepting and self._state.draining_since is None:
            self._accepting = True
            self._loop.add_reader(self._listener.fileno(), self._take)

    def loaded(self) -> None:
        """Keep connections between requests from now on."""
        self._state.loading = False

    def _take(self) -> bool:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False  # another worker was faster, or the client is gone
        except OSError as error:
            if error.errno not in _OUT_OF_FILES:
                raise
            self._rest()
            return False
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._open(connection))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return True

    async def _open(self, connection: socket.socket) -> None:
        within_s = None if self._tls is None else _HANDSHAKE_S
        try:
            await self._loop.connect_accepted_socket(
                self._connection, connection, ssl=self._tls, ssl_handshake_timeout=within_s
            )
        except (ssl.SSLError, ConnectionError, TimeoutError):
            connection.close()  # a client that speaks no TLS, or is gone

    def _rest(self) -> None:
        """Out of file descriptors: the socket stays readable, so look away for a moment."""
        self._loop.remove_reader(self._listener.fileno())
        self._accepting = False
        self._loop.call_later(0.1, self.accept)

    def _connection(self) -> Connection:
        return Connection(config=self._uvicorn, server_state=self._state, app_state={})

    def _tick(self) -> None:
        now = self._loop.time()
        date = formatdate(usegmt=True).encode()
        self._state.default_headers = [(b"date", date)]
        self._state.date = b"date: %b\r\n" % date
        for connection in list(self._state.connections):
            if isinstance(connection, Connection):
                connection.check(now)
        self._loop.call_later(_TICK_S if self._state.draining_since is None else _DRAIN_TICK_S, self._tick)

    def refuse(self) -> None:
        """Accept nothing from this moment on."""
        if self._accepting:
            self._loop.remove_reader(self._listener.fileno())
            self._accepting = False
        if self._state.draining_since is None:
            self._state.draining_since = self._loop.time()

    async def drain(self, within_s: float) -> None:
        """Answer what was accepted, and return when all connections are closed."""
        until = self._loop.time() + within_s
        self.refuse()
        await asyncio.gather(*self._opening)
        for connection in list(self._state.connections):
            if isinstance(connection, Connection):
                connection.last_request()
        self._tick()
        while self._state.connections and self._loop.time() < until:
            await asyncio.sleep(_DRAIN_TICK_S)
        self._cut_off()

    def empty_queue(self) -> None:
        """Take what already waits in the listening socket's queue, before it is closed for good."""
        while self._accepting and self._take():
            pass

    def _cut_off(self) -> None:
        left = list(self._state.connections)
        if left:
            log.write("error", "cut off", connections=len(left))
        for connection in left:
            if isinstance(connection, Connection):
                connection.abort()
