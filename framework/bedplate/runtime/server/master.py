"""The master: holds the listening socket, keeps workers behind it, changes them without a gap."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

from bedplate.runtime.server import listening, log
from bedplate.runtime.server.child import Exit
from bedplate.runtime.server.config import Config, load
from bedplate.runtime.server.config_table import ConfigError
from bedplate.runtime.server.control import Answer, Control, Final, Json
from bedplate.runtime.server.fleet import Fleet, Losses, NotProven
from bedplate.runtime.server.listening import Predecessor
from bedplate.runtime.server.log_process import LogProcess

PROTOCOL = 1
_STILL_ACCEPTING_S = 1.0  # after the first 503 of readiness, for balancers to notice


class Master:
    def __init__(self, config: Config, control_path: Path) -> None:
        self._config = config
        self._control = Control(control_path, self._obey)
        self._control_path = control_path
        self._losses = Losses()
        self._started_at = time.time()
        self._changing = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._forced = False
        self._handed_over = False
        self._draining: dict[Fleet, asyncio.Task[None]] = {}

    async def run(self) -> int:
        """Serve until told to end; the exit code is 0 then, 1 when a second signal cut the drain short."""
        self._listen_to_signals()
        before = _left_by(self._control_path)
        self._metrics = _metrics_folder(self._control_path)
        obtained = await listening.obtain(self._config, self._control_path)
        self._listener, self._listening_since = obtained.listener, obtained.since
        self._guard, predecessor = obtained.guard, obtained.predecessor
        if predecessor is None and before is not None:
            self._losses.add(Exit(before, None, None, time.time()), "master")
        self._fleet = Fleet(
            self._config, self._listener, self._metrics, self._losses, accepting=predecessor is None
        )
        self._fleet.tend()
        self._log = LogProcess(self._config, self._metrics)
        self._log.tend()
        if predecessor is None:
            self._control.place()
        else:
            await self._replace(predecessor)
        await self._stopping.wait()
        await self._end()
        return 1 if self._forced else 0

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)

    def _signalled(self) -> None:
        if not self._stopping.is_set():
            self._stopping.set()
            return
        self._forced = True
        for fleet in (self._fleet, *self._draining):
            fleet.kill()

    async def _replace(self, predecessor: Predecessor) -> None:
        """Wait until this master can serve, then end the one before it."""
        gone = asyncio.create_task(predecessor.gone())
        stopping = asyncio.create_task(self._stopping.wait())
        while not (self._fleet.ready or gone.done() or stopping.done()):
            await asyncio.wait([gone, stopping], timeout=0.05, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not self._stopping.is_set():
            self._control.place()
            self._fleet.open()
            await self._fleet.obeyed()
            await asyncio.to_thread(predecessor.retire)
        gone.cancel()
        predecessor.close()

    async def _end(self) -> None:
        began = time.monotonic()
        drain_s = self._config.timeouts.drain_s
        accept_s = 0.0 if self._handed_over else min(_STILL_ACCEPTING_S, drain_s / 4)
        self._fleet.drain(ending=not self._handed_over, accept_s=accept_s)
        await asyncio.gather(self._fleet.gone(), *self._draining.values())
        await self._log.end(self._config.timeouts.stop_s - (time.monotonic() - began))
        self._listener.close()
        self._keep(None)
        self._control.close()
        shutil.rmtree(self._metrics, ignore_errors=True)

    async def _obey(self, command: Json, progress: Answer) -> Final:
        match command:
            case {"command": "status"}:
                return Final({"ok": True, **self._status()})
            case {"command": "change", "config": str(path)}:
                # shielded: a change goes on when whoever asked for it is gone
                return await asyncio.shield(asyncio.ensure_future(self._change(Path(path), progress)))
            case {"command": "retire"}:
                asyncio.get_running_loop().call_later(0.05, self._stopping.set)  # answer first
                return Final({"ok": True})
            case {"command": "takeover"}:
                self._handed_over = True
                return Final({"ok": True, **self._identity()}, send=self._listener)
        return Final({"ok": False, "error": "unknown command"})

    def _identity(self) -> Json:
        return {
            "protocol": PROTOCOL,
            "service": self._config.service,
            "pid": os.getpid(),
            "generation": self._config.generation,
            "host": self._config.host,
            "port": self._config.port,
            "grpc_port": self._config.grpc_port,
            "listening_since": self._listening_since,
        }

    def _status(self) -> Json:
        workers = [worker for fleet in (self._fleet, *self._draining) for worker in fleet.workers]
        models = [asdict(model) for model in self._config.models]
        return {
            **self._identity(),
            "ready": self._fleet.ready and not self._stopping.is_set(),
            "workers": [worker.as_json() for worker in workers],
            "workers_wanted": self._config.workers,
            "restarts": self._losses.count,
            "last_exit": self._losses.last.as_json() if self._losses.last else None,
            "models": [{key: model[key] for key in ("name", "version", "sha256")} for model in models],
            "error": self._fleet.error,
            "prediction_log": self._log.pid,
            "started_at": self._started_at,
        }

    async def _change(self, path: Path, progress: Answer) -> Final:
        if self._changing.locked():
            return _refused("another change is running")
        async with self._changing:
            try:
                config = _usable(load(path))
                self._check_change(config)
                if _routes_alone(self._config, config) and self._fleet.ready:
                    self._config = config
                    self._fleet.route(config)
                    await self._fleet.obeyed()
                    return Final({"ok": True})
                guard = listening.reserve(config, self._config.grpc_port)
                fleet = await self._proven(config, guard, progress)
            except (ConfigError, NotProven, listening.CannotListen) as error:
                log.write("error", "not changed", reason=str(error))
                return _refused(str(error))
            if self._stopping.is_set():
                fleet.kill()
                _close(guard)
                return _refused("the server is ending")
            old, self._fleet, self._config = self._fleet, fleet, config
            self._keep(guard)
            fleet.open()
            fleet.tend()
            await fleet.obeyed()
            draining = self._retire(old)
            await old.obeyed()
            await self._change_log(config, draining)
            return Final({"ok": True})

    def _check_change(self, config: Config) -> None:
        if (config.host, config.port) != (self._config.host, self._config.port):
            raise ConfigError("the port of a running server cannot change")
        if config.service != self._config.service:
            raise ConfigError(f"this server is {self._config.service}, not {config.service}")

    async def _proven(self, config: Config, guard: socket.socket | None, progress: Answer) -> Fleet:
        fleet = Fleet(config, self._listener, self._metrics, self._losses, accepting=False)
        try:
            await fleet.prove(lambda text: progress({"progress": text}))
        except NotProven:
            _close(guard)
            raise
        return fleet

    def _keep(self, guard: socket.socket | None) -> None:
        _close(self._guard)
        self._guard = guard

    async def _change_log(self, config: Config, draining: asyncio.Task[None]) -> None:
        """Roll as the new configuration has it; without a log there, first what the old workers still write."""
        if config.prediction_log == self._log.config.prediction_log:
            return
        if config.prediction_log is None:
            await draining
        await self._log.end(config.timeouts.stop_s)
        self._log = LogProcess(config, self._metrics)
        if not self._stopping.is_set():
            self._log.tend()

    def _retire(self, fleet: Fleet) -> asyncio.Task[None]:
        fleet.drain(ending=False)
        task = asyncio.create_task(fleet.gone())
        self._draining[fleet] = task
        task.add_done_callback(lambda _: self._draining.pop(fleet))
        return task


def _routes_alone(one: Config, other: Config) -> bool:
    """Whether nothing but routes changes, which needs no other workers."""
    changed = replace(one, routes=other.routes, generation=other.generation)
    return changed == other and one.routes != other.routes


def _close(guard: socket.socket | None) -> None:
    if guard is not None:
        guard.close()


def _refused(error: str) -> Final:
    return Final({"ok": False, "error": error})


def _left_by(control_path: Path) -> int | None:
    """The process id of a master that was killed: it left its folder, which one that ends by itself takes away."""
    found = (_pid_of(folder) for folder in _folders(control_path))
    return next((pid for pid in found if pid is not None and not Path(f"/proc/{pid}").exists()), None)


def _folders(control_path: Path) -> Iterator[Path]:
    return control_path.parent.glob(f"{control_path.name}.metrics.*")


def _pid_of(folder: Path) -> int | None:
    pid = folder.suffix.removeprefix(".")
    return int(pid) if pid.isdigit() else None


def _metrics_folder(control_path: Path) -> Path:
    """This master's own folder beside its control socket; those of masters that are gone go."""
    for folder in _folders(control_path):
        pid = _pid_of(folder)
        if pid == os.getpid() or pid is None or not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)
    mine = control_path.with_name(f"{control_path.name}.metrics.{os.getpid()}")
    mine.mkdir(mode=0o700)
    return mine


def _usable(config: Config) -> Config:
    """The configuration, whose certificate can be used; raises ConfigError."""
    if config.tls is not None:
        from bedplate.runtime.server import tls  # with OpenSSL, which a server without it does not need

        try:
            tls.context(config.tls)
        except tls.NoTls as error:
            raise ConfigError(str(error)) from error
    return config


def serve(read: Callable[[], Config], control_path: Path) -> int:
    """Run a master; the exit code is 2 for a bad configuration, 1 when it cannot listen."""
    try:
        config = _usable(read())
    except ConfigError as error:
        log.write("error", "bad configuration", reason=str(error))
        return 2
    try:
        return asyncio.run(Master(config, control_path).run())
    except listening.CannotListen as error:
        log.write("error", "cannot listen", reason=str(error))
        return 1
