"""Where a model runs: in the event loop when that takes no time, else in a bounded thread pool.

A hand-over to a thread costs several times what a small model does, and a large model in the loop
would keep `/health` from answering; so the expected time of this very run decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from bedplate.runtime.server import infer
from bedplate.runtime.server.config import Config
from bedplate.runtime.server.model import Model

_INLINE_S = 0.001
_INLINE_BODY_BYTES = 64 * 2**10


class Runner:
    def __init__(self, config: Config) -> None:
        self._limits = config.limits
        self._pool = ThreadPoolExecutor(config.threads, thread_name_prefix="run")

    async def answer(self, model: Model, body: bytes | bytearray, identity: str) -> bytes:
        """The answer to one request; raises Refused, or what Model.run raises."""
        loop = asyncio.get_running_loop()
        if len(body) > _INLINE_BODY_BYTES:
            return await loop.run_in_executor(self._pool, self._whole, model, body, identity)
        request = infer.read(body, model, self._limits)
        if model.expected_s(request.feeds) > _INLINE_S:
            return await loop.run_in_executor(self._pool, _run, model, request, identity)
        return _run(model, request, identity)

    def _whole(self, model: Model, body: bytes | bytearray, identity: str) -> bytes:
        return _run(model, infer.read(body, model, self._limits), identity)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _run(model: Model, request: infer.Request, identity: str) -> bytes:
    names: Sequence[str] = [tensor.name for tensor in request.outputs]
    arrays = model.run(request.feeds, names)
    return infer.answer(model, request, request.id if request.id is not None else identity, arrays)
