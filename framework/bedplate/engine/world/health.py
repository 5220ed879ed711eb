"""How a service is, and waiting until a new configuration of it serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bedplate.engine.world.logs import last_lines
from bedplate.engine.world.machine import Machine, Master, Program
from bedplate.engine.world.supervision import POLL_S, is_ours
from bedplate.workspace import LocalWorld

State = Literal["running", "starting", "degraded", "unsupervised", "failed", "fatal", "stopped"]
_MOVING: tuple[State, ...] = ("starting", "degraded")
_ON_THE_WAY = ("STARTING", "RUNNING", "STOPPING", "BACKOFF", "EXITED")
_SETTLE_S = 5.0
_GIVEN_UP = ("FATAL", "STOPPED", "UNKNOWN")


@dataclass(frozen=True, slots=True)
class Condition:
    """What was seen of a service at one moment.

    running: supervised, every worker ready. starting: not yet, or again. degraded: serves with fewer workers
    than wanted. unsupervised: serves, but nothing would start it again. failed: runs, but says it cannot
    serve. fatal: it ended so often that the supervisor gave up. stopped: nothing serves.
    """

    state: State
    master: Master | None
    program: Program | None

    @property
    def supervised(self) -> bool:
        """Whether the server that answers is the one that the supervisor runs."""
        return self.master is not None and _runs(self.program, self.master)


def look(machine: Machine, world: LocalWorld, name: str) -> Condition:
    """How a service is now."""
    master = machine.master(world, name)
    program = machine.programs(world).get(name) if is_ours(world, machine) else None
    return Condition(classify(master, program), master, program)


def classify(master: Master | None, program: Program | None) -> State:
    """One word for what a server and its supervisor say."""
    if master is None:
        if program is None or program.state not in (*_ON_THE_WAY, "FATAL"):
            return "stopped"
        return "fatal" if program.state == "FATAL" else "starting"
    if not _runs(program, master):
        return "unsupervised"
    if master.ready:
        return "running"
    if master.workers_ready > 0:
        return "degraded"
    return "failed" if master.error else "starting"


def settled(machine: Machine, world: LocalWorld, name: str) -> Condition:
    """How a service is once what is under way has had a few seconds to end."""
    deadline = machine.clock() + _SETTLE_S
    while True:
        condition = look(machine, world, name)
        program = condition.program
        changing_hands = (
            condition.state == "unsupervised" and program is not None and program.state in _ON_THE_WAY
        )
        if not (condition.state in _MOVING or changing_hands) or machine.clock() > deadline:
            return condition
        machine.sleep(POLL_S)


@dataclass(frozen=True, slots=True)
class Awaited:
    """A configuration that shall be served: by the supervised server, or by whichever answers."""

    name: str
    generation: str
    supervised: bool
    timeout_s: float


def reasons_not_ready(
    machine: Machine,
    world: LocalWorld,
    awaited: Awaited,
    progress: Callable[[str], None],
    cancelled: Callable[[], bool],
) -> tuple[str, ...]:
    """Waits until it is served by every worker. Otherwise why it is not; nothing when it is."""
    deadline = machine.clock() + awaited.timeout_s
    said = ""
    while machine.clock() < deadline:
        condition = look(machine, world, awaited.name)
        master = condition.master
        if master is not None and master.generation == awaited.generation:
            if master.ready and (condition.supervised or not awaited.supervised):
                return ()
            if master.error:
                return (master.error,)
            now = f"{master.workers_ready} of {master.workers_wanted} workers are ready"
            if now != said:
                progress(said := now)
        if awaited.supervised and condition.program is not None and condition.program.state in _GIVEN_UP:
            return (f"the server does not stay up: {condition.program.error or 'it ended too quickly'}",)
        if cancelled():
            return ("interrupted before it was ready",)
        machine.sleep(POLL_S)
    return (f"it was not ready within {awaited.timeout_s:.0f} seconds",)


def with_log(world: LocalWorld, address: str, reasons: tuple[str, ...]) -> tuple[str, ...]:
    """Reasons, with the last lines of the service's log."""
    lines = last_lines(world.log(address), 5)
    return (*reasons, *(f"log: {line}" for line in lines))


def _runs(program: Program | None, master: Master) -> bool:
    return program is not None and program.alive and program.pid == master.pid
