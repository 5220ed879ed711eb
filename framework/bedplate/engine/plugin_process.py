"""How our two plugins live as processes: serve on loopback, print the port, end quietly with the engine.

Here is also the boundary of both: whatever a call raises leaves it as one gRPC error, without any secret's
value, and a bug's traceback goes to the logs instead of the user's terminal.
"""

from __future__ import annotations

import argparse
import os
import secrets
import socket
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message

from bedplate.atomic import write_atomically
from bedplate.engine.parent import wait_for_the_end
from bedplate.engine.protocol import status_pb2
from bedplate.engine.redact import redact
from bedplate.errors import BedplateError
from bedplate.workspace import Workspace

THREADS = 64
UNLIMITED = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
Request = TypeVar("Request")
Response = TypeVar("Response")


class Refusal(Exception):
    """What a call answers instead of a result: a gRPC status, its text, and a detail for the engine."""

    def __init__(self, code: grpc.StatusCode, text: str, detail: Message | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Arguments:
    """How the engine starts a plugin; `engine` is the address of its log service, empty when run by hand."""

    workspace: Workspace
    engine: str
    parent: int

    @classmethod
    def parsed(cls, arguments: Sequence[str]) -> Arguments:
        parser = argparse.ArgumentParser(description="A plugin that the Pulumi engine starts.")
        parser.add_argument("--project", type=Path, required=True, help="the project's folder")
        parser.add_argument("engine", nargs="?", default="")
        known, _ = parser.parse_known_args(arguments)
        return cls(Workspace(known.project.resolve()), known.engine, os.getppid())


def serve(arguments: Arguments, register: Callable[[grpc.Server], None]) -> None:
    """Serves until the engine is done or gone, then ends the process at once, whatever is under way."""
    server = grpc.server(
        ThreadPoolExecutor(THREADS, "call"), interceptors=[_Boundary(arguments.workspace)], options=UNLIMITED
    )
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)  # noqa: T201 - the engine reads it
    if _engine_lives(arguments.engine):
        wait_for_the_end(arguments.parent)
    os._exit(0)


def _engine_lives(address: str) -> bool:
    """False when the engine ended before we looked who our parent is."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except ValueError:
        return True  # run by hand
    except OSError:
        return False
    return True


class _Boundary(grpc.ServerInterceptor):  # type: ignore[misc,type-arg,unused-ignore]
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        return grpc.unary_unary_rpc_method_handler(
            self._guarded(handler.unary_unary, handler_call_details.method),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _guarded(
        self, call: Callable[[Request, grpc.ServicerContext], Response], method: str
    ) -> Callable[[Request, grpc.ServicerContext], Response]:
        def guarded(request: Request, context: grpc.ServicerContext) -> Response:
            try:
                return call(request, context)
            except Refusal as raised:
                refusal = raised
            except BedplateError as error:
                refusal = Refusal(grpc.StatusCode.FAILED_PRECONDITION, told(error))
            except NotImplementedError:
                refusal = Refusal(grpc.StatusCode.UNIMPLEMENTED, f"{method} is not served")
            except Exception as bug:  # noqa: BLE001 - a process's one handler
                refusal = Refusal(grpc.StatusCode.INTERNAL, self._logged(bug, method))
            _abort(context, refusal)

        return guarded

    def _logged(self, bug: BaseException, method: str) -> str:
        path = self._workspace.logs / f"bug-{method.rpartition('/')[2]}-{secrets.token_hex(4)}.txt"
        write_atomically(path, redact("".join(traceback.format_exception(bug))), mode=0o600)
        where = path.relative_to(self._workspace.root)
        first = str(bug).partition("\n")[0]
        return f"this is a bug in bedplate: {type(bug).__name__}: {first} (traceback in {where})"


def _abort(context: grpc.ServicerContext, refusal: Refusal) -> NoReturn:
    if refusal.detail is not None:
        context.set_trailing_metadata((("grpc-status-details-bin", _details(refusal)),))
    context.abort(refusal.code, redact(refusal.text))


def told(error: BedplateError) -> str:
    """What is wrong and what to do, in one text."""
    return error.message if error.hint is None else f"{error.message}\n{error.hint}"


def _details(refusal: Refusal) -> bytes:
    packed = Packed()
    if refusal.detail is not None:
        packed.Pack(refusal.detail)
    status = status_pb2.Status(code=refusal.code.value[0], message=redact(refusal.text), details=[packed])
    return status.SerializeToString()
