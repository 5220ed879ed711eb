"""A service's inputs, and the configuration file of its server made of them.

Files of a service: token.json (whose it is, and its port), server.json (what the supervised server starts
from), next.json (what a running server is just going over to), and its certificate (see certificates).
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from bedplate.engine.provider.kind import ResourceFailed
from bedplate.engine.world import typed
from bedplate.engine.world.files import read_json
from bedplate.engine.world.machine import Model
from bedplate.engine.world.ports import HOST
from bedplate.engine.world.store import stored
from bedplate.engine.world.token import FILE
from bedplate.graph import Json
from bedplate.workspace import LocalWorld

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_ADDRESS = re.compile(r"[a-z][a-z0-9_.-]{0,127}")
_ROLL_S = 300
_BODY_BYTES, _IN_FLIGHT, _ELEMENTS = 64 * 2**20, 64, 2**24


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds until a server must be ready, have drained, have stopped, have answered a request."""

    ready_s: int
    drain_s: int
    stop_s: int
    request_s: float | None = None


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret by name, where to read its value, and a keyed fingerprint of it."""

    secret: str
    source: Mapping[str, str]
    fingerprint: str

    def text(self) -> str:
        """Reads it from this process's environment."""
        variable = self.source.get("env", "")
        value = os.environ.get(variable, "")
        if not value:
            raise ResourceFailed(
                f"the secret {self.secret} is not set",
                f"set the environment variable {variable} and run again",
            )
        return value

    def header(self) -> str:
        """Its value, which a client shall be able to send."""
        value = self.text()
        if not (value.isascii() and value.isprintable()):
            raise ResourceFailed(
                f"the secret {self.secret} has characters that no HTTP header can carry",
                "use printable ASCII characters only",
            )
        return value


@dataclass(frozen=True, slots=True)
class Golden:
    """A request that a model is sent before it serves, and the answer that it must give; both are JSON texts."""

    model: str
    source: str
    request: str
    expect: str
    tolerance: float


@dataclass(frozen=True, slots=True)
class PredictionLog:
    """What is kept of requests. `to` is a place in a bucket, None for the folder of this machine."""

    sample: float
    retention_s: int
    backlog_bytes: int
    record_bytes: int
    to: str | None = None

    def config(self, folder: Path, address: str) -> dict[str, Json]:
        """As the server's configuration has it; what is on its way there waits in the folder too."""
        told = {**asdict(self), "to": self.to or str(folder)}
        return {**told, "spool": str(folder / ".spool" / address), "roll_s": _ROLL_S}


@dataclass(frozen=True, slots=True)
class Batching:
    """Requests that are run as one, as the server's configuration has it."""

    max_batch_size: int
    max_queue_delay_s: float


@dataclass(frozen=True, slots=True)
class ServiceInputs:
    """What a graph says of a service."""

    environment: str
    address: str
    name: str
    models: tuple[Model, ...]
    replicas: int
    threads: int
    timeouts: Timeouts
    memory_bytes: int | None = None
    port: int | None = None
    slo_p95_s: float | None = None
    api_key: Secret | None = None
    tls: Secret | None = None
    tests: tuple[Golden, ...] = ()
    prediction_log: PredictionLog | None = None
    batching: Batching | None = None
    grpc_port: int | None = None
    state: str = "running"

    @classmethod
    def parse(cls, inputs: Mapping[str, Json]) -> ServiceInputs:
        """Raises ResourceFailed with the first thing that is wrong."""
        try:
            found = typed.read(cls, inputs)
        except typed.Misfit as error:
            raise ResourceFailed(str(error)) from error
        for wrong in found._wrong():
            raise ResourceFailed(wrong)
        return found

    def _wrong(self) -> Iterator[str]:
        """What types do not say. Name and address become names of files."""
        for key, value, pattern in (("name", self.name, _NAME), ("address", self.address, _ADDRESS)):
            if not pattern.fullmatch(value):
                yield f"{key}: {value!r} cannot be one"
        if not self.models:
            yield "models: there must be one at least"
        counts: dict[str, float | None] = {"replicas": self.replicas, "threads": self.threads}
        for key, count in (counts | asdict(self.timeouts)).items():
            if count is not None and count <= 0:
                yield f"{key}: must be more than 0"

    def data(self) -> dict[str, Json]:
        """As the graph gave them."""
        found = asdict(self)
        if not self.tests:
            del found["tests"]
        found["timeouts"] = _said(asdict(self.timeouts))
        if self.prediction_log is not None:
            found["prediction_log"] = _said(asdict(self.prediction_log))
        return _said(found)


def _said(data: Mapping[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in data.items() if value is not None}


class ServiceFiles:
    """Where the files of one service lie."""

    def __init__(self, world: LocalWorld, name: str) -> None:
        self.folder = world.service(name)
        self.token = self.folder / FILE
        self.config = self.folder / "server.json"
        self.next = self.folder / "next.json"

    def configured(self) -> dict[str, Json] | None:
        """What the server starts from, None if there is no such file or it is damaged."""
        return _readable(self.config)

    def url(self, port: int) -> str:
        """Where the server that is configured answers."""
        scheme = "https" if (self.configured() or {}).get("tls") else "http"
        return f"{scheme}://{HOST}:{port}"


def _readable(path: Path) -> dict[str, Json] | None:
    try:
        return read_json(path)
    except ValueError:
        return None


def render(
    inputs: ServiceInputs,
    world: LocalWorld,
    port: int,
    auth: Mapping[str, Json] | None,
    certificate: Path | None,
) -> dict[str, Json]:
    """The configuration of a server, of a new generation."""
    models: list[Json] = [
        {**asdict(model), "path": str(stored(world, model.sha256))} for model in inputs.models
    ]
    config: dict[str, Json] = {
        "service": inputs.address,
        "generation": secrets.token_hex(8),
        "host": HOST,
        "port": port,
        "models": models,
        "workers": inputs.replicas,
        "threads": inputs.threads,
        "limits": {"body_bytes": _BODY_BYTES, "in_flight": _IN_FLIGHT, "elements": _ELEMENTS},
        "timeouts": _said(asdict(inputs.timeouts)),
    }
    if inputs.memory_bytes is not None:
        config["memory_bytes"] = inputs.memory_bytes
    if inputs.slo_p95_s is not None:
        config["slo_p95_s"] = inputs.slo_p95_s
    if inputs.tests:
        config["tests"] = [asdict(test) for test in inputs.tests]
    if inputs.prediction_log is not None:
        config["prediction_log"] = inputs.prediction_log.config(world.predictions, inputs.address)
    if inputs.batching is not None:
        config["batching"] = asdict(inputs.batching)
    if inputs.grpc_port is not None:
        config["grpc_port"] = inputs.grpc_port
    if auth is not None:
        config["auth"] = dict(auth)
    if certificate is not None:
        config["tls"] = {"certificate": str(certificate), "key": str(certificate)}
    return config


def same(one: Mapping[str, Json] | None, other: Mapping[str, Json]) -> bool:
    """Whether two configurations mean the same server; each has a generation of its own."""
    return one is not None and {**one, "generation": ""} == {**other, "generation": ""}


def verifier(value: str) -> dict[str, Json]:
    """What a server needs to recognise a key without knowing it."""
    salt = secrets.token_bytes(16)
    digest = hashlib.sha256(salt + value.encode()).hexdigest()
    return {"api_key": {"salt": salt.hex(), "sha256": digest}}


def recognises(auth: Json | None, value: str) -> bool:
    """Whether a verifier was made of this value."""
    match auth:
        case {"api_key": {"salt": str(salt), "sha256": str(digest)}}:
            try:
                return hashlib.sha256(bytes.fromhex(salt) + value.encode()).hexdigest() == digest
            except ValueError:
                return False
    return False
