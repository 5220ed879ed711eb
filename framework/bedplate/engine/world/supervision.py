"""A supervisor that runs, and the programs in it.

Which programs there should be follows from the services' folders alone: one per service that has a token
and a configuration. So a supervisor that died starts again with all of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from bedplate.engine.provider.kind import ResourceFailed
from bedplate.engine.world import supervisord, token
from bedplate.engine.world.files import ensure_private, failures
from bedplate.engine.world.machine import Machine
from bedplate.engine.world.server import ServiceFiles
from bedplate.engine.world.supervisord import ProgramConfig
from bedplate.engine.world.token import Token
from bedplate.runtime.programs import command
from bedplate.workspace import LocalWorld

POLL_S = 0.05
_ANSWER_S = 10.0


def owner(world: LocalWorld) -> Token | None:
    """The token of this world's supervisor."""
    return token.load(world.supervisor / token.FILE)


def required(world: LocalWorld) -> Token:
    """The token of this world's supervisor; a service cannot be without one."""
    found = owner(world)
    if found is None:
        raise ResourceFailed(
            "this environment has no supervisor yet", "run bedplate up, which begins with the stack base"
        )
    return found


def ensure(world: LocalWorld, machine: Machine, identity: str) -> None:
    """Leaves our supervisor running. Call it with the world locked. Never touches somebody else's."""
    with failures("prepare the supervisor"):
        ensure_private(world)
        world.logs.mkdir(parents=True, exist_ok=True)
        write_config(world, identity)
    running = machine.supervisor(world)
    if running is None:
        machine.start_supervisor(world)
        running = machine.supervisor(world)
    check(world, running, identity)


def check(world: LocalWorld, running: str | None, identity: str) -> None:
    """Raises ResourceFailed unless the supervisor that answers is ours."""
    if running is None:
        raise ResourceFailed("the supervisor does not answer", f"see {world.supervisor / 'supervisord.log'}")
    if running != identity:
        raise ResourceFailed(
            f"another supervisor ({running}) answers on {world.supervisor_socket}, not ours ({identity})",
            "`bedplate status` names its process; end it if an earlier .bedplate/ here ran it",
        )


def write_config(world: LocalWorld, identity: str) -> None:
    """The supervisor's configuration, as the services' folders say."""
    supervisord.write_config(world, identity, tuple(programs(world)))


def programs(world: LocalWorld) -> Iterator[ProgramConfig]:
    """A program for every service that can be started."""
    for path in sorted((world.root / "services").glob(f"*/{token.FILE}")):
        try:
            service = token.load(path)
        except ResourceFailed:
            continue  # it is reported where that service itself is looked at
        if service is not None and ServiceFiles(world, service.name).config.exists():
            yield _program(world, service)


def _program(world: LocalWorld, service: Token) -> ProgramConfig:
    address, stop_s = service.details.get("address"), service.details.get("stop_s")
    argv = (
        *command(sys.executable, "server"),
        *("--config", f"services/{service.name}/server.json"),
        *("--control", str(world.control_socket(service.name))),
    )
    return ProgramConfig(service.name, argv, f"logs/{address}.log", stop_s if isinstance(stop_s, int) else 20)


def stop(world: LocalWorld, machine: Machine, identity: str, timeout_s: float) -> None:
    """Ends our supervisor and all that it runs, if it is there."""
    if machine.supervisor(world) != identity:
        return
    if not machine.stop_supervisor(world, timeout_s):
        raise ResourceFailed(
            f"the supervisor did not end within {timeout_s:.0f} seconds", "run again, it may end later"
        )


def is_ours(world: LocalWorld, machine: Machine) -> bool:
    """Whether our own supervisor answers."""
    found = owner(world)
    return found is not None and machine.supervisor(world) == found.id


def wait(machine: Machine, condition: Callable[[], bool], timeout_s: float) -> bool:
    """Whether `condition` came true in time."""
    deadline = machine.clock() + timeout_s
    while not condition():
        if machine.clock() > deadline:
            return False
        machine.sleep(POLL_S)
    return True
