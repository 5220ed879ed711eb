"""The service over gRPC, in a worker's own event loop, on a port that the workers share."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from operator import methodcaller
from typing import Any

import grpc
import orjson
from google.protobuf.message import Message

from bedplate.runtime.server import pages
from bedplate.runtime.server.config import Config, Tls
from bedplate.runtime.server.front import Front
from bedplate.runtime.server.head import Form, Head
from bedplate.runtime.server.readiness import Readiness
from bedplate.runtime.server.refused import Refused
from bedplate.runtime.server.reply import Reply
from bedplate.runtime.server.rpc import translation
from bedplate.runtime.server.rpc.messages import SERVICE, Inference, Meant, message
from bedplate.version import __version__

Context = grpc.aio.ServicerContext[Any, Message]

_AGE = 0.5  # of a connection, in times of how long a drain may take
_JITTER = 1.2  # by which gRPC varies it (a tenth), and the last message's way
_CODES: Mapping[int, grpc.StatusCode] = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}


class Calls:
    """The server of one worker; made in its event loop."""

    def __init__(self, config: Config, port: int, front: Front, readiness: Readiness) -> None:
        self._config = config
        self._port = port
        self._front = front
        self._readiness = readiness
        self._age_s = config.timeouts.drain_s * _AGE
        most = config.limits.body_bytes
        self._server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 1),
                ("grpc.max_connection_age_ms", int(self._age_s * 1000)),
                ("grpc.max_receive_message_length", most),
                ("grpc.max_send_message_length", -1),
            ]
        )
        self._server.add_generic_rpc_handlers([self._methods()])
        self._starting: asyncio.Task[None] | None = None

    def accept(self) -> None:
        """Listen from this moment on; raises RuntimeError where the port is not to be had."""
        if self._starting is None:
            host = f"[{self._config.host}]" if ":" in self._config.host else self._config.host
            address = f"{host}:{self._port}"
            if self._config.tls is None:
                self._server.add_insecure_port(address)
            else:
                self._server.add_secure_port(address, _credentials(self._config.tls))
            self._starting = asyncio.ensure_future(self._server.start())

    async def drain(self, within_s: float) -> None:
        """Take no more connections, and return when those that there are have ended or the time is over.

        To stop the server cancels what clients send before they hear of it. But each of its connections is told to
        end when it has its age, and finishes what is under way: they are only waited for.
        """
        if self._starting is None:
            return
        await self._starting
        _close(self._port)
        await asyncio.sleep(self._age_s * _JITTER)
        await self._server.stop(max(0.0, within_s - self._age_s * _JITTER))

    def _methods(self) -> grpc.GenericRpcHandler[Any, Message]:
        methods: Mapping[str, Callable[..., Awaitable[Message]]] = {
            "ServerLive": self._live,
            "ServerReady": self._ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._metadata,
            "ModelMetadata": self._model_metadata,
            "ModelInfer": self._infer,
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                method,
                request_deserializer=message(f"{name}Request").FromString,  # type: ignore[attr-defined]
                response_serializer=methodcaller("SerializeToString"),
            )
            for name, method in methods.items()
        }
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    async def _live(self, _: object, context: Context) -> Message:
        return message("ServerLiveResponse")(live=True)

    async def _ready(self, _: object, context: Context) -> Message:
        return message("ServerReadyResponse")(ready=self._readiness.ready)

    async def _model_ready(self, request: Meant, context: Context) -> Message:
        pair = await self._meant(request, context)
        return message("ModelReadyResponse")(ready=self._readiness.serves(pair))

    async def _metadata(self, _: object, context: Context) -> Message:
        await self._let_in(context)
        told = {"name": self._config.service, "version": __version__, "extensions": list(pages.EXTENSIONS)}
        return message("ServerMetadataResponse")(**told)

    async def _model_metadata(self, request: Meant, context: Context) -> Message:
        pair = await self._meant(request, context)
        model = self._readiness.models.get(pair)
        if model is None:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the model is not ready")
        return message("ModelMetadataResponse")(**pages.described(model, self._readiness))

    async def _infer(self, request: Inference, context: Context) -> Message:
        await self._let_in(context)
        its = Head((request.model_name, request.model_version or None), _headers(context))

        async def whole() -> tuple[bytes, Form]:
            return translation.body(request)

        found, answer = await self._front.ask(its, whole)
        told = [
            (name.decode(), value.decode("latin-1")) for name, value in found.headers if name[:2] == b"x-"
        ]
        context.set_trailing_metadata(tuple(told))
        if answer is None:
            await _fail(context, found)
            raise AssertionError("abort raises")
        return translation.response(answer)

    async def _let_in(self, context: Context) -> None:
        barred = self._front.barred(_headers(context))
        if barred is not None:
            await _fail(context, barred)

    async def _meant(self, request: Meant, context: Context) -> tuple[str, str]:
        await self._let_in(context)
        try:
            return self._front.found(request.name, request.version or None)
        except Refused as error:
            await context.abort(grpc.StatusCode.NOT_FOUND, str(error))
            raise AssertionError("abort raises") from error


async def _fail(context: Context, found: Reply) -> None:
    code = _CODES.get(found.status, grpc.StatusCode.INVALID_ARGUMENT)
    await context.abort(code, orjson.loads(found.body)["error"])


def _headers(context: Context) -> Mapping[bytes, bytes]:
    """A call's metadata as the headers that they are."""
    pairs = context.invocation_metadata() or ()
    return {name.encode(): value if isinstance(value, bytes) else value.encode() for name, value in pairs}


def _close(port: int) -> None:
    """End this process' listening on a port, which gRPC does only together with everything else."""
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError), socket.socket(fileno=os.dup(int(name))) as one:  # or it is no socket
            if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and one.getsockname()[1] == port:
                one.shutdown(socket.SHUT_RD)


def _credentials(files: Tls) -> grpc.ServerCredentials:
    with open(files.key, "rb") as key, open(files.certificate, "rb") as certificate:
        return grpc.ssl_server_credentials([(key.read(), certificate.read())])
