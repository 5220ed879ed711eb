"""The machine as it is: supervisord, model servers, ports and the clock."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from bedplate.engine.provider.kind import ResourceFailed
from bedplate.engine.world import control, ports, supervisord, typed
from bedplate.engine.world.machine import Master, Program
from bedplate.workspace import LocalWorld

# Faults of supervisord that say: it is so already.
_SHUTTING_DOWN, _BAD_NAME, _ALREADY_ADDED, _NOT_RUNNING = 6, 10, 90, 70
# Our names of what supervisord says of a program.
_PROGRAM: Final = {
    "name": "name",
    "state": "statename",
    "pid": "pid",
    "started_at": "start",
    "stopped_at": "stop",
    "exit_code": "exitstatus",
    "error": "spawnerr",
}


class LocalMachine:
    """The Machine that a user has."""

    def supervisor(self, world: LocalWorld) -> str | None:
        try:
            return str(supervisord.call(world, "getIdentification", timeout_s=1))
        except (supervisord.Unreachable, supervisord.Fault):
            return None

    def start_supervisor(self, world: LocalWorld) -> None:
        supervisord.start(world)

    def stop_supervisor(self, world: LocalWorld, timeout_s: float) -> bool:
        try:
            process = os.pidfd_open(int(str(supervisord.call(world, "getPID"))))
        except (supervisord.Unreachable, ProcessLookupError):
            return True
        try:
            with _accepting(gone=True):
                supervisord.call(world, "shutdown")
            ended, _, _ = select.select([process], [], [], timeout_s)
        finally:
            os.close(process)
        return bool(ended)

    def programs(self, world: LocalWorld) -> Mapping[str, Program]:
        try:
            answer = supervisord.call(world, "getAllProcessInfo", timeout_s=1)
        except (supervisord.Unreachable, supervisord.Fault):
            return {}
        programs = map(_program, answer) if isinstance(answer, list) else ()
        return {program.name: program for program in programs}

    def add_program(self, world: LocalWorld, name: str) -> None:
        with _accepting(_ALREADY_ADDED):
            supervisord.call(world, "reloadConfig")
            supervisord.call(world, "addProcessGroup", name)

    def stop_program(self, world: LocalWorld, name: str) -> None:
        with _accepting(_NOT_RUNNING, _BAD_NAME, gone=True):
            supervisord.call(world, "stopProcess", name, False)

    def remove_program(self, world: LocalWorld, name: str) -> None:
        with _accepting(_BAD_NAME, gone=True):
            supervisord.call(world, "removeProcessGroup", name)

    def master(self, world: LocalWorld, name: str) -> Master | None:
        return control.status(world.control_socket(name))

    def change(
        self, world: LocalWorld, name: str, config: Path, timeout_s: float, progress: Callable[[str], None]
    ) -> str | None:
        return control.change(world.control_socket(name), config, timeout_s, progress)

    def retire(self, world: LocalWorld, name: str) -> None:
        control.retire(world.control_socket(name))

    def kill(self, world: LocalWorld, name: str) -> None:
        control.kill(world.control_socket(name))

    def port_is_free(self, port: int) -> bool:
        return ports.is_free(port)

    def clock(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def _program(answer: Mapping[str, object]) -> Program:
    return typed.read(Program, {ours: answer[theirs] for ours, theirs in _PROGRAM.items()})


@contextlib.contextmanager
def _accepting(*faults: int, gone: bool = False) -> Iterator[None]:
    """Takes those answers for a yes; with `gone`, also a supervisor that is not there."""
    try:
        yield
    except supervisord.Fault as fault:
        if fault.code not in faults and not (gone and fault.code == _SHUTTING_DOWN):
            raise ResourceFailed(f"supervisord refused: {fault}") from fault
    except supervisord.Unreachable as error:
        if not gone:
            raise ResourceFailed(f"supervisord does not answer: {error}") from error
