"""Accepting and ending connections: Uvicorn's HTTP protocol under our own listener and drain.

Uvicorn's server closes its socket and idle connections at once when told to stop; a client that
sends on a kept connection in that moment loses its request. Here a draining worker answers what
still comes on its connections with `Connection: close`, and closes only those that stay quiet.
"""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import ssl
from collections.abc import Callable
from email.utils import formatdate

from uvicorn.config import Config as UvicornConfig
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from bedplate.runtime.server import log

_HEAD_S = 10.0  # a request's head must arrive within this time
_BODY_S = 30.0  # and its body within this
_KEPT_S = 65  # how long a connection may stay quiet between requests
_LINGER_S = 1.0  # and how long while draining: a client in a loop is back long before
_LAST_WORDS_S = 2.0  # how long a client that was refused may take to read why
_HEAD_BYTES = 64 * 2**10
_TICK_S = 1.0
_DRAIN_TICK_S = 0.05
_OUT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class State(ServerState):
    """What the connections of a worker share."""

    draining_since: float | None = None
    loading = True  # a connection is not kept to a worker that only says it is not ready


class Connection(HttpToolsProtocol):
    """One client connection, with bounds on how long and how large a request may arrive."""

    server_state: State

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._quiet_since = self._head_since = self.loop.time()
        self._awaits_head = True
        self._head_bytes = 0
        self._body_since = 0.0
        self._refused_since = 0.0

    def data_received(self, data: bytes) -> None:
        if self._refused_since:
            return
        if not self._awaits_head and not self._body_since:  # the first bytes of a next request
            self._awaits_head, self._head_since, self._head_bytes = True, self.loop.time(), 0
        super().data_received(data)
        if self._awaits_head and not (self._refused_since or self.transport.is_closing()):
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES:
                self._refuse(431, "the request's head is too long")

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._awaits_head = False
        self._body_since = self.loop.time()
        if self.server_state.draining_since is not None or self.server_state.loading:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._body_since = 0.0

    def on_response_complete(self) -> None:
        self._quiet_since = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg)

    def _refuse(self, status: int, message: str) -> None:
        """Answer below the application, where no request could be made of what came, and close.

        To close while the client still sends would reset the connection, and the answer with it.
        """
        if not self._idle and self.cycle.response_started:
            self.transport.close()
            return
        body = json.dumps({"error": message}).encode()
        head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + head % len(body) + body)
        if self.transport.can_write_eof():  # TLS has no such half
            self.transport.write_eof()
        self._refused_since = self.loop.time()
        self.flow.resume_reading()
        if not self._idle:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def last_request(self) -> None:
        """The answer in the making is the connection's last."""
        if not self._idle:
            self.cycle.keep_alive = False

    def check(self, now: float) -> None:
        """Close what waits for too long."""
        if self.transport.is_closing():
            return
        if self._refused_since:
            if now - self._refused_since > _LAST_WORDS_S:
                self.transport.close()
        elif self._body_since and now - self._body_since > _BODY_S:
            self._refuse(408, "the request's body did not arrive in time")
        elif self._overdue(now):
            self.transport.close()

    def _overdue(self, now: float) -> bool:
        if self._awaits_head and now - self._head_since > _HEAD_S:
            return True
        since = self.server_state.draining_since
        return since is not None and self._idle and now - max(since, self._quiet_since) > _LINGER_S

    def abort(self) -> None:
        self.transport.abort()


class Connections:
    """The connections of a worker, accepted one at a time so that workers share them evenly."""

    def __init__(
        self, listener: socket.socket, app: Callable[..., object], tls: ssl.SSLContext | None = None
    ) -> None:
        self._listener = listener
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._state = State()
        self._opening: set[asyncio.Task[object]] = set()
        self._uvicorn = UvicornConfig(
            app=app,
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=_KEPT_S,
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
        within_s = None if self._tls is None else _HEAD_S
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
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
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
