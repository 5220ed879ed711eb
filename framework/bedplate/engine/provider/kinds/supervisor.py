"""`bedplate:local:Supervisor`: the process that keeps a project's servers alive on this machine.

A supervisor that was killed leaves its servers running. The next one starts a server for each service
again, and each takes the listening socket over from its orphan, so no request is refused in between.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Final

from bedplate.engine.provider.kind import Context, Created, Observed, Property, ResourceFailed
from bedplate.engine.world import supervision, token
from bedplate.engine.world.files import failures, locked, remove_if_empty
from bedplate.engine.world.machine import Machine
from bedplate.graph import Json
from bedplate.workspace import LocalWorld

_STOP_TIMEOUT_S = 120.0


class Supervisor:
    """One supervisord per project folder and environment."""

    TOKEN: Final = "bedplate:local:Supervisor"  # noqa: S105
    SUMMARY: Final = "The supervisord that runs a project's servers on this machine, one per environment."
    PROPERTIES: Final[Mapping[str, Property]] = {
        "environment": Property({"type": "string"}, replaces=True, words="environment"),
        "state": Property({"type": "string"}, words="state", because="it was found so in the world"),
    }
    OUTPUTS: Final[Mapping[str, Property]] = {}
    DELETE_FIRST: Final = True

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def create(self, context: Context, inputs: Mapping[str, Json]) -> Created:
        world = context.workspace.world(str(inputs["environment"]))
        with failures("create the supervisor"), locked(world):
            path = world.supervisor / token.FILE
            owned = token.claim(path, context.urn)
            if owned is None:
                owned = token.mint(context.urn, "supervisor")
                token.save(path, owned)
            supervision.ensure(world, self._machine, owned.id)
        return Created(owned.id)

    def read(
        self,
        context: Context,
        id: str,  # noqa: A002
        inputs: Mapping[str, Json],
        outputs: Mapping[str, Json],
    ) -> Observed | None:
        world = _world(context)
        owned = supervision.owner(world)
        if owned is None or owned.id != id:
            return None
        running = self._machine.supervisor(world)
        if running is not None:
            supervision.check(world, running, id)
        state = "stopped" if running is None else "running"
        return Observed({"environment": token.environment_of(context.urn), "state": state})

    def update(
        self,
        context: Context,
        id: str,  # noqa: A002
        inputs: Mapping[str, Json],
        outputs: Mapping[str, Json],
        new_inputs: Mapping[str, Json],
    ) -> Mapping[str, Json]:
        world = _world(context)
        with failures("start the supervisor"), locked(world):
            owned = supervision.owner(world)
            if owned is None or owned.id != id:
                raise ResourceFailed("the supervisor is gone", "run bedplate up --refresh")
            supervision.ensure(world, self._machine, id)
        return {}

    def delete(
        self,
        context: Context,
        id: str,  # noqa: A002
        inputs: Mapping[str, Json],
        outputs: Mapping[str, Json],
    ) -> None:
        world = _world(context)
        if not world.root.exists():
            return
        with failures("remove the supervisor"), locked(world):
            owned = supervision.owner(world)
            if owned is not None and owned.id == id:
                supervision.stop(world, self._machine, id, _STOP_TIMEOUT_S)
                _remove(world)
            if owned is None or owned.id == id:
                _tidy(world)

    def may_replace(
        self, context: Context, inputs: Mapping[str, Json], new_inputs: Mapping[str, Json]
    ) -> None:
        """Nothing stands in the way."""

    def find(self, context: Context) -> str | None:
        owned = supervision.owner(_world(context))
        return owned.id if owned is not None and owned.is_of(context.urn) else None


def _world(context: Context) -> LocalWorld:
    return context.workspace.world(token.environment_of(context.urn))


def _remove(world: LocalWorld) -> None:
    """The token goes last, so that a removal that was cut off is known as ours and can be run again."""
    shutil.rmtree(world.runtime, ignore_errors=True)
    remove_if_empty(world.runtime.parent)
    for path in world.supervisor.iterdir():
        if path.name != token.FILE:
            path.unlink()
    (world.supervisor / token.FILE).unlink()


def _tidy(world: LocalWorld) -> None:
    """What is empty goes, also when the one who removed the token was killed before this."""
    for folder in (world.supervisor, world.artifacts, world.logs, world.root / "services"):
        remove_if_empty(folder)
    if {path.name for path in world.root.iterdir()} == {"lock"}:
        (world.root / "lock").unlink()
        remove_if_empty(world.root)
