"""One worker as its master sees it.

Workers are fresh programs (exec) that inherit descriptors, not bare forks: a forked interpreter
would carry the master's event loop, locks and memory along, and onnxruntime, once loaded, keeps
threads that a fork loses. The master stays small, and a worker starts the same way every time.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from bedplate.runtime.programs import command
from bedplate.runtime.server.config import Config

_OBEYS_WITHIN_S = 5.0


@dataclass(frozen=True)
class Exit:
    """How a worker or a master ended: by a signal or with a code, neither where nobody saw it."""

    pid: int
    signal: int | None
    code: int | None
    at: float

    def as_json(self) -> dict[str, object]:
        how = {"signal": self.signal} if self.signal is not None else {"code": self.code}
        return {"pid": self.pid, **how, "at": self.at}

    def __str__(self) -> str:
        if self.signal is None and self.code is None:
            return "ended unseen, and not because it was told to"
        return f"ended by signal {self.signal}" if self.signal is not None else f"ended with code {self.code}"


class Child:
    """A running worker: its state, its verdict on the models, its end."""

    def __init__(self, process: Process, status: socket.socket) -> None:
        self.pid = process.pid
        self.state = "starting"
        self.since = time.time()
        self._process = process
        self._unanswered = 0
        self._obeyed = asyncio.Event()
        self._obeyed.set()
        self._status = status
        self._verdict: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self.exited = asyncio.create_task(self._watch())

    async def verdict(self, within_s: float) -> str | None:
        """None once the worker is ready, else why it is not."""
        try:
            return await asyncio.wait_for(asyncio.shield(self._verdict), within_s)
        except TimeoutError:
            return f"worker {self.pid} was not ready within {within_s:g} s"

    def accept(self) -> None:
        self._order({"order": "accept"})

    def route(self, routes: object) -> None:
        """Tell the worker by which routes it chooses from now on."""
        self._order({"order": "route", "routes": routes})

    def drain(self, *, ending: bool, accept_s: float) -> None:
        """Tell the worker to finish; `ending` says that the whole service goes."""
        self._become("draining")
        self._order({"order": "drain", "ending": ending, "accept_s": accept_s})

    async def obeyed(self) -> None:
        """Return when all orders so far are carried out, or the worker is gone or takes too long."""
        try:
            await asyncio.wait_for(self._obeyed.wait(), _OBEYS_WITHIN_S)
        except TimeoutError:
            return

    def kill(self) -> None:
        if not self.exited.done():
            self._process.kill()

    def as_json(self) -> dict[str, object]:
        return {"pid": self.pid, "state": self.state, "since": self.since}

    def _become(self, state: str) -> None:
        self.state = state
        self.since = time.time()

    def _order(self, order: Mapping[str, object]) -> None:
        try:
            self._status.sendall(json.dumps(order).encode() + b"\n")
        except OSError:
            return  # it is gone, which `exited` tells; or its queue is full, and `kill` follows
        self._unanswered += 1
        self._obeyed.clear()

    def _reported(self, event: Mapping[str, str]) -> None:
        if event["event"] == "obeyed":
            self._unanswered -= 1
            if not self._unanswered:
                self._obeyed.set()
            return
        if self.state == "starting":
            self._become(event["event"])  # ready or failed
        if not self._verdict.done():
            self._verdict.set_result(event.get("reason"))

    async def _watch(self) -> Exit:
        reader, writer = await asyncio.open_connection(sock=self._status.dup())
        with suppress(ConnectionResetError):  # it died with an order unread
            while line := await reader.readline():
                self._reported(json.loads(line))
        self._obeyed.set()
        code = await self._process.wait()
        writer.close()
        self._status.close()
        found = Exit(self.pid, -code if code < 0 else None, code if code >= 0 else None, time.time())
        if not self._verdict.done():
            self._verdict.set_result(f"worker {self.pid} {found} before it was ready")
        return found


async def start(config: Config, listener: socket.socket, metrics: Path) -> Child:
    """Start a worker that loads the configuration's models and does not accept yet."""
    ours, theirs = socket.socketpair()
    with theirs, tempfile.TemporaryFile() as file:
        file.write(json.dumps(as_json(config)).encode())
        file.seek(0)
        descriptors = {
            "--listener": listener.fileno(),
            "--status": theirs.fileno(),
            "--config": file.fileno(),
        }
        options = [text for name, number in descriptors.items() for text in (name, str(number))]
        process = await asyncio.create_subprocess_exec(
            *command(sys.executable, "server.worker"),
            *("--master", str(os.getpid()), *options),
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=list(descriptors.values()),
            env={**os.environ, **_environment(config, metrics)},
        )
    ours.setblocking(False)
    return Child(process, ours)


def _environment(config: Config, metrics: Path) -> dict[str, str]:
    threads = str(config.threads)
    return {
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        "OMP_NUM_THREADS": threads,
        "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime 1.32 would tell its makers over HTTPS what it runs
        "GRPC_VERBOSITY": "NONE",  # its lines are not JSON
        "OPENBLAS_NUM_THREADS": "1",  # numpy computes nothing here; its threads would only take memory
    }


def as_json(config: Config) -> dict[str, object]:
    """A configuration as `config.parse` reads it."""
    tree = asdict(config)
    key = tree.pop("api_key")
    return {**tree, "auth": {"api_key": key} if key else None}
