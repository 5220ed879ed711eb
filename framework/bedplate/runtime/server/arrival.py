"""How a request's body arrives from an ASGI server: counted and bounded, until its client is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping

from bedplate.runtime.server.config import Limits
from bedplate.runtime.server.refused import Failed, Refused

# ASGI's own types: what a server hands an application is untyped by its specification.
Scope = MutableMapping[str, object]
Message = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_BODIES = 4  # times the limit of one body that those still arriving may hold, together


class Disconnected(Exception):
    """The client went away; there is nobody to answer."""


class Arrival:
    """All bodies that arrive at a worker."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._arriving_bytes = 0

    async def body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes | bytearray:
        """The body; a declared length is believed only where it is too long. Raises Refused, Failed, Disconnected."""
        declared = headers.get(b"content-length", b"0")
        too_long = f"the body is longer than {self._limits.body_bytes} bytes"
        if declared.isdigit() and int(declared) > self._limits.body_bytes:
            raise Refused(413, too_long)
        message = await receive()
        if message["type"] == "http.request" and not message["more_body"]:
            if len(message["body"]) > self._limits.body_bytes:  # type: ignore[arg-type]
                raise Refused(413, too_long)
            return message["body"]  # type: ignore[return-value]
        body = bytearray()
        try:
            while True:
                if message["type"] != "http.request":
                    raise Disconnected
                chunk: bytes = message["body"]  # type: ignore[assignment]
                self._arriving_bytes += len(chunk)
                body += chunk
                if len(body) > self._limits.body_bytes:
                    raise Refused(413, too_long)
                if self._arriving_bytes > _BODIES * self._limits.body_bytes:
                    raise Failed(503, "too many large requests are arriving")
                if not message["more_body"]:
                    return body
                message = await receive()
        finally:
            self._arriving_bytes -= len(body)


async def gone_from(receive: Receive) -> None:
    """Return when the client is gone."""
    while (await receive())["type"] == "http.request":
        continue


async def nothing_comes() -> Message:
    """Of a client that says nothing more, and whose leaving is told in another way."""
    nothing: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    return await nothing
