"""What kinds do to this machine beyond writing files, behind one protocol.

`local.LocalMachine` does it for real. Tests that need thousands of runs put another world in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from bedplate.workspace import LocalWorld

ProgramState = Literal["STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL", "UNKNOWN"]


@dataclass(frozen=True, slots=True)
class Program:
    """A supervised process. `started_at` and `stopped_at` are Unix seconds, 0 for never."""

    name: str
    state: ProgramState
    pid: int
    started_at: float
    stopped_at: float
    exit_code: int
    error: str

    @property
    def alive(self) -> bool:
        return self.state in ("STARTING", "RUNNING")


@dataclass(frozen=True, slots=True)
class Worker:
    """A process of a server that answers requests. `since` is in Unix seconds."""

    pid: int
    state: str
    since: float


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process of a server ended: by a signal, with a code, or unseen. `at` is in Unix seconds."""

    pid: int
    at: float
    signal: int | None = None
    code: int | None = None

    def __str__(self) -> str:
        how = f"by signal {self.signal}" if self.signal is not None else f"with code {self.code}"
        if self.signal is None and self.code is None:
            how = "unseen"
        moment = datetime.fromtimestamp(self.at, UTC).isoformat(sep=" ", timespec="seconds")
        return f"process {self.pid} ended {how} at {moment}"


@dataclass(frozen=True, slots=True)
class Model:
    """A model as a server serves it."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Master:
    """What a server says of itself on its control socket. Times are Unix seconds."""

    service: str
    pid: int
    generation: str
    ready: bool
    port: int
    workers_wanted: int
    started_at: float
    workers: tuple[Worker, ...] = ()
    restarts: int = 0
    last_exit: Exit | None = None
    models: tuple[Model, ...] = ()
    error: str | None = None
    listening_since: float | None = None
    grpc_port: int | None = None

    @property
    def workers_ready(self) -> int:
        return sum(worker.state == "ready" for worker in self.workers)


class Machine(Protocol):
    """Processes, sockets, ports and time. Only what belongs to `world` is touched."""

    def supervisor(self, world: LocalWorld) -> str | None:
        """The identity of the supervisor that answers in this world, None if none does."""
        ...

    def start_supervisor(self, world: LocalWorld) -> None:
        """Starts one from its configuration file; it answers when this returns. Raises ResourceFailed."""
        ...

    def stop_supervisor(self, world: LocalWorld, timeout_s: float) -> bool:
        """Has it stop all its programs and end. Whether its process ended in time."""
        ...

    def programs(self, world: LocalWorld) -> Mapping[str, Program]:
        """What the supervisor runs, by name; nothing when there is no supervisor."""
        ...

    def add_program(self, world: LocalWorld, name: str) -> None:
        """Takes a program from the configuration file, and starts it. Already there is fine."""
        ...

    def stop_program(self, world: LocalWorld, name: str) -> None:
        """Tells a program to stop; returns before it has. Already stopped or unknown is fine."""
        ...

    def remove_program(self, world: LocalWorld, name: str) -> None:
        """Forgets a program that is stopped. Unknown is fine."""
        ...

    def master(self, world: LocalWorld, name: str) -> Master | None:
        """What the server of a service says, None if none answers."""
        ...

    def change(
        self, world: LocalWorld, name: str, config: Path, timeout_s: float, progress: Callable[[str], None]
    ) -> str | None:
        """Has a server go over to another configuration. The reason if it stays with the old one."""
        ...

    def retire(self, world: LocalWorld, name: str) -> None:
        """Tells a server to drain and end; returns before it has. None there is fine."""
        ...

    def kill(self, world: LocalWorld, name: str) -> None:
        """Ends the process behind a service's control socket at once. None there is fine."""
        ...

    def port_is_free(self, port: int) -> bool:
        """Whether a server could listen on a port of 127.0.0.1 now."""
        ...

    def clock(self) -> float:
        """Seconds that only go forward."""
        ...

    def sleep(self, seconds: float) -> None:
        """Lets time pass."""
        ...
