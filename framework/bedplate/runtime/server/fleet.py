"""The workers of one configuration: started, proven, kept alive, drained."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from bedplate.runtime.server import child, log
from bedplate.runtime.server.backoff import Pause
from bedplate.runtime.server.child import Child, Exit
from bedplate.runtime.server.config import Config


class NotProven(Exception):
    """A worker of a new configuration did not become ready; the text says why."""


@dataclass
class Losses:
    """What ended without being told to: workers over the life of a master, and the master before it."""

    count: int = 0
    last: Exit | None = None

    def add(self, end: Exit, what: str = "worker") -> None:
        self.count += 1
        self.last = end
        log.write("error", f"{what} lost", pid=end.pid, how=str(end))


class Fleet:
    """`accepting` workers serve; those of a fleet that is not yet opened only load and wait."""

    def __init__(
        self, config: Config, listener: socket.socket, metrics: Path, losses: Losses, *, accepting: bool
    ) -> None:
        self.config = config
        self.workers: list[Child] = []
        self.error: str | None = None
        self._listener = listener
        self._metrics = metrics
        self._losses = losses
        self._accepting = accepting
        self._was_ready = False
        self._stopping = asyncio.Event()
        self._slots: list[asyncio.Task[None]] = []

    @property
    def ready(self) -> bool:
        """Whether every worker that is wanted is ready."""
        return sum(worker.state == "ready" for worker in self.workers) >= self.config.workers

    async def prove(self, progress: Callable[[str], None]) -> None:
        """Start all workers and wait until each is ready; raises NotProven, with all of them ended."""
        wanted = self.config.workers
        starts = [asyncio.create_task(self._prove_one()) for _ in range(wanted)]
        try:
            for count, proven in enumerate(asyncio.as_completed(starts), start=1):
                await proven
                progress(f"worker {count}/{wanted} ready")
        except NotProven:
            self._stopping.set()
            for worker in self.workers:
                worker.kill()
            await asyncio.gather(*starts, return_exceptions=True)
            await asyncio.gather(*(worker.exited for worker in self.workers))
            raise

    async def _prove_one(self) -> None:
        try:
            worker = await self._start()
        except OSError as error:
            raise NotProven(f"a worker cannot be started: {error.strerror}") from error
        reason = await worker.verdict(self.config.timeouts.ready_s)
        if reason is not None:
            raise NotProven(reason)

    def tend(self) -> None:
        """Keep the wanted number of workers alive from now on, those that run already among them."""
        self._was_ready = self.ready
        running: list[Child | None] = list(self.workers)
        running += [None] * (self.config.workers - len(running))
        self._slots = [asyncio.create_task(self._slot(worker)) for worker in running]

    async def obeyed(self) -> None:
        """Return when the workers have done what they were told."""
        await asyncio.gather(*(worker.obeyed() for worker in self.workers))

    def open(self) -> None:
        """Let the workers take connections."""
        self._accepting = True
        for worker in self.workers:
            if worker.state == "ready":
                worker.accept()

    def route(self, config: Config) -> None:
        """Have all workers, also those to come, choose by the routes of a configuration that has nothing else new."""
        self.config = config
        for worker in self.workers:
            worker.route([asdict(route) for route in config.routes])

    def drain(self, *, ending: bool, accept_s: float = 0.0) -> None:
        """Tell all workers to finish; none is started any more."""
        self._stopping.set()
        for worker in self.workers:
            worker.drain(ending=ending, accept_s=accept_s)

    async def gone(self) -> None:
        """Return when all workers have ended; those that stay too long are killed."""
        ends = [*self._slots, *(worker.exited for worker in self.workers)]
        if ends:
            _, late = await asyncio.wait(ends, timeout=self.config.timeouts.stop_s)
            if late:
                self.kill()
                await asyncio.wait(late)

    def kill(self) -> None:
        self._stopping.set()
        for worker in self.workers:
            worker.kill()

    async def _start(self) -> Child:
        worker = await child.start(self.config, self._listener, self._metrics)
        self.workers.append(worker)
        if self._stopping.is_set():  # it was being started when all were told to end
            worker.kill()
        return worker

    async def _started(self) -> Child | None:
        try:
            return await self._start()
        except OSError as error:  # no process or file descriptor to be had: it may pass
            self.error = f"a worker cannot be started: {error.strerror}"
            log.write("error", "not started", reason=self.error)
            return None

    async def _slot(self, worker: Child | None) -> None:
        pause, before = Pause(), None  # a failed one answers until its successor has its verdict
        while not self._stopping.is_set():
            pause.started()
            worker = worker or await self._started()
            if worker is None:
                await self._rest(pause.take())
                continue
            if before is None and self._answers_early():
                worker.accept()
            failed = await self._judge(worker)
            if before is not None:
                await self._retire(before)
            before = worker if failed else None
            if not failed:
                end = await worker.exited
                self.workers.remove(worker)
                if not self._stopping.is_set():
                    self._losses.add(end)
            if not self._stopping.is_set():
                await self._rest(pause.take())
            worker = None
        if before is not None:
            await self._retire(before)

    async def _retire(self, worker: Child) -> None:
        if not self._stopping.is_set():  # else it was told how to end
            worker.drain(ending=False, accept_s=0.0)
        await worker.exited
        self.workers.remove(worker)

    async def _judge(self, worker: Child) -> bool:
        """Wait for a worker's verdict; whether it is up but failed."""
        reason = await worker.verdict(self.config.timeouts.ready_s)
        if self._stopping.is_set():
            return False
        if reason is None:
            self.error, self._was_ready = None, True
            if self._accepting:
                worker.accept()
            return False
        if reason != self.error:
            log.write("error", "not ready", reason=reason)
        self.error = reason
        if worker.state == "starting":
            worker.kill()  # too late, or dead already
            return False
        if self._answers_early():
            worker.accept()
        return True

    def _answers_early(self) -> bool:
        """Whether a worker without models should answer, which is with 503 to all but liveness.

        Where one is ready it would only take requests from it; where the last one was ready until
        it died, requests wait for its successor in the socket's queue.
        """
        if any(worker.state == "ready" for worker in self.workers) or not self._accepting:
            return False
        return self.error is not None or not self._was_ready

    async def _rest(self, pause_s: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), pause_s)
        except TimeoutError:
            return
