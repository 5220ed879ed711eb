"""The life of a worker: loading, ready or failed, accepting, draining, ended."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bedplate.runtime.server import golden, model, pages, tls
from bedplate.runtime.server.config import Config, ModelFile
from bedplate.runtime.server.connections import Connections
from bedplate.runtime.server.front import Front
from bedplate.runtime.server.metrics import Metrics
from bedplate.runtime.server.model import RUN_ERRORS, Model
from bedplate.runtime.server.predictions.recorder import Recorder
from bedplate.runtime.server.readiness import Readiness
from bedplate.runtime.server.routes import parse_routes
from bedplate.runtime.server.routing import Router
from bedplate.runtime.server.runner import Runner

if TYPE_CHECKING:
    from bedplate.runtime.server.rpc.calls import Calls

_COLLECT_AFTER = 100_000  # objects
_RUN_ERRORS: tuple[type[Exception], ...] = (MemoryError, *RUN_ERRORS)


class Life:
    """Starts to load at once; `ended` is set when the last connection is closed."""

    def __init__(
        self, config: Config, listener: socket.socket, metrics: Path, report: Callable[..., None]
    ) -> None:
        self._config = config
        self._report = report
        self._readiness = Readiness(config)
        told = config.prediction_log
        spool = Path(told.spool) if told is not None else None
        batched = config.batching is not None
        counted = Metrics(metrics, self._readiness.known, config.slo_p95_s, spool, batched=batched)
        app = pages.application(config, self._readiness, counted)
        self._recorder = Recorder(told, counted.predictions) if told is not None else None
        self._router = Router(config.routes)
        runner = Runner(config, counted.ran)
        front = Front(config, self._readiness, counted, runner, self._router, self._recorder, app)
        self._connections = Connections(listener, front, tls.context(config.tls) if config.tls else None)
        self._calls = _calls(config, front, self._readiness)
        self._draining: asyncio.Task[None] | None = None
        self._loading = asyncio.create_task(self._load())
        self.ended = asyncio.Event()

    async def _load(self) -> None:
        loaded, reasons = await asyncio.to_thread(_load_all, self._config)
        self._readiness.loaded(loaded)
        if reasons:
            if loaded:
                self._connections.loaded()
            self._report("failed", reason="; ".join(reasons))
            return
        # A request's lists are many and never cyclic: looking through them made parsing 8 times slower.
        gc.freeze()
        gc.set_threshold(_COLLECT_AFTER)
        self._connections.loaded()
        self._report("ready")

    def route(self, routes: object) -> None:
        """Choose by other routes from the next request on."""
        self._router.update(parse_routes(routes, self._config.known))

    def accept(self) -> None:
        self._connections.accept()
        if self._calls is not None:
            self._calls.accept()

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
        within_s = self._config.timeouts.drain_s
        calls = [self._calls.drain(within_s)] if self._calls is not None else []
        await asyncio.gather(self._connections.drain(within_s), *calls)
        if self._recorder is not None:
            await self._recorder.close()
        self.ended.set()


def _calls(config: Config, front: Front, readiness: Readiness) -> Calls | None:
    if config.grpc_port is None:
        return None
    from bedplate.runtime.server.rpc.calls import Calls  # which needs an extra, and memory

    return Calls(config, config.grpc_port, front, readiness)


def _load_all(config: Config) -> tuple[dict[tuple[str, str], Model], list[str]]:
    """The models that can be served, and why each of the others cannot."""
    loaded, reasons = {}, []
    for file in config.models:
        try:
            loaded[file.name, file.version] = _proven(file, config)
        except model.NotLoadable as error:
            reasons.append(str(error))
    return loaded, reasons


def _proven(file: ModelFile, config: Config) -> Model:
    """A loaded model that gives the answers of its tests; raises NotLoadable."""
    loaded = model.load(file, config)
    for test in config.tests:
        if test.model == file.name:
            try:
                golden.prove(loaded, test, config.limits)
            except golden.NotAsExpected as error:
                raise model.not_loadable(file, str(error)) from error
            except _RUN_ERRORS as error:
                raise model.not_loadable(file, f"the test {test.source} fails: {error}") from error
    return loaded
