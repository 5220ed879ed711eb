"""The process that rolls the prediction log, as the master sees it: started, kept alive, ended.

Whatever becomes of it, requests are answered, and what was logged is safe in its spool until it runs again.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from asyncio.subprocess import Process
from pathlib import Path

from bedplate.runtime.server import child, log
from bedplate.runtime.server.backoff import Pause
from bedplate.runtime.server.config import Config

_LEAST_S = 4.0


class LogProcess:
    """Runs from `tend` until `end`, if the configuration has a prediction log at all."""

    def __init__(self, config: Config, metrics: Path) -> None:
        self.config = config
        self._metrics = metrics
        self._process: Process | None = None
        self._ending = asyncio.Event()
        self._tending: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    def tend(self) -> None:
        """Start it, and start it again when it is lost."""
        if self.config.prediction_log is not None and self._tending is None:
            self._tending = asyncio.create_task(self._tend())

    async def end(self, within_s: float) -> None:
        """Have it finish what is there; one that takes too long is killed, and the next one finishes."""
        self._ending.set()
        if self._tending is None:
            return
        self._tell_end()
        try:
            await asyncio.wait_for(asyncio.shield(self._tending), max(within_s, _LEAST_S))
        except TimeoutError:
            if self._process is not None and self._process.returncode is None:
                self._process.kill()
            await self._tending

    def _tell_end(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    async def _tend(self) -> None:
        pause = Pause()
        while not self._ending.is_set():
            pause.started()
            try:
                self._process = await self._start()
            except OSError as error:  # no process or file descriptor to be had: it may pass
                log.write("error", "not started", reason=f"the prediction log: {error.strerror}")
            else:
                if self._ending.is_set():
                    self._tell_end()
                code = await self._process.wait()
                if not self._ending.is_set():
                    log.write("error", "prediction log lost", pid=self._process.pid, code=code)
            try:
                await asyncio.wait_for(self._ending.wait(), pause.take())
            except TimeoutError:
                continue

    async def _start(self) -> Process:
        with tempfile.TemporaryFile() as file:
            file.write(json.dumps(child.as_json(self.config)).encode())
            file.seek(0)
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "bedplate.runtime.server.predictions.roller"),
                *("--master", str(os.getpid()), "--config", str(file.fileno())),
                stdin=asyncio.subprocess.PIPE,
                pass_fds=[file.fileno()],
                env={
                    **os.environ,
                    "PROMETHEUS_MULTIPROC_DIR": str(self._metrics),
                    "OPENBLAS_NUM_THREADS": "1",
                },
            )
