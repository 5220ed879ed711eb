"""The life of a worker: loading, ready or failed, accepting, draining, ended."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable
from pathlib import Path

from bedplate.runtime.server import model, pages
from bedplate.runtime.server.config import Config
from bedplate.runtime.server.connections import Connections
from bedplate.runtime.server.front import Front
from bedplate.runtime.server.metrics import Metrics
from bedplate.runtime.server.model import Model
from bedplate.runtime.server.predictions.recorder import Recorder
from bedplate.runtime.server.readiness import Readiness
from bedplate.runtime.server.runner import Runner

_COLLECT_AFTER = 100_000  # objects


class Life:
    """Starts to load at once; `ended` is set when the last connection is closed."""

    def __init__(
        self, config: Config, listener: socket.socket, metrics: Path, report: Callable[..., None]
    ) -> None:
        self._config = config
        self._report = report
        self._readiness = Readiness(config)
        counted = Metrics(metrics, self._readiness.known, config.slo_p95_s)
        app = pages.application(config, self._readiness, counted)
        told = config.prediction_log
        self._recorder = Recorder(told, counted.predictions) if told is not None else None
        front = Front(config, self._readiness, counted, Runner(config), self._recorder, app)
        self._connections = Connections(listener, front)
        self._draining: asyncio.Task[None] | None = None
        self._loading = asyncio.create_task(self._load())
        self.ended = asyncio.Event()

    async def _load(self) -> None:
        try:
            loaded = await asyncio.to_thread(_load_all, self._config)
        except model.NotLoadable as error:
            self._report("failed", reason=str(error))
            return
        self._readiness.loaded(loaded)
        # A request's lists are many and never cyclic: looking through them made parsing 8 times slower.
        gc.freeze()
        gc.set_threshold(_COLLECT_AFTER)
        self._connections.loaded()
        self._report("ready")

    def accept(self) -> None:
        self._connections.accept()

    def drain(self, ending: bool, accept_s: float) -> None:
        """End: the service with `ending` (not ready at once, accepting a little longer), else only us."""
        if ending:
            self._readiness.ending()
        else:
            self._connections.refuse()
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain(ending, accept_s))

    async def _drain(self, ending: bool, accept_s: float) -> None:
        if ending:
            await asyncio.sleep(accept_s)
            self._connections.empty_queue()
        await self._connections.drain(self._config.timeouts.drain_s)
        if self._recorder is not None:
            await self._recorder.close()
        self.ended.set()


def _load_all(config: Config) -> dict[tuple[str, str], Model]:
    return {(file.name, file.version): model.load(file, config) for file in config.models}
