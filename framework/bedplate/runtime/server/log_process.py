"""The process that rolls the prediction log, as the master sees it: started where there is something to roll.

Whatever becomes of it, requests are answered, and what was logged is safe in its spool until it runs again.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from asyncio.subprocess import Process
from pathlib import Path

from bedplate.runtime.programs import command
from bedplate.runtime.server import child, log
from bedplate.runtime.server.backoff import Pause
from bedplate.runtime.server.config import Config, PredictionLog
from bedplate.runtime.server.predictions import journal

_LEAST_S = 4.0
_LOOKS_EVERY_S = 1.0
_SETTLE_S = 1.0  # workers end their segments within this time of each other
_FORGETS_EVERY_S = 600.0  # when it runs anyway
_RUNS_EVERY_S = 3600.0
_FIRST_PAUSE_S = 1.0
_CODES = (0, 1)  # all is done, and some of it has to be tried again


class LogProcess:
    """Looks after a log from `tend` until `end`, if the configuration has one at all."""

    def __init__(self, config: Config, metrics: Path) -> None:
        self.config = config
        self._metrics = metrics
        self._process: Process | None = None
        self._ending = asyncio.Event()
        self._tending: asyncio.Task[None] | None = None
        self._ran_at = time.monotonic()
        self._forgot_at = -_FORGETS_EVERY_S

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    def tend(self) -> None:
        """Begin to look for what there is to roll."""
        if self.config.prediction_log is not None and self._tending is None:
            self._tending = asyncio.create_task(self._tend(self.config.prediction_log))

    async def end(self, within_s: float) -> None:
        """Have all rolled that is there; where that takes too long, the next server goes on with it."""
        self._ending.set()
        if self._tending is None:
            return
        try:
            await asyncio.wait_for(asyncio.shield(self._tending), max(within_s, _LEAST_S))
        except TimeoutError:
            if self._process is not None and self._process.returncode is None:
                self._process.kill()
            await self._tending

    async def _tend(self, told: PredictionLog) -> None:
        pause = Pause(_FIRST_PAUSE_S)
        while await self._due(told):
            if await self._run():
                pause = Pause(_FIRST_PAUSE_S)
                continue
            pause.started()
            await self._ended_within(pause.take())
        if _waits(told):
            await self._run("--soon")

    async def _due(self, told: PredictionLog) -> bool:
        """Wait until there is something to do; False once it is to end."""
        while not await self._ended_within(min(_LOOKS_EVERY_S, told.roll_s / 4)):
            if _waits(told):
                return not await self._ended_within(_SETTLE_S)
            if time.monotonic() - self._ran_at > _RUNS_EVERY_S:
                return True
        return False

    async def _ended_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._ending.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _run(self, *options: str) -> bool:
        """Start the process and wait for it; whether it did all that there was."""
        self._ran_at = time.monotonic()
        forgets = not options and self._ran_at - self._forgot_at >= _FORGETS_EVERY_S
        try:
            self._process = await self._start(*options, *(["--forget"] if forgets else []))
        except OSError as error:  # no process or file descriptor to be had: it may pass
            log.write("error", "not started", reason=f"the prediction log: {error.strerror}")
            return False
        code = await self._process.wait()
        if code not in _CODES and not self._ending.is_set():
            log.write("error", "prediction log lost", pid=self._process.pid, code=code)
        if forgets and code == 0:
            self._forgot_at = self._ran_at
        return code == 0

    async def _start(self, *options: str) -> Process:
        with tempfile.TemporaryFile() as file:
            file.write(json.dumps(child.as_json(self.config)).encode())
            file.seek(0)
            return await asyncio.create_subprocess_exec(
                *command(sys.executable, "server.predictions.roller"),
                *("--master", str(os.getpid()), "--config", str(file.fileno()), *options),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[file.fileno()],
                env={
                    **os.environ,
                    "PROMETHEUS_MULTIPROC_DIR": str(self._metrics),
                    "OPENBLAS_NUM_THREADS": "1",
                },
            )


def _waits(told: PredictionLog) -> bool:
    """Whether something waits to be rolled or to be brought away."""
    spool = Path(told.spool)
    try:
        return bool(journal.finished(spool)) or any((spool / "ready").iterdir())
    except OSError:  # there is no spool yet, or it cannot be looked at
        return False
