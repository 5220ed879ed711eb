"""A service's inputs, and the configuration file of its server made of them.

Files of a service: token.json (whose it is, and its port), server.json (what the supervised server starts
from), next.json (what a running server is just going over to).
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bedplate.engine.provider.kind import ResourceFailed
from bedplate.engine.world.files import read_json
from bedplate.engine.world.machine import Model
from bedplate.engine.world.ports import HOST
from bedplate.engine.world.store import stored
from bedplate.engine.world.token import FILE
from bedplate.graph import Json
from bedplate.workspace import LocalWorld

NAME = r"^[a-z][a-z0-9_-]{0,62}$"
ADDRESS = r"^[a-z][a-z0-9_.-]{0,127}$"
_BODY_BYTES, _IN_FLIGHT, _ELEMENTS = 64 * 2**20, 64, 2**24


class _Input(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Timeouts(_Input):
    """Seconds until a server must be ready, have drained, have stopped."""

    ready_s: int = Field(gt=0)
    drain_s: int = Field(gt=0)
    stop_s: int = Field(gt=0)


class Secret(_Input):
    """A secret by name, where to read its value, and a keyed fingerprint of it."""

    secret: str
    source: Mapping[str, str]
    fingerprint: str

    def value(self) -> str:
        """Reads it from this process's environment."""
        variable = self.source.get("env", "")
        value = os.environ.get(variable, "")
        if not value:
            raise ResourceFailed(
                f"the secret {self.secret} is not set",
                f"set the environment variable {variable} and run again",
            )
        return value


class ServiceInputs(_Input):
    """What a graph says of a service."""

    environment: str
    address: Annotated[str, Field(pattern=ADDRESS)]
    name: Annotated[str, Field(pattern=NAME)]
    models: tuple[Model, ...] = Field(min_length=1)
    replicas: int = Field(gt=0)
    threads: int = Field(gt=0)
    memory_bytes: int | None = None
    port: int | None = None
    slo_p95_s: float | None = None
    api_key: Secret | None = None
    timeouts: Timeouts
    state: str = "running"

    @classmethod
    def parse(cls, inputs: Mapping[str, Json]) -> ServiceInputs:
        try:
            return cls.model_validate(inputs)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ResourceFailed(f"{where}: {first['msg']}") from error


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


def _readable(path: Path) -> dict[str, Json] | None:
    try:
        return read_json(path)
    except ValueError:
        return None


def render(
    inputs: ServiceInputs, world: LocalWorld, port: int, auth: Mapping[str, Json] | None
) -> dict[str, Json]:
    """The configuration of a server, of a new generation."""
    models: list[Json] = [
        {**model.model_dump(), "path": str(stored(world, model.sha256))} for model in inputs.models
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
        "timeouts": inputs.timeouts.model_dump(),
    }
    if inputs.memory_bytes is not None:
        config["memory_bytes"] = inputs.memory_bytes
    if inputs.slo_p95_s is not None:
        config["slo_p95_s"] = inputs.slo_p95_s
    if auth is not None:
        config["auth"] = dict(auth)
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
