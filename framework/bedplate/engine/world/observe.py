"""What `bedplate status` shows of the local world. Reads only, and answers at once when all is dead."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bedplate.engine.provider.kind import ResourceFailed
from bedplate.engine.sources import addresses
from bedplate.engine.world import health, supervision, supervisord, token
from bedplate.engine.world.local import LocalMachine
from bedplate.engine.world.machine import Exit, Master, Model, Program, Worker
from bedplate.engine.world.server import ServiceFiles
from bedplate.graph import Json
from bedplate.workspace import LocalWorld, Workspace

_TIMEOUT_S = 1.0
_MOST_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class SupervisorStatus:
    """`expected`: this environment has one. `foreign`: the one that answers is not ours."""

    expected: bool
    alive: bool
    foreign: bool
    pid: int | None


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One service. Times are Unix seconds; `restarts` and `last_exit` are about its workers.

    `address` is the spec's; one that the spec no longer has is known by its name in the world.

    `state` is one of health.State, or `unknown` when its token cannot be read.
    """

    name: str
    address: str
    state: health.State | Literal["unknown"]
    url: str | None
    port: int | None
    grpc_port: int | None
    pid: int | None
    workers: tuple[Worker, ...]
    workers_ready: int
    workers_wanted: int
    restarts: int
    last_exit: Exit | None
    models: tuple[Model, ...]
    started_at: float | None
    error: str | None
    log: str

    @property
    def healthy(self) -> bool:
        return self.state == "running"


@dataclass(frozen=True, slots=True)
class WorldStatus:
    """What runs for one environment of a project."""

    environment: str
    supervisor: SupervisorStatus
    services: tuple[ServiceStatus, ...]

    @property
    def healthy(self) -> bool:
        """Whether all that should run does; an environment where nothing should run is healthy."""
        supervised = self.supervisor.alive or not self.supervisor.expected
        return (
            supervised and not self.supervisor.foreign and all(service.healthy for service in self.services)
        )


def observe(workspace: Workspace, environment: str) -> WorldStatus:
    """How the local world is now. Dead or hanging processes cost a second at most, all together."""
    world = workspace.world(environment)
    supervisor = _supervisor(world)
    programs = LocalMachine().programs(world) if supervisor.alive else {}
    folders = sorted(path.parent for path in (world.root / "services").glob(f"*/{token.FILE}"))
    with ThreadPoolExecutor(_MOST_AT_ONCE) as pool:
        services = tuple(pool.map(lambda folder: _service(world, folder, programs), folders))
    known = addresses(workspace, environment)
    called = (replace(service, address=known.get(service.address, service.address)) for service in services)
    return WorldStatus(environment, supervisor, tuple(called))


def _supervisor(world: LocalWorld) -> SupervisorStatus:
    try:
        owned = supervision.owner(world)
    except ResourceFailed:
        owned = None
    try:
        running = supervisord.call(world, "getIdentification", timeout_s=_TIMEOUT_S)
        pid = supervisord.call(world, "getPID", timeout_s=_TIMEOUT_S)
    except (supervisord.Unreachable, supervisord.Fault):
        return SupervisorStatus(owned is not None, alive=False, foreign=False, pid=None)
    ours = owned is not None and running == owned.id
    return SupervisorStatus(owned is not None, ours, not ours, pid if isinstance(pid, int) else None)


def _service(world: LocalWorld, folder: Path, programs: Mapping[str, Program]) -> ServiceStatus:
    name = folder.name
    details: Mapping[str, Json] = {}
    damage: str | None = None
    try:
        owned = token.load(folder / token.FILE)
        details = owned.details if owned is not None else {}
    except ResourceFailed as error:
        damage = error.message
    address = str(details.get("address", name))
    port = _port(details)
    master, program = LocalMachine().master(world, name), programs.get(name)
    return ServiceStatus(
        name=name,
        address=address,
        state="unknown" if damage else health.classify(master, program),
        url=ServiceFiles(world, name).url(port) if port else None,
        port=port,
        grpc_port=master.grpc_port if master else None,
        pid=master.pid if master else None,
        workers=master.workers if master else (),
        workers_ready=master.workers_ready if master else 0,
        workers_wanted=master.workers_wanted if master else _wanted(details),
        restarts=master.restarts if master else 0,
        last_exit=master.last_exit if master else None,
        models=master.models if master else (),
        started_at=master.started_at if master else None,
        error=damage or _error(master, program),
        log=str(world.log(address)),
    )


def _port(details: Mapping[str, Json]) -> int | None:
    port = details.get("port")
    return port if isinstance(port, int) and port != token.NO_PORT else None


def _wanted(details: Mapping[str, Json]) -> int:
    match details.get("inputs"):
        case {"replicas": int(replicas)}:
            return replicas
    return 0


def _error(master: Master | None, program: Program | None) -> str | None:
    if master is not None:
        return master.error
    if program is not None and program.state in ("FATAL", "BACKOFF"):
        return program.error or "it ended too quickly"
    return None
