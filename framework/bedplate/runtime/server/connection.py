"""One connection: Uvicorn's HTTP protocol with bounds, and a shorter way for what can be answered at once.

A small POST is held until its body is there, and answered at once if it can be; the rest goes Uvicorn's way. Of a head
that came before nothing is read again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from bedplate.runtime.server.arrival import Receive, Scope, Send
from bedplate.runtime.server.front import Asked
from bedplate.runtime.server.head import Head, target
from bedplate.runtime.server.reply import Reply

_HEAD_S = 10.0  # a request's head must arrive within this time
_BODY_S = 30.0  # and its body within this
_TAKEN_S = 30.0  # and of an answer, some must be taken within this
KEPT_S = 65  # how long a connection may stay quiet between requests
_LINGER_S = 1.0  # and how long while draining: a client in a loop is back long before
_LAST_WORDS_S = 2.0  # how long a client that was refused may take to read why
_HEAD_BYTES = 64 * 2**10
_HEADS = 1000  # that are kept, each up to so many bytes
_KEPT_HEAD_BYTES = 2**10


class Application(Protocol):
    """An ASGI application with a shorter way to it, as Front is."""

    most_bytes_at_once: int

    def at_once(self, its: Head, body: bytes) -> Reply | Asked | None: ...
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class State(ServerState):
    """What the connections of a worker share."""

    front: Application
    draining_since: float | None = None
    loading = True  # a connection is not kept to a worker that only says it is not ready
    date = b""  # the line of a head

    def __init__(self, front: Application) -> None:
        super().__init__()
        self.front = front
        # Clients say the same again and again: heads that were read, and the length of the body that they announce.
        self.heads: dict[bytes, tuple[Head, int]] = {}

    def keep_head(self, said: bytes, its: Head, length: int) -> None:
        if len(said) <= _KEPT_HEAD_BYTES:
            if len(self.heads) >= _HEADS:
                self.heads.clear()
            self.heads[said] = its, length

    @property
    def keeps(self) -> bool:
        """Whether a connection is kept for a next request."""
        return self.draining_since is None and not self.loading


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
        self._left_bytes = 0  # of what was written
        self._taken_at = self._quiet_since  # when that last changed
        self._wrong = ""  # what is wrong with a head
        self._within = False  # a request: its first byte has come, and its last has not
        self._came = b""  # what a request began with
        self._held: list[bytes] | None = None  # the body so far of a request that Uvicorn knows nothing of
        self._asked: Asked | None = None  # what was found out of a request that could not be answered at once

    def connection_lost(self, exc: Exception | None) -> None:
        self._let_go()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused_since:
            return
        if not self._within:
            if self._answer_known(data):
                return
            self._came = data
        if not self._awaits_head and not self._body_since:  # the first bytes of a next request
            self._awaits_head, self._head_since, self._head_bytes = True, self.loop.time(), 0
        if self._awaits_head:
            end = data.find(b"\r\n\r\n")
            self._head_bytes += len(data) if end < 0 else end
            if self._head_bytes > _HEAD_BYTES:
                self._refuse(431, "the request's head is too long")
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        self._within = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._wrong = _wrong(self.headers, self.parser.get_http_version())
        if self._wrong:
            raise ValueError(self._wrong)  # which ends the parser, and comes back as `send_400_response`
        self._awaits_head = False
        self._body_since = self.loop.time()
        if self._may_be_held():
            self._held = []
        else:
            self._begin()

    def on_body(self, body: bytes) -> None:
        if self._held is None:
            super().on_body(body)
        else:
            self._held.append(body)

    def on_message_complete(self) -> None:
        if self._held is None or not self._answer_at_once(b"".join(self._held)):
            self._let_go()
            super().on_message_complete()
        self._body_since = 0.0
        self._within = False

    def _may_be_held(self) -> bool:
        """Whether this asks a model with a small body of known length, and nothing before it is unanswered."""
        if self.parser.get_method() != b"POST" or not self.url.endswith(b"/infer") or not self.url.isascii():
            return False
        if self._asked is not None or not self._idle or self.transport.is_closing():
            return False
        if (
            self.expect_100_continue
            or self.parser.should_upgrade()
            or self.parser.get_http_version() != "1.1"
        ):
            return False
        length = next((value for name, value in self.headers if name == b"content-length"), b"")
        return length.isdigit() and int(length) <= self.server_state.front.most_bytes_at_once

    def _begin(self) -> None:
        """Hand the request to the application, Uvicorn's way."""
        if self._asked is not None:
            self.scope["state"]["asked"] = self._asked
            self._asked = None
        super().on_headers_complete()
        if not self.server_state.keeps:
            self.cycle.keep_alive = False

    def _let_go(self) -> None:
        """Have a held request go Uvicorn's way after all."""
        held, self._held = self._held, None
        if held is not None:
            self._begin()
            for part in held:
                super().on_body(part)

    def _answer_at_once(self, body: bytes) -> bool:
        its = Head(target(self.url), dict(self.headers))
        keeps = self.parser.should_keep_alive()
        if not self._reply(its, body, keeps):
            return False
        self._held = None
        end = self._came.find(b"\r\n\r\n") + 4
        if keeps and len(self._came) == end + len(body):  # it is this request and nothing else
            self.server_state.keep_head(self._came[:end], its, len(body))
        return True

    def _answer_known(self, data: bytes) -> bool:
        """Answer what begins with a head that is known and is there as a whole."""
        end = data.find(b"\r\n\r\n") + 4
        known = self.server_state.heads.get(data[:end])
        if known is None or len(data) != end + known[1] or not self._idle or self.transport.is_closing():
            return False
        if not self._reply(known[0], data[end:], True):
            return False
        self._awaits_head = False
        return True

    def _reply(self, its: Head, body: bytes, keeps: bool) -> bool:
        if self.flow.write_paused:  # its last answers were not taken yet
            return False
        found = self.server_state.front.at_once(its, body)
        if not isinstance(found, Reply):
            self._asked = found
            return False
        keeps = keeps and self.server_state.keeps
        self.transport.write(_head(found, self.server_state.date, keeps) + found.body)
        self._quiet_since = self.loop.time()
        if not keeps:
            self.transport.close()
        return True

    def on_response_complete(self) -> None:
        self._quiet_since = self.loop.time()
        super().on_response_complete()
        # Its timer knows nothing of requests that go past Uvicorn, and outlives a reset: `check` closes.
        self._unset_keepalive_if_required()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, self._wrong or msg)

    def _refuse(self, status: int, message: str) -> None:
        """Answer below the application, where no request could be made of what came, and close.

        To close while the client still sends would reset the connection, and the answer with it.
        """
        self._let_go()
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
        return self._held is None and (self.cycle is None or self.cycle.response_complete)

    def last_request(self) -> None:
        """The answer in the making is the connection's last."""
        if self._held is None and not self._idle:
            self.cycle.keep_alive = False

    def check(self, now: float) -> None:
        """Close what waits for too long."""
        if self._untaken(now):
            self.transport.abort()  # to close it would wait for the client again
        if self.transport.is_closing():
            return
        if self._refused_since:
            if now - self._refused_since > _LAST_WORDS_S:
                self.transport.close()
        elif self._body_since and now - self._body_since > _BODY_S:
            self._refuse(408, "the request's body did not arrive in time")
        elif self._overdue(now):
            self.transport.close()

    def _untaken(self, now: float) -> bool:
        """Whether the client has taken nothing of an answer for too long."""
        left = self.transport.get_write_buffer_size()
        if not left or left != self._left_bytes:
            self._left_bytes, self._taken_at = left, now
        return now - self._taken_at > _TAKEN_S

    def _overdue(self, now: float) -> bool:
        if self._awaits_head and now - self._head_since > _HEAD_S:
            return True
        if not self._idle:
            return False
        since = self.server_state.draining_since
        if since is None:
            return now - self._quiet_since > KEPT_S
        return now - max(since, self._quiet_since) > _LINGER_S

    def abort(self) -> None:
        self.transport.abort()


def _wrong(headers: Sequence[tuple[bytes, bytes]], version: str) -> str:
    """What two servers in a row could read differently, so that one head would be two requests (RFC 9112)."""
    if version == "1.1" and sum(name == b"host" for name, _ in headers) != 1:
        return "a request must have one Host"
    codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
    return "" if codings in ([], [b"chunked"]) else "of transfer encodings there is chunked, and that alone"


def _head(told: Reply, date: bytes, keeps: bool) -> bytes:
    """Status line and headers, as Uvicorn writes them."""
    lines = [STATUS_LINE[told.status], date]
    for name, value in told.headers:
        lines += (name, b": ", value, b"\r\n")
    end = b"content-length: %d\r\n\r\n" if keeps else b"content-length: %d\r\nconnection: close\r\n\r\n"
    lines.append(end % len(told.body))
    return b"".join(lines)
