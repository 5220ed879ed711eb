"""Requests that wait a moment for each other and are run as one: dynamic batching.

Those to one model whose inputs agree in all but the first dimension are laid one behind the other, run, and the
answers are cut apart. A batch begins when a thread is free and either it is full, or its first request has waited for
the delay; what comes while no thread is free joins those that wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np

from bedplate.runtime.server.config import Batching
from bedplate.runtime.server.infer import Answer, Request
from bedplate.runtime.server.model import RUN_ERRORS, Array, Model
from bedplate.runtime.server.refused import Refused

Written = Callable[[Sequence[Array]], Answer]
Ran = Callable[[str, str, int], None]
Outcome = Answer | BaseException
_RUN_ERRORS: tuple[type[Exception], ...] = (MemoryError, *RUN_ERRORS)


class Key(NamedTuple):
    """What the requests of a batch have in common: the model, and each input's shape behind its first dimension."""

    model: Model
    shapes: tuple[tuple[int, ...], ...]


@dataclass(eq=False, slots=True)
class Waiting:
    """A request in a queue; `written` makes its answer of its outputs. `due`: it has waited for the delay."""

    request: Request
    rows: int
    written: Written
    answer: asyncio.Future[Answer]
    due: bool = False


class Batches:
    """All requests of a worker that wait. `ran` is told the model, its version and the rows of each batch."""

    def __init__(self, told: Batching, threads: int, pool: ThreadPoolExecutor, ran: Ran) -> None:
        self._most = told.max_batch_size
        self._delay_s = told.max_queue_delay_s
        self._pool = pool
        self._free = threads
        self._ran = ran
        self._queues: dict[Key, list[Waiting]] = {}

    def join(
        self, model: Model, request: Request, written: Written
    ) -> tuple[asyncio.Future[Answer], Callable[[], None]] | None:
        """The answer to come, and how it is given up; None for a request that has to run alone."""
        extents = {array.shape[0] for array in request.feeds.values()}
        rows = extents.pop()
        if extents or not 0 < rows <= self._most:
            return None
        loop = asyncio.get_running_loop()
        key = Key(model, tuple(request.feeds[tensor.name].shape[1:] for tensor in model.inputs))
        waiting = Waiting(request, rows, written, loop.create_future())
        self._queues.setdefault(key, []).append(waiting)
        loop.call_later(self._delay_s, self._waited, waiting)
        self._begin()
        return waiting.answer, partial(self._leave, key, waiting)

    def _waited(self, waiting: Waiting) -> None:
        waiting.due = True
        self._begin()

    def _leave(self, key: Key, waiting: Waiting) -> None:
        """Nobody waits for the answer any more: what has not begun never does."""
        queue = self._queues.get(key, [])
        if waiting in queue:
            queue.remove(waiting)
            if not queue:
                del self._queues[key]
            waiting.answer.cancel()

    def _begin(self) -> None:
        while self._free and (key := next(filter(self._is_due, self._queues), None)) is not None:
            self._free -= 1
            batch = self._taken(key)
            running = asyncio.get_running_loop().run_in_executor(self._pool, run, key.model, batch)
            running.add_done_callback(partial(self._ended, key.model, batch))

    def _is_due(self, key: Key) -> bool:
        queue = self._queues[key]
        return queue[0].due or sum(waiting.rows for waiting in queue) >= self._most

    def _taken(self, key: Key) -> list[Waiting]:
        """The first of a queue, as many as a batch holds."""
        queue = self._queues.pop(key)
        rows = taken = 0
        while taken < len(queue) and rows + queue[taken].rows <= self._most:
            rows += queue[taken].rows
            taken += 1
        if taken < len(queue):
            self._queues[key] = queue[taken:]  # behind the others: each key has its turn
        return queue[:taken]

    def _ended(self, model: Model, batch: Sequence[Waiting], running: asyncio.Future[list[Outcome]]) -> None:
        self._free += 1
        if running.cancelled():  # the worker ends
            outcomes: Sequence[Outcome] = []
        elif (bug := running.exception()) is not None:
            outcomes = [bug.with_traceback(None)] * len(batch)
        else:
            self._ran(model.name, model.version, sum(waiting.rows for waiting in batch))
            outcomes = running.result()
        for waiting, outcome in zip(batch, outcomes, strict=False):
            if isinstance(outcome, Answer):
                waiting.answer.set_result(outcome)
            else:
                waiting.answer.set_exception(outcome)
        self._begin()


def run(model: Model, batch: Sequence[Waiting]) -> list[Outcome]:
    """The answers of a batch, or what each is refused with.

    One that fails is run again one by one: values that a model cannot run on are their own sender's mistake alone.
    """
    names = list(dict.fromkeys(wanted.tensor.name for one in batch for wanted in one.request.outputs))
    arrays = _arrays(model, batch, names)
    if isinstance(arrays, Exception):
        return [arrays] if len(batch) == 1 else _one_by_one(model, batch)
    cuts = [0]
    for one in batch:
        cuts.append(cuts[-1] + one.rows)
    if len(batch) > 1 and any(array.shape[:1] != (cuts[-1],) for array in arrays.values()):
        return _one_by_one(model, batch)
    answers: list[Outcome] = []
    for one, (start, end) in zip(batch, pairwise(cuts), strict=True):
        wanted = [arrays[output.tensor.name] for output in one.request.outputs]
        try:
            answers.append(one.written(wanted if len(batch) == 1 else [array[start:end] for array in wanted]))
        except (Refused, MemoryError) as error:
            answers.append(error.with_traceback(None))
    return answers


def _arrays(model: Model, batch: Sequence[Waiting], names: Sequence[str]) -> dict[str, Array] | Exception:
    """The outputs for all rows, or why there are none: without its traceback, which would keep the batch for long."""
    try:
        return dict(zip(names, model.run(_laid(batch), names), strict=True))
    except _RUN_ERRORS as error:
        return error.with_traceback(None)


def _laid(batch: Sequence[Waiting]) -> dict[str, Array]:
    """The feeds of all, one behind the other."""
    first = batch[0].request.feeds
    if len(batch) == 1:
        return dict(first)
    return {name: np.concatenate([one.request.feeds[name] for one in batch]) for name in first}


def _one_by_one(model: Model, batch: Sequence[Waiting]) -> list[Outcome]:
    return list(chain.from_iterable(run(model, [one]) for one in batch))
