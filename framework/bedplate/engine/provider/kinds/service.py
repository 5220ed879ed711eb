"""`bedplate:local:Service`: a model server, supervised on this machine.

Creating and updating are one way: have what the inputs say served, from whatever is there, so both can be
cut off anywhere and run again. A server that works is changed in place, beside itself; a change that fails
leaves it as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bedplate.engine.provider.kind import Context, Created, Observed, Property, ResourceFailed
from bedplate.engine.world import health, ports, removal, supervision, token
from bedplate.engine.world.files import failures, locked
from bedplate.engine.world.machine import Machine
from bedplate.engine.world.server import ServiceFiles, ServiceInputs
from bedplate.engine.world.serving import Attempt, observed, outputs_of, port_in_use, ports_of_others
from bedplate.engine.world.token import Token
from bedplate.graph import Json
from bedplate.local_ports import FIRST, LAST
from bedplate.workspace import LocalWorld

_MODEL: Final = {
    "type": "object",
    "properties": {key: {"type": "string"} for key in ("name", "version", "sha256")},
    "required": ["name", "version", "sha256"],
}
_TEST: Final = {
    "type": "object",
    "properties": {
        **{key: {"type": "string"} for key in ("model", "source", "request", "expect")},
        "tolerance": {"type": "number"},
    },
    "required": ["model", "source", "request", "expect", "tolerance"],
}
_PREDICTION_LOG: Final = {
    "type": "object",
    "properties": {
        "sample": {"type": "number"},
        "to": {"type": "string"},
        **{key: {"type": "integer"} for key in ("retention_s", "backlog_bytes", "record_bytes")},
    },
    "required": ["sample", "retention_s", "backlog_bytes", "record_bytes"],
}
_BATCHING: Final = {
    "type": "object",
    "properties": {"max_batch_size": {"type": "integer"}, "max_queue_delay_s": {"type": "number"}},
    "required": ["max_batch_size", "max_queue_delay_s"],
}
_TIMEOUTS: Final = {
    "type": "object",
    "properties": {
        **{key: {"type": "integer"} for key in ("ready_s", "drain_s", "stop_s")},
        "request_s": {"type": "number"},
    },
    "required": ["ready_s", "drain_s", "stop_s"],
}


class Service:
    """One server process with its workers, on one port of 127.0.0.1."""

    TOKEN: Final = "bedplate:local:Service"  # noqa: S105
    SUMMARY: Final = "A model server that answers the Open Inference Protocol, supervised on this machine."
    PROPERTIES: Final[Mapping[str, Property]] = {
        "environment": Property({"type": "string"}, replaces=True, words="environment"),
        "address": Property({"type": "string"}, replaces=True, words="address"),
        "name": Property({"type": "string"}, replaces=True, words="name"),
        "models": Property(
            {"type": "array", "items": _MODEL},
            words="model",
            because="another model, or its file's content changed",
        ),
        "replicas": Property({"type": "integer"}, words="replicas"),
        "threads": Property({"type": "integer"}, words="threads"),
        "memory_bytes": Property({"type": "integer"}, required=False, words="memory limit"),
        # A running server cannot change its port, so a changed one is a new server.
        "port": Property({"type": "integer"}, required=False, replaces=True, words="port"),
        "grpc_port": Property({"type": "integer"}, required=False, words="port for gRPC"),
        "slo_p95_s": Property({"type": "number"}, required=False, words="latency objective"),
        "api_key": Property(
            {"type": "object"}, required=False, words="API key", because="the secret or its value changed"
        ),
        "tls": Property(
            {"type": "object"}, required=False, words="certificate", because="the secret or its value changed"
        ),
        "tests": Property({"type": "array", "items": _TEST}, required=False, words="tests"),
        "prediction_log": Property(_PREDICTION_LOG, required=False, words="prediction log"),
        "batching": Property(_BATCHING, required=False, words="batching"),
        "timeouts": Property(_TIMEOUTS, words="timeouts"),
        "state": Property({"type": "string"}, words="state", because="it was found so in the world"),
    }
    OUTPUTS: Final[Mapping[str, Property]] = {
        "url": Property({"type": "string"}),
        "port": Property({"type": "integer"}),
    }
    DELETE_FIRST: Final = True

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def create(self, context: Context, inputs: Mapping[str, Json]) -> Created:
        wanted = ServiceInputs.parse(inputs)
        world = context.workspace.world(wanted.environment)
        with failures(f"create {wanted.address}"):
            owned = self._claim(context, world, wanted)
            self._attempt(context, world, owned, wanted).serve()
        return Created(owned.id, outputs_of(world, owned))

    def read(
        self,
        context: Context,
        id: str,  # noqa: A002
        inputs: Mapping[str, Json],
        outputs: Mapping[str, Json],
    ) -> Observed | None:
        world = _world(context)
        owned = _own(world, id)
        if owned is None:
            return None
        # What was applied last, which the engine has not heard of if it was killed just then.
        applied = owned.details.get("inputs") or inputs
        if not isinstance(applied, Mapping) or not applied:
            return _cut_off(world, owned)
        seen = health.settled(self._machine, world, owned.name)
        return Observed({**applied, **observed(world, owned, seen)}, outputs_of(world, owned))

    def update(
        self,
        context: Context,
        id: str,  # noqa: A002
        inputs: Mapping[str, Json],
        outputs: Mapping[str, Json],
        new_inputs: Mapping[str, Json],
    ) -> Mapping[str, Json]:
        wanted = ServiceInputs.parse(new_inputs)
        world = _world(context)
        owned = _own(world, id)
        if owned is None:
            raise ResourceFailed(f"{wanted.address} is gone", "run bedplate up --refresh")
        with failures(f"update {wanted.address}"):
            if owned.details.get("port") == token.NO_PORT:
                owned = self._claim(context, world, wanted)
            self._attempt(context, world, owned, wanted).serve()
        return outputs_of(world, owned)

    def delete(
        self,
        context: Context,
        id: str,  # noqa: A002
        inputs: Mapping[str, Json],
        outputs: Mapping[str, Json],
    ) -> None:
        world = _world(context)
        owned = _own(world, id)
        if owned is not None:
            with failures(f"remove {owned.name}"):
                removal.remove_service(self._machine, world, owned)

    def may_replace(
        self, context: Context, inputs: Mapping[str, Json], new_inputs: Mapping[str, Json]
    ) -> None:
        """A port that somebody else has would leave nothing that serves."""
        match new_inputs.get("port"):
            case int(port) if port != inputs.get("port"):
                if not self._is_ours(_world(context), str(inputs["name"]), port):
                    self._refuse_taken(port, "port")

    def find(self, context: Context) -> str | None:
        services = (_world(context).root / "services").glob(f"*/{token.FILE}")
        found = (token.load(path) for path in sorted(services))
        return next((owned.id for owned in found if owned is not None and owned.is_of(context.urn)), None)

    def _attempt(self, context: Context, world: LocalWorld, owned: Token, wanted: ServiceInputs) -> Attempt:
        def progress(line: str) -> None:
            context.log(f"{wanted.address}: {line}")

        return Attempt(self._machine, world, owned, wanted, progress, context.cancelled.is_set)

    def _claim(self, context: Context, world: LocalWorld, wanted: ServiceInputs) -> Token:
        """This service's token, with a port that nobody else has."""
        with locked(world):
            supervision.required(world)
            files = ServiceFiles(world, wanted.name)
            owned = token.claim(files.token, context.urn) or token.mint(context.urn, wanted.name)
            port = self._port(context, world, owned, wanted)
            details: dict[str, Json] = {
                "address": wanted.address,
                "stop_s": wanted.timeouts.stop_s,
                "port": port,
            }
            owned = owned.having(**details)
            token.save(files.token, owned)
        return owned

    def _port(self, context: Context, world: LocalWorld, owned: Token, wanted: ServiceInputs) -> int:
        answering = self._machine.master(world, wanted.name)
        if answering is None and wanted.grpc_port is not None:
            self._refuse_taken(wanted.grpc_port, "grpc_port")
        if answering is not None and wanted.port in (None, answering.port):
            return answering.port  # a creation that was cut off got that far
        others = list(ports_of_others(world, owned.name))
        if wanted.port is not None:
            return self._wanted_port(world, wanted.port, others)
        taken = {held for _, held in others}
        preference = owned.details.get("port")
        if not isinstance(preference, int) or preference == token.NO_PORT:
            preference = ports.preferred(context.workspace.root, wanted.environment, wanted.name)
        port = ports.choose(preference, taken, self._machine.port_is_free)
        if port is None:
            raise ResourceFailed(f"no port from {FIRST} to {LAST} is free")
        return port

    def _wanted_port(self, world: LocalWorld, port: int, others: Sequence[tuple[Token, int]]) -> int:
        holder = next((other for other, held in others if held == port), None)
        if holder is not None:
            removal.evict(self._machine, world, holder)
        else:
            self._refuse_taken(port, "port")
        return port

    def _is_ours(self, world: LocalWorld, name: str, port: int) -> bool:
        """Whether a port is that of a service of this environment, this one included."""
        master = self._machine.master(world, name)
        others = ports_of_others(world, name)
        return port in ({held for _, held in others} | {master.port if master else None})

    def _refuse_taken(self, port: int, field: str) -> None:
        if not self._machine.port_is_free(port):
            raise port_in_use(port, field)


def _cut_off(world: LocalWorld, owned: Token) -> Observed:
    """A service whose creation was cut off: enough for an update to complete it, or for its removal."""
    environment = token.environment_of(owned.urn)
    known: dict[str, Json] = {"environment": environment, "name": owned.name, "state": "stopped"}
    return Observed({**known, "address": owned.details["address"]}, outputs_of(world, owned))


def _world(context: Context) -> LocalWorld:
    return context.workspace.world(token.environment_of(context.urn))


def _own(world: LocalWorld, id: str) -> Token | None:  # noqa: A002
    owned = token.load(ServiceFiles(world, token.name_of(id)).token)
    return owned if owned is not None and owned.id == id else None
