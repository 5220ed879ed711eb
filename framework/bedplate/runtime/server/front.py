"""The ASGI application: the inference route by hand, in front of FastAPI's pages for all else.

The one place of a worker where an unforeseen error ends: it is logged and answered as a 500.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from urllib.parse import unquote

import orjson

from bedplate.runtime.server import auth, compression, log
from bedplate.runtime.server.config import Config
from bedplate.runtime.server.infer import Answer
from bedplate.runtime.server.metrics import UNKNOWN, Metrics
from bedplate.runtime.server.model import RUN_ERRORS
from bedplate.runtime.server.predictions.recorder import Recorder
from bedplate.runtime.server.readiness import Readiness
from bedplate.runtime.server.refused import Refused, refuse
from bedplate.runtime.server.routing import ARM, Router
from bedplate.runtime.server.runner import Form, Runner

# ASGI's own types: what a server hands an application is untyped by its specification.
Scope = MutableMapping[str, object]
Message = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_JSON = (b"content-type", b"application/json")
_BINARY = (b"content-type", b"application/octet-stream")
_JSON_LENGTH = b"inference-header-content-length"
_PLAIN = Form()
_RETRY = (b"retry-after", b"1")
_OUTCOMES = {408: "timeout", 499: "disconnected", 503: "shed", 500: "failed"}
# Bodies still arriving may hold this many times the limit of one body, together.
_ARRIVING_BODIES = 4
_LONGEST_ID = 128
_LONGEST_NUMBER = 15


class _Disconnected(Exception):
    """The client went away; there is nobody to answer."""


@dataclass(frozen=True)
class _Failed(Exception):
    """An answer that is not the client's fault: the status, what it is told, what is logged."""

    status: int
    message: str
    reason: str | None = None


class Front:
    def __init__(
        self,
        config: Config,
        readiness: Readiness,
        metrics: Metrics,
        runner: Runner,
        router: Router,
        recorder: Recorder | None,
        pages: Application,
    ) -> None:
        self._limits = config.limits
        self._api_key = config.api_key
        self._readiness = readiness
        self._metrics = metrics
        self._runner = runner
        self._router = router
        self._recorder = recorder
        self._pages = pages
        self._in_flight = 0
        self._arriving_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers: Mapping[bytes, bytes] = dict(scope["headers"])  # type: ignore[call-overload]
        target = _target(scope["raw_path"])  # type: ignore[arg-type]
        if (
            self._api_key
            and scope["path"] not in auth.OPEN_PATHS
            and not auth.allowed(self._api_key, headers)
        ):
            extra = ((b"www-authenticate", b"Bearer"),)
            await _error(
                send, 401, "a valid API key is needed: Authorization: Bearer KEY, or X-API-Key", extra
            )
        elif target is None:
            await self._page(scope, receive, send)
        elif scope["method"] != "POST":
            await _error(send, 405, "inference is a POST", ((b"allow", b"POST"),))
        else:
            await self._infer(target, headers, receive, send)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._pages(scope, receive, noted)
        except Exception as error:  # noqa: BLE001 - the process' outermost place, see above
            log.write("error", "bug", error=repr(error), path=str(scope["path"]))
            if not started:
                await _error(send, 500, "internal error")

    async def _infer(
        self, target: tuple[str, str | None], headers: Mapping[bytes, bytes], receive: Receive, send: Send
    ) -> None:
        began = time.perf_counter()
        request_id = _request_id(headers)
        name, version = target
        arm, status = "", 200
        extra: tuple[tuple[bytes, bytes], ...] = ((b"x-request-id", request_id.encode()),)
        answer: Answer | None = None
        try:
            if version is None and (chosen := self._router.choose(name, headers)) is not None:
                version, arm = chosen.version, chosen.name
                extra = (*extra, (ARM, arm.encode()))
            name, version = self._found(name, version)
            answer = await self._answer((name, version), headers, receive, request_id)
            await _send_answer(send, answer, extra)
        except Refused as error:
            status = error.status
            await _error(send, status, str(error), extra)
            if status == 422:
                log.write("error", "unanswerable", model=name, request=request_id, reason=str(error))
        except _Failed as error:
            status = error.status
            await _error(send, status, error.message, (*extra, _RETRY) if status == 503 else extra)
            if error.reason is not None:
                log.write(
                    "error", "inference", model=name, request=request_id, reason=log.one_line(error.reason)
                )
        except _Disconnected:
            status = 499
        except Exception as error:  # noqa: BLE001 - the process' outermost place, see above
            status = 500
            log.write("error", "bug", model=name, request=request_id, error=repr(error))
            await _error(send, status, "internal error", extra)
        pair = (name, version or UNKNOWN)
        self._note(pair, arm, request_id, answer, status, time.perf_counter() - began)

    def _note(
        self,
        pair: tuple[str, str],
        arm: str,
        request_id: str,
        answer: Answer | None,
        status: int,
        seconds: float,
    ) -> None:
        """Count a request, and log it where its model is loaded."""
        outcome = "ok" if status == 200 else _OUTCOMES.get(status, "refused")
        self._metrics.count(*pair, arm, status, outcome, seconds)
        if self._recorder is None or (model := self._readiness.models.get(pair)) is None:
            return
        try:
            self._recorder.offer(model, request_id, answer, status, outcome, seconds, arm or None)
        except Exception as error:  # noqa: BLE001 - what is logged must not end what was answered
            log.write("error", "bug", model=model.name, request=request_id, error=repr(error))

    def _found(self, name: str, version: str | None) -> tuple[str, str]:
        """The model and version that a path means; raises Refused."""
        pair = self._readiness.find(name, version)
        if pair is None:
            raise Refused(404, _not_found(name, version, known=bool(self._readiness.versions(name))))
        return pair

    async def _answer(
        self,
        pair: tuple[str, str],
        headers: Mapping[bytes, bytes],
        receive: Receive,
        request_id: str,
    ) -> Answer:
        form = _form(headers)
        model = self._readiness.models.get(pair)
        if model is None:
            raise _Failed(503, "the model is not ready")
        body = await self._body(headers, receive)
        if self._in_flight >= self._limits.in_flight:
            raise _Failed(503, "too many requests are in flight")
        self._in_flight += 1
        self._metrics.in_flight(1)
        try:
            return await self._runner.answer(model, body, form, request_id)
        except MemoryError as error:
            raise _Failed(503, "out of memory", "out of memory") from error
        except RUN_ERRORS as error:
            text = log.one_line(str(error))
            if "bad_alloc" in text or "Failed to allocate" in text:
                raise _Failed(503, "out of memory", text) from error
            raise _Failed(400, f"the model cannot run on this input: {text}", text) from error
        finally:
            self._in_flight -= 1
            self._metrics.in_flight(-1)

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes | bytearray:
        """The body, counted as it arrives; a declared length is believed only where it is too long."""
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
                    raise _Disconnected
                chunk: bytes = message["body"]  # type: ignore[assignment]
                self._arriving_bytes += len(chunk)
                body += chunk
                if len(body) > self._limits.body_bytes:
                    raise Refused(413, too_long)
                if self._arriving_bytes > _ARRIVING_BODIES * self._limits.body_bytes:
                    raise _Failed(503, "too many large requests are arriving")
                if not message["more_body"]:
                    return body
                message = await receive()
        finally:
            self._arriving_bytes -= len(body)


def _target(raw_path: bytes) -> tuple[str, str | None] | None:
    """The model and version of an inference path; split before unquoting, so %2f stays in a name."""
    if not raw_path.endswith(b"/infer"):
        return None
    match raw_path.split(b"/"):
        case [b"", b"v2", b"models", name, b"infer"]:
            return unquote(name), None
        case [b"", b"v2", b"models", name, b"versions", version, b"infer"]:
            return unquote(name), unquote(version)
    return None


def _not_found(name: str, version: str | None, *, known: bool) -> str:
    if not known or version is None:
        return f"unknown model {name[:80]!r}"
    return f"unknown version {version[:80]!r} of model {name!r}"


def _form(headers: Mapping[bytes, bytes]) -> Form:
    """What the headers say of the body; raises Refused for what is not taken."""
    kind = headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
    announced = headers.get(_JSON_LENGTH)
    if kind != b"application/json" and (announced is None or kind != b"application/octet-stream"):
        binary = "application/octet-stream with the header Inference-Header-Content-Length"
        raise Refused(415, f"the content type must be application/json, or {binary}")
    encoding, accepted = compression.encoding_of(headers), compression.accepted(headers)
    if announced is None:
        return _PLAIN if encoding is None and accepted is None else Form(None, encoding, accepted)
    if not announced.isdigit() or len(announced) > _LONGEST_NUMBER:
        refuse("Inference-Header-Content-Length must be a whole number from 0")
    return Form(int(announced), encoding, accepted)


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id")
    if given and len(given) <= _LONGEST_ID and given.isascii():
        text = given.decode("ascii")
        if text.isprintable():
            return text
    return _new_id()


def _new_id() -> str:
    """A random UUID (version 4, RFC 9562), as uuid.uuid4 makes it in three times the time."""
    digits = os.urandom(16).hex()
    variant = "89ab"[ord(digits[16]) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


async def _error(send: Send, status: int, message: str, extra: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    # An escaped surrogate cannot come from a request; a lone one in a library's text must not end us.
    body = orjson.dumps({"error": message.encode("utf-8", "replace").decode()})
    await _send(send, status, body, extra)


async def _send_answer(send: Send, answer: Answer, extra: tuple[tuple[bytes, bytes], ...]) -> None:
    kind = _JSON
    if answer.json_bytes is not None:
        kind, extra = _BINARY, (*extra, (_JSON_LENGTH, b"%d" % answer.json_bytes))
    if answer.encoding is not None:
        extra = (*extra, (b"content-encoding", answer.encoding.encode()), (b"vary", b"accept-encoding"))
    await _send(send, 200, answer.body, extra, kind)


async def _send(
    send: Send,
    status: int,
    body: bytes,
    extra: tuple[tuple[bytes, bytes], ...],
    kind: tuple[bytes, bytes] = _JSON,
) -> None:
    headers = [kind, (b"content-length", b"%d" % len(body)), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
