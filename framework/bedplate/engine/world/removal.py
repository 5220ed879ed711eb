"""Taking a service out of the world, so that nothing of it runs and nothing of it lies about."""

from __future__ import annotations

import shutil

from bedplate.engine.provider.kind import ResourceFailed
from bedplate.engine.world import store, supervision, token
from bedplate.engine.world.files import locked, remove_if_empty
from bedplate.engine.world.machine import Machine
from bedplate.engine.world.server import ServiceFiles
from bedplate.engine.world.token import Token
from bedplate.workspace import LocalWorld

_MARGIN_S = 10.0


def stop_program(machine: Machine, world: LocalWorld, name: str, stop_s: float) -> None:
    """Stops a service's program and takes it out of the supervisor. Not there is fine."""
    if not supervision.is_ours(world, machine) or name not in machine.programs(world):
        return
    machine.stop_program(world, name)

    def ended() -> bool:
        program = machine.programs(world).get(name)
        return program is None or program.state in ("STOPPED", "EXITED", "FATAL", "UNKNOWN")

    if not supervision.wait(machine, ended, stop_s + _MARGIN_S):
        raise ResourceFailed(f"the server {name} did not stop", "run again, it may stop later")
    machine.remove_program(world, name)


def evict(machine: Machine, world: LocalWorld, owned: Token) -> None:
    """Takes the port from a service, which stops. A spec gives a port to one service only, so when another
    one of the same environment asks for it, this one is about to be removed or to be given another."""
    files = ServiceFiles(world, owned.name)
    stop_s = _stop_s(owned)
    stop_program(machine, world, owned.name, stop_s)
    files.config.unlink(missing_ok=True)
    _end_orphan(machine, world, owned.name, stop_s)
    token.save(files.token, owned.having(port=token.NO_PORT))


def remove_service(machine: Machine, world: LocalWorld, owned: Token) -> None:
    """Stops the server, also one that no supervisor knows, then removes its files and its logs."""
    stop_s = _stop_s(owned)
    files = ServiceFiles(world, owned.name)
    stop_program(machine, world, owned.name, stop_s)
    # Without a configuration no supervisor that starts from now on would run it again.
    files.config.unlink(missing_ok=True)
    _end_orphan(machine, world, owned.name, stop_s)
    with locked(world):
        _remove_files(world, files, owned)
        supervisor = supervision.owner(world)
        if supervisor is not None:
            supervision.write_config(world, supervisor.id)
        store.collect_garbage(world)
        remove_if_empty(world.artifacts)


def _stop_s(owned: Token) -> int:
    given = owned.details.get("stop_s")
    return given if isinstance(given, int) else 20


def _end_orphan(machine: Machine, world: LocalWorld, name: str, stop_s: float) -> None:
    def gone() -> bool:
        return machine.master(world, name) is None

    if gone():
        return
    machine.retire(world, name)
    if supervision.wait(machine, gone, stop_s + _MARGIN_S):
        return
    machine.kill(world, name)
    if not supervision.wait(machine, gone, _MARGIN_S):
        raise ResourceFailed(f"the server {name}, which no supervisor knows, could not be ended")


def _remove_files(world: LocalWorld, files: ServiceFiles, owned: Token) -> None:
    """The token goes last, so that a removal that was cut off is known as ours and can be run again."""
    control = world.control_socket(owned.name)
    for path in control.parent.glob(f"{control.name}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    address = owned.details.get("address")
    for log in world.logs.glob(f"{address}.log*"):
        log.unlink(missing_ok=True)
    for path in files.folder.iterdir():
        if path != files.token:
            path.unlink()
    shutil.rmtree(files.folder)
    remove_if_empty(files.folder.parent)
