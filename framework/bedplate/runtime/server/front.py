"""The ASGI application: the inference route by hand, in front of Starlette's routes for all else.

The one place of a worker where an unforeseen error ends: it is logged and answered as a 500. Uvicorn's way from
a request's head to its answer costs as much as a small model: `at_once` goes past it where a request is there as
a whole and takes no time, and leaves all others to `__call__`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from bedplate.runtime.server import auth, head, lane, log, reply
from bedplate.runtime.server.arrival import (
    Arrival,
    Disconnected,
    Message,
    Receive,
    Scope,
    Send,
    gone_from,
    nothing_comes,
)
from bedplate.runtime.server.config import Config
from bedplate.runtime.server.head import Form, Head, Target
from bedplate.runtime.server.infer import Answer
from bedplate.runtime.server.lane import Lane
from bedplate.runtime.server.metrics import UNKNOWN, Metrics
from bedplate.runtime.server.model import RUN_ERRORS, Model
from bedplate.runtime.server.predictions.recorder import Recorder
from bedplate.runtime.server.readiness import Readiness
from bedplate.runtime.server.refused import Failed, Refused
from bedplate.runtime.server.reply import Headers, Reply
from bedplate.runtime.server.routing import ARM, Router
from bedplate.runtime.server.runner import INLINE_BODY_BYTES, Runner
from bedplate.runtime.server.visitors import Visitors, is_loopback

Application = Callable[[Scope, Receive, Send], Awaitable[None]]
# Gives a request's body, and how it came; may raise Refused.
Whole = Callable[[], Awaitable[tuple[bytes | bytearray, Form]]]

_RETRY = (b"retry-after", b"1")
_OUTCOMES = {200: "ok", 408: "timeout", 499: "disconnected", 503: "shed", 504: "timeout", 500: "failed"}


class Asked:
    """An inference request from its head on: the model and version that it means, and its arm."""

    __slots__ = ("arm", "began", "chosen", "extra", "name", "request_id", "version")

    def __init__(self, target: Target, request_id: str) -> None:
        self.began = time.perf_counter()
        self.name, self.version = target
        self.request_id = request_id
        self.extra: Headers = ((b"x-request-id", self.request_id.encode()),)
        self.arm = ""
        self.chosen = False


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
        self._request_s = config.timeouts.request_s
        self._api_key = config.api_key
        self._visitors = Visitors() if is_loopback(config.host) else None
        self._readiness = readiness
        self._metrics = metrics
        self._runner = runner
        self._router = router
        self._recorder = recorder
        self._pages = pages
        self._lanes: dict[Model, Lane | None] = {}
        self._in_flight = 0
        self._arrival = Arrival(config.limits)
        # What waits for others to be run with takes time: with batching nothing is answered at once.
        self.most_bytes_at_once = -1 if config.batching else min(config.limits.body_bytes, INLINE_BODY_BYTES)

    def at_once(self, its: Head, body: bytes) -> Reply | Asked | None:
        """Answer a POST that is there as a whole, if it asks a model for what takes no time.

        Else `__call__` has to: with what was found out so far as the `asked` of its scope's state, if there is any.
        """
        target, headers = its.target, its.headers
        if target is None or self._in_flight >= self._limits.in_flight or self.barred(headers) is not None:
            return None
        asked, answer = Asked(target, its.request_id), None
        try:
            model = self._chosen(asked, headers)
            form = its.form
            if form.is_plain and (along := self._lane(model)) is not None:
                answer = self._runner.along(along, body, form, asked.request_id)
            if answer is None:
                answer = self._runner.at_once(model, body, form, asked.request_id)
            if answer is None:
                return asked
            found = reply.answered(answer, asked.extra)
        except Exception as error:  # noqa: BLE001 - the process' outermost place, see above
            found = self._failure(asked, error)
        self._note(asked, answer, found.status)
        return found

    def _lane(self, model: Model) -> Lane | None:
        if model not in self._lanes:
            self._lanes[model] = lane.lane(model, self._limits)
        return self._lanes[model]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers: Mapping[bytes, bytes] = dict(scope["headers"])  # type: ignore[call-overload]
        its = Head(head.target(scope["raw_path"]), headers)  # type: ignore[arg-type]
        barred = None if scope["path"] in auth.OPEN_PATHS else self.barred(headers)
        if barred is not None:
            await _send(send, barred)
        elif its.target is None:
            await self._page(scope, receive, send)
        elif scope["method"] != "POST":
            await _send(send, reply.error(405, "inference is a POST", ((b"allow", b"POST"),)))
        else:
            asked: Asked | None = scope["state"].get("asked")  # type: ignore[attr-defined]
            await self._infer(asked or Asked(its.target, its.request_id), its, receive, send)

    def barred(self, headers: Mapping[bytes, bytes]) -> Reply | None:
        """Why a request is not let in; None where it is."""
        if self._visitors is not None and not self._visitors.admits(headers):
            return reply.error(403, "only this machine may ask, and no web page of another server")
        if self._api_key and not auth.allowed(self._api_key, headers):
            message = "a valid API key is needed: Authorization: Bearer KEY, or X-API-Key"
            return reply.error(401, message, ((b"www-authenticate", b"Bearer"),))
        return None

    async def ask(self, its: Head, whole: Whole) -> tuple[Reply, Answer | None]:
        """Answer a request that came in another envelope.

        Without an answer the reply is an error.
        """
        asked = Asked(its.target or ("", None), its.request_id)
        try:
            found, answer = await self._asked(asked, its.headers, whole, nothing_comes)
        except asyncio.CancelledError:  # the client went away
            self._note(asked, None, 499)
            raise
        self._note(asked, answer, found.status)
        return found, answer

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
                await _send(send, reply.error(500, "internal error"))

    async def _infer(self, asked: Asked, its: Head, receive: Receive, send: Send) -> None:
        async def arriving() -> tuple[bytes | bytearray, Form]:
            form = its.form  # which may refuse it, before its body is waited for
            return await self._arrival.body(its.headers, receive), form

        try:
            found, answer = await self._asked(asked, its.headers, arriving, receive)
        except Disconnected:
            self._note(asked, None, 499)
            return
        await _send(send, found)
        self._note(asked, answer, found.status)

    async def _asked(
        self, asked: Asked, headers: Mapping[bytes, bytes], whole: Whole, receive: Receive
    ) -> tuple[Reply, Answer | None]:
        """What a request is told, and the answer in it if there is one; raises Disconnected."""
        answer = None
        try:
            model = self._chosen(asked, headers)
            body, form = await whole()
            answer = await self._answer(model, body, form, asked.request_id, receive)
            return reply.answered(answer, asked.extra), answer
        except Disconnected:
            raise
        except Exception as error:  # noqa: BLE001 - the process' outermost place, see above
            return self._failure(asked, error), answer

    def _chosen(self, asked: Asked, headers: Mapping[bytes, bytes]) -> Model:
        """The model that a request means, chosen once; raises Refused, or Failed where it is not loaded."""
        if not asked.chosen:
            if asked.version is None and (arm := self._router.choose(asked.name, headers)) is not None:
                asked.version, asked.arm = arm.version, arm.name
                asked.extra = (*asked.extra, (ARM, arm.name.encode()))
            asked.name, asked.version = self.found(asked.name, asked.version)
            asked.chosen = True
        model = self._readiness.models.get((asked.name, asked.version or ""))
        if model is None:
            raise Failed(503, "the model is not ready")
        return model

    def found(self, name: str, version: str | None) -> tuple[str, str]:
        """The model and version that a path means; raises Refused."""
        pair = self._readiness.find(name, version)
        if pair is None:
            raise Refused(404, self._readiness.unknown(name, version))
        return pair

    def _failure(self, asked: Asked, error: Exception) -> Reply:
        """What a request is told that cannot be answered, after what has to be logged of it is."""
        name, request_id = asked.name, asked.request_id
        match error:
            case Refused():
                if error.status == 422:
                    log.write("error", "unanswerable", model=name, request=request_id, reason=str(error))
                return reply.error(error.status, str(error), asked.extra)
            case Failed(status, message, reason):
                pass
            case MemoryError():
                status, message, reason = 503, "out of memory", "out of memory"
            case _ if isinstance(error, RUN_ERRORS):
                reason = log.one_line(str(error))
                status, message = 400, f"the model cannot run on this input: {reason}"
                if "bad_alloc" in reason or "Failed to allocate" in reason:
                    status, message = 503, "out of memory"
            case _:
                log.write("error", "bug", model=name, request=request_id, error=repr(error))
                return reply.error(500, "internal error", asked.extra)
        if reason is not None:
            log.write("error", "inference", model=name, request=request_id, reason=reason)
        return reply.error(status, message, (*asked.extra, _RETRY) if status == 503 else asked.extra)

    def _note(self, asked: Asked, answer: Answer | None, status: int) -> None:
        """Count a request, and log it where its model is loaded."""
        seconds = time.perf_counter() - asked.began
        name, version, arm = asked.name, asked.version or UNKNOWN, asked.arm
        outcome = _OUTCOMES.get(status, "refused")
        self._metrics.count(name, version, arm, status, outcome, seconds)
        if self._recorder is None or (model := self._readiness.models.get((name, version))) is None:
            return
        try:
            self._recorder.offer(model, asked.request_id, answer, status, outcome, seconds, arm or None)
        except Exception as error:  # noqa: BLE001 - what is logged must not end what was answered
            log.write("error", "bug", model=model.name, request=asked.request_id, error=repr(error))

    async def _answer(
        self, model: Model, body: bytes | bytearray, form: Form, request_id: str, receive: Receive
    ) -> Answer:
        if self._in_flight >= self._limits.in_flight:
            raise Failed(503, "too many requests are in flight")
        found = self._runner.begin(model, body, form, request_id)
        if isinstance(found, Answer):
            return found
        self._in_flight += 1
        self._metrics.in_flight(1)
        found.answer.add_done_callback(self._ended)
        gone = asyncio.ensure_future(gone_from(receive))
        either: set[asyncio.Future[Answer] | asyncio.Future[None]] = {found.answer, gone}
        try:
            await asyncio.wait(either, timeout=self._request_s, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            found.give_up()
            raise
        finally:
            gone.cancel()
        if found.answer.done():
            try:
                return found.answer.result()
            finally:
                # An error would hold this frame, the frame the future, and that the error, until the next collection.
                del found, either
        found.give_up()
        if gone.done():
            raise Disconnected
        raise Failed(504, "the model did not answer in time")

    def _ended(self, answer: asyncio.Future[Answer]) -> None:
        """A run ended, which holds its place until then: whoever waited for it may have left long before."""
        self._in_flight -= 1
        self._metrics.in_flight(-1)
        if not answer.cancelled():
            answer.exception()


async def _send(send: Send, told: Reply) -> None:
    headers = [*told.headers, (b"content-length", b"%d" % len(told.body))]
    await send({"type": "http.response.start", "status": told.status, "headers": headers})
    await send({"type": "http.response.body", "body": told.body})
