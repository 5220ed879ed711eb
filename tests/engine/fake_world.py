"""A machine in memory: a supervisor, model servers, ports and a clock that behave as the real ones do.

The kinds run over it unchanged, thousands of times. Files are real. A model is served unless its bytes
begin with `bad`. `dies_at` ends the provider before (or after) its n-th act: what was done stays.
"""

from __future__ import annotations

import configparser
import hashlib
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from bedplate.engine.provider.kind import ResourceFailed
from bedplate.engine.world import typed
from bedplate.engine.world.machine import Machine, Master, Model, Program, ProgramState, Worker
from bedplate.workspace import LocalWorld


class ProviderDied(BaseException):
    """The provider's process was killed here."""


@dataclass
class FakeServer:
    """A master with its workers."""

    pid: int
    control: str
    config: dict[str, Any]
    error: str | None
    ready: bool = False

    def status(self) -> Master:
        workers = self.config["workers"]
        ready = tuple(Worker(pid=self.pid + 1000 + n, state="ready", since=0) for n in range(workers))
        return Master(
            service=self.config["service"],
            pid=self.pid,
            generation=self.config["generation"],
            ready=self.ready,
            port=self.config["port"],
            workers=ready if self.ready else (),
            workers_wanted=workers,
            models=tuple(typed.read(Model, model, more=True) for model in self.config["models"]),
            error=self.error,
            started_at=0,
        )


@dataclass
class FakeProgram:
    """What a supervisor knows of a program."""

    name: str
    command: list[str]
    state: ProgramState = "STOPPED"
    pid: int = 0

    def info(self) -> Program:
        return Program(self.name, self.state, self.pid, started_at=0, stopped_at=0, exit_code=0, error="")


@dataclass
class FakeSupervisor:
    identity: str
    programs: dict[str, FakeProgram] = field(default_factory=dict)


P = ParamSpec("P")
R = TypeVar("R")


def _act(method: Callable[Concatenate[FakeMachine, P], R]) -> Callable[Concatenate[FakeMachine, P], R]:
    """Something that changes the machine, before or after which the provider may die."""

    def act(self: FakeMachine, /, *arguments: P.args, **options: P.kwargs) -> R:
        self.acts += 1
        dies = self.acts == self.dies_at
        if dies and not self.dies_after:
            raise ProviderDied
        result = method(self, *arguments, **options)
        if dies:
            raise ProviderDied
        return result

    return act


@dataclass
class FakeMachine:
    """Implements bedplate.engine.world.machine.Machine. Keys are the worlds' folders."""

    dies_at: int | None = None
    dies_after: bool = False
    acts: int = 0
    now: float = 0.0
    supervisors: dict[Path, FakeSupervisor] = field(default_factory=dict)
    servers: dict[int, FakeServer] = field(default_factory=dict)
    controls: dict[str, int] = field(default_factory=dict)
    foreign_ports: set[int] = field(default_factory=set)
    next_pid: int = 100

    def supervisor(self, world: LocalWorld) -> str | None:
        found = self.supervisors.get(world.root)
        return None if found is None else found.identity

    @_act
    def start_supervisor(self, world: LocalWorld) -> None:
        conf = _parse(world)
        if world.root in self.supervisors:
            raise ResourceFailed("supervisord did not start: another one listens")
        self.supervisors[world.root] = FakeSupervisor(conf["supervisord"]["identifier"])
        for name in _program_names(conf):
            self._add(world, conf, name)

    @_act
    def stop_supervisor(self, world: LocalWorld, timeout_s: float) -> bool:
        gone = self.supervisors.pop(world.root, None)
        for program in gone.programs.values() if gone else ():
            self._end(program.pid)
        return True

    def programs(self, world: LocalWorld) -> Mapping[str, Program]:
        found = self.supervisors.get(world.root)
        return {name: program.info() for name, program in found.programs.items()} if found else {}

    @_act
    def add_program(self, world: LocalWorld, name: str) -> None:
        if world.root not in self.supervisors:
            raise ResourceFailed("supervisord does not answer")
        if name not in self.supervisors[world.root].programs:
            self._add(world, _parse(world), name)

    @_act
    def stop_program(self, world: LocalWorld, name: str) -> None:
        program = self._program(world, name)
        if program is not None and program.pid:
            self._end(program.pid)
            program.state, program.pid = "STOPPED", 0

    @_act
    def remove_program(self, world: LocalWorld, name: str) -> None:
        if self._program(world, name) is not None:
            del self.supervisors[world.root].programs[name]

    def master(self, world: LocalWorld, name: str) -> Master | None:
        server = self._answering(str(world.control_socket(name)))
        return None if server is None else server.status()

    @_act
    def change(
        self, world: LocalWorld, name: str, config: Path, timeout_s: float, progress: Callable[[str], None]
    ) -> str | None:
        server = self._answering(str(world.control_socket(name)))
        if server is None:
            return "the server did not answer"
        wanted = json.loads(config.read_text())
        if wanted["port"] != server.config["port"]:
            return "the port of a running server cannot change"
        error = _load_error(wanted)
        if error is None:
            server.config, server.error, server.ready = wanted, None, True
        return error

    @_act
    def retire(self, world: LocalWorld, name: str) -> None:
        self.kill(world, name)

    def kill(self, world: LocalWorld, name: str) -> None:
        self._end(self.controls.get(str(world.control_socket(name)), 0))

    def port_is_free(self, port: int) -> bool:
        return port not in self.foreign_ports | {server.config["port"] for server in self.servers.values()}

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    # What happens to a machine without anybody asking.

    def lose_supervisor(self, world: LocalWorld) -> None:
        """kill -9 of supervisord: its servers live on."""
        self.supervisors.pop(world.root, None)

    def lose_everything(self) -> None:
        """A reboot."""
        self.supervisors.clear()
        self.servers.clear()
        self.controls.clear()

    def _program(self, world: LocalWorld, name: str) -> FakeProgram | None:
        found = self.supervisors.get(world.root)
        return None if found is None else found.programs.get(name)

    def _answering(self, control: str) -> FakeServer | None:
        return self.servers.get(self.controls.get(control, 0))

    def _add(self, world: LocalWorld, conf: configparser.RawConfigParser, name: str) -> None:
        command = shlex.split(conf[f"program:{name}"]["command"])
        program = FakeProgram(name, command)
        self.supervisors[world.root].programs[name] = program
        self._spawn(world, program)

    def _spawn(self, world: LocalWorld, program: FakeProgram) -> None:
        control = program.command[program.command.index("--control") + 1]
        path = world.root / program.command[program.command.index("--config") + 1]
        self.next_pid += 1
        config = json.loads(path.read_text())
        server = FakeServer(self.next_pid, control, config, _load_error(config))
        program.state, program.pid = "RUNNING", server.pid
        orphan = self._answering(control)
        if orphan is not None and server.error is None:
            self._end(orphan.pid)
            orphan = None
        elif orphan is None and not self.port_is_free(config["port"]):
            server.error = f"port {config['port']} is in use"
        server.ready = server.error is None
        self.servers[server.pid] = server
        if orphan is None:
            self.controls[control] = server.pid

    def _end(self, pid: int) -> None:
        server = self.servers.pop(pid, None)
        if server is not None and self.controls.get(server.control) == pid:
            del self.controls[server.control]


def _load_error(config: dict[str, Any]) -> str | None:
    """What a worker would say of the models: it hashes what it loads."""
    for model in config["models"]:
        path = Path(model["path"])
        if not path.is_file():
            return f"{model['name']}: no such file"
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != model["sha256"]:
            return f"{model['name']}: its content is not what was declared"
        if content.startswith(b"bad"):
            return f"{model['name']}: not an ONNX model"
    return None


def _parse(world: LocalWorld) -> configparser.RawConfigParser:
    """As supervisord reads it."""
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read(world.supervisor / "supervisord.conf")
    return parser


def _program_names(conf: configparser.RawConfigParser) -> list[str]:
    return [section.partition(":")[2] for section in conf.sections() if section.startswith("program:")]


def as_machine(fake: FakeMachine) -> Machine:
    """The type checker's word that the fake is one."""
    return fake
