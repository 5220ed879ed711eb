"""Where a model runs: in the event loop when that takes no time, else in a bounded thread pool.

A hand-over to a thread costs several times what a small model does, and a large model in the loop
would keep `/health` from answering; so the expected time of this very run decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, ParamSpec

from bedplate.runtime.server import compression, infer
from bedplate.runtime.server.batching import Batches
from bedplate.runtime.server.config import Config
from bedplate.runtime.server.head import Form
from bedplate.runtime.server.infer import Answer
from bedplate.runtime.server.lane import Lane
from bedplate.runtime.server.model import Array, Model

_INLINE_S = 0.001
INLINE_BODY_BYTES = 64 * 2**10

P = ParamSpec("P")


class Work(NamedTuple):
    """A run that takes time. `answer` is done when the run has ended, not before.

    `give_up`: nobody waits for it any more; a run that has not begun then never does.
    """

    answer: asyncio.Future[Answer]
    give_up: Callable[[], object]


class Runner:
    def __init__(self, config: Config, ran: Callable[[str, str, int], None]) -> None:
        self._limits = config.limits
        self._pool = ThreadPoolExecutor(config.threads, thread_name_prefix="run")
        told = config.batching
        self._batches = Batches(told, config.threads, self._pool, ran) if told is not None else None

    def at_once(self, model: Model, body: bytes, form: Form, identity: str) -> Answer | None:
        """The answer to one request, None where it would take time; raises Refused, or what Model.run raises."""
        if len(body) > INLINE_BODY_BYTES or form.encoding is not None or model.runs_by_value:
            return None
        request = infer.read(body, model, self._limits, form.json_bytes)
        if model.expected_s(request.feeds) > _INLINE_S:
            return None
        return _run(model, request, form, identity)

    def along(self, lane: Lane, body: bytes, form: Form, identity: str) -> Answer | None:
        """The answer to a request that the lane takes, None for others; raises what Model.run raises."""
        read = lane.read(body)
        if read is None or lane.model.expected_s(read.request.feeds, read.elements) > _INLINE_S:
            return None
        arrays = read.bound.run()
        text = lane.answer(read.request.id if read.request.id is not None else identity, arrays)
        return None if text is None else _packed(Answer(text, read.request, arrays), form)

    def begin(self, model: Model, body: bytes | bytearray, form: Form, identity: str) -> Answer | Work:
        """The answer to one request, or the work on it; both raise Refused, or what Model.run raises."""
        if len(body) > INLINE_BODY_BYTES or form.encoding is not None:
            return self._work(self._whole, model, body, form, identity)
        request = infer.read(body, model, self._limits, form.json_bytes)
        if self._batches is not None:
            joined = self._batches.join(model, request, partial(_answered, model, request, form, identity))
            if joined is not None:
                return Work(*joined)
        if model.expected_s(request.feeds) > _INLINE_S:
            return self._work(_run, model, request, form, identity)
        return _run(model, request, form, identity)

    def _work(self, run: Callable[P, Answer], *args: P.args, **kwargs: P.kwargs) -> Work:
        thread = self._pool.submit(run, *args, **kwargs)
        return Work(asyncio.wrap_future(thread), thread.cancel)

    def _whole(self, model: Model, body: bytes | bytearray, form: Form, identity: str) -> Answer:
        if form.encoding is not None:
            body = compression.expand(body, form.encoding, self._limits.body_bytes)
        return _run(model, infer.read(body, model, self._limits, form.json_bytes), form, identity)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _run(model: Model, request: infer.Request, form: Form, identity: str) -> Answer:
    arrays = model.run(request.feeds, [wanted.tensor.name for wanted in request.outputs])
    return _answered(model, request, form, identity, arrays)


def _answered(
    model: Model, request: infer.Request, form: Form, identity: str, arrays: Sequence[Array]
) -> Answer:
    answer = infer.answer(model, request, request.id if request.id is not None else identity, arrays)
    return _packed(answer, form)


def _packed(answer: Answer, form: Form) -> Answer:
    """The answer, compressed where the client takes that and it is worth it."""
    if form.accepted is None or len(answer.body) < compression.WORTH_BYTES:
        return answer
    return answer._replace(body=compression.compress(answer.body, form.accepted), encoding=form.accepted)
