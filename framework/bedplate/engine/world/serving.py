"""Having a service's inputs served, from whatever is there: nothing, an orphan, a server well or unwell."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass

from bedplate.engine.provider.kind import NotHealthy, ResourceFailed
from bedplate.engine.world import certificates, health, removal, server, store, supervision, token
from bedplate.engine.world.files import locked, write_json
from bedplate.engine.world.health import Condition
from bedplate.engine.world.machine import Machine, Master
from bedplate.engine.world.server import ServiceFiles, ServiceInputs
from bedplate.engine.world.token import Token
from bedplate.graph import Json
from bedplate.workspace import LocalWorld

# What the engine reads as the property `state`; anything but running is drift, which an update heals.
_REPORTED: Mapping[health.State, str] = {"starting": "degraded"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to have `wanted` served under the name and the port of `owned`."""

    machine: Machine
    world: LocalWorld
    owned: Token
    wanted: ServiceInputs
    progress: Callable[[str], None]
    cancelled: Callable[[], bool]

    @property
    def files(self) -> ServiceFiles:
        return ServiceFiles(self.world, self.owned.name)

    def serve(self) -> None:
        """Raises ResourceFailed or NotHealthy; otherwise it is served, and the token remembers it."""
        config = self._config()
        with locked(self.world):
            supervision.ensure(self.world, self.machine, supervision.required(self.world).id)
        seen = health.settled(self.machine, self.world, self.owned.name)
        if seen.master is None:
            self._start(config)
        else:
            if not self._is_served(config):
                self._change(config)
            if not seen.supervised:
                self._supervise()
        with locked(self.world):
            # Before it is remembered as done: cut off in between, it is done again.
            store.collect_garbage(self.world)
            certificates.remove_others(self.files)
            self._remember()

    def _config(self) -> dict[str, Json]:
        """What the server shall be. Its proof of the API key stays the same as long as the key does."""
        for model in self.wanted.models:
            if not store.stored(self.world, model.sha256).is_file():
                raise ResourceFailed(
                    f"the model {model.name} ({model.sha256[:12]}) is not in the store of this machine",
                    "run bedplate up --refresh, which stores the models first",
                )
        if self.wanted.prediction_log is not None and importlib.util.find_spec("pyarrow") is None:
            raise ResourceFailed("a prediction log needs pyarrow", "pip install 'bedplate[log]'")
        if self.wanted.grpc_port is not None and importlib.util.find_spec("grpc") is None:
            raise ResourceFailed("a port for gRPC needs grpcio", "pip install 'bedplate[grpc]'")
        auth = None
        if self.wanted.api_key is not None:
            value = self.wanted.api_key.header()
            known = (self.files.configured() or {}).get("auth")
            auth = (
                known
                if isinstance(known, dict) and server.recognises(known, value)
                else server.verifier(value)
            )
        certificate = certificates.write(self.wanted.tls, self.files) if self.wanted.tls is not None else None
        return server.render(self.wanted, self.world, _port(self.owned), auth, certificate)

    def _is_served(self, config: Mapping[str, Json]) -> bool:
        """Whether the running server has this very configuration, and is or soon gets ready."""
        current = self.files.configured()
        master = self.machine.master(self.world, self.owned.name)
        if current is None or master is None or not server.same(current, config):
            return False
        if master.generation != current.get("generation"):
            return False
        return not self._reasons(master.generation, supervised=False)

    def _change(self, config: Mapping[str, Json]) -> None:
        """Has the running server go over; it verifies what is new beside what it serves."""
        timeouts, address = self.wanted.timeouts, self.wanted.address
        master = self.machine.master(self.world, self.owned.name)
        goes_on = f"it goes on with {_versions(master)} as before"
        before = goes_on if master and master.ready else "nor did it serve before"
        write_json(self.files.next, config)
        timeout_s = timeouts.ready_s + timeouts.drain_s + timeouts.stop_s
        refused = self.machine.change(self.world, self.owned.name, self.files.next, timeout_s, self.progress)
        if refused is not None:
            self.files.next.unlink(missing_ok=True)
            raise ResourceFailed(
                f"{address} was not changed; {before}: {refused}",
                f"see bedplate logs {address}",
            )
        self.files.next.replace(self.files.config)

    def _start(self, config: Mapping[str, Json]) -> None:
        """Starts a server where none answers."""
        self._stop()
        self._await_port()
        write_json(self.files.config, config)
        self.files.next.unlink(missing_ok=True)
        self._add()
        reasons = self._reasons(str(config["generation"]), supervised=True)
        if reasons:
            reasons = health.with_log(self.world, self.wanted.address, reasons)
            raise NotHealthy(self.owned.id, outputs_of(self.world, self.owned), reasons)

    def _supervise(self) -> None:
        """Starts a supervised server beside one that has no supervisor, and that serves until it is ready."""
        generation = str((self.files.configured() or {}).get("generation"))
        self._stop()
        self._add()
        reasons = self._reasons(generation, supervised=True)
        if reasons:
            raise ResourceFailed(
                f"{self.wanted.address} serves, but without a supervisor: {'; '.join(reasons)}",
                f"see bedplate logs {self.wanted.address}",
            )

    def _stop(self) -> None:
        removal.stop_program(self.machine, self.world, self.owned.name, self.wanted.timeouts.stop_s)

    def _add(self) -> None:
        with locked(self.world):
            supervision.write_config(self.world, supervision.required(self.world).id)
            self.machine.add_program(self.world, self.owned.name)

    def _reasons(self, generation: str, *, supervised: bool) -> tuple[str, ...]:
        awaited = health.Awaited(self.owned.name, generation, supervised, self.wanted.timeouts.ready_s)
        return health.reasons_not_ready(self.machine, self.world, awaited, self.progress, self.cancelled)

    def _await_port(self) -> None:
        """The workers of a server that was killed may hold its port a moment longer."""
        port = _port(self.owned)
        if self.machine.port_is_free(port):
            return
        self.machine.kill(self.world, self.owned.name)  # one that holds it and does not answer any more
        drain_s = self.wanted.timeouts.drain_s
        if not supervision.wait(self.machine, lambda: self.machine.port_is_free(port), drain_s):
            raise port_in_use(port)

    def _remember(self) -> None:
        details: dict[str, Json] = {
            "inputs": self.wanted.data(),
            "stop_s": self.wanted.timeouts.stop_s,
            "config": _digest(self.files),
        }
        token.save(self.files.token, self.owned.having(**details))
        supervision.write_config(self.world, supervision.required(self.world).id)


def observed(world: LocalWorld, owned: Token, seen: Condition) -> dict[str, Json]:
    """What may have drifted: whether it runs, and what the server that runs really serves.

    inconsistent: the files that a server would start from next are not those that were applied, or not those
    that are served.
    """
    files = ServiceFiles(world, owned.name)
    intact = _digest(files) == owned.details.get("config") and certificates.intact(files.configured())
    if seen.master is not None:
        intact = intact and (files.configured() or {}).get("generation") == seen.master.generation
    state = _REPORTED.get(seen.state, seen.state)
    found: dict[str, Json] = {"state": state if intact or state != "running" else "inconsistent"}
    if seen.master is not None:
        found["models"] = [asdict(model) for model in seen.master.models]
        found["replicas"] = seen.master.workers_wanted
    return found


def outputs_of(world: LocalWorld, owned: Token) -> dict[str, Json]:
    port = _port(owned)
    return {"url": ServiceFiles(world, owned.name).url(port), "port": port}


def ports_of_others(world: LocalWorld, name: str) -> Iterator[tuple[Token, int]]:
    """The other services of this environment with the ports they were given, whether they run or not."""
    for path in (world.root / "services").glob(f"*/{token.FILE}"):
        other = token.load(path)
        if other is not None and other.name != name:
            yield other, _port(other)


def port_in_use(port: int, field: str = "port") -> ResourceFailed:
    return ResourceFailed(
        f"port {port} is in use by another service or process",
        f"stop that, or set another `{field}`, then run again",
    )


def _port(owned: Token) -> int:
    match owned.details.get("port"):
        case int(port):
            return port
    raise ResourceFailed(
        f"the token of {owned.name} names no port", "remove the service, then run bedplate up"
    )


def _versions(master: Master | None) -> str:
    if master is None or not master.models:
        return "nothing"
    return ", ".join(f"{model.name} {model.version}" for model in master.models)


def _digest(files: ServiceFiles) -> str:
    return hashlib.sha256(files.config.read_bytes()).hexdigest() if files.config.exists() else ""
