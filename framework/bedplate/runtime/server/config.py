"""The configuration of one server, read from JSON once and checked in full before anything starts."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_HEAVIEST = 1_000_000


class ConfigError(ValueError):
    """The configuration file is missing, unreadable or not what the server expects."""


@dataclass(frozen=True)
class ModelFile:
    name: str
    version: str
    path: str
    sha256: str


@dataclass(frozen=True)
class Golden:
    """A request that a model is sent before it serves, and the answer it must give; both are JSON texts.

    `source` names it; `tolerance` is how far numbers may be off, relative to the expected one.
    """

    model: str
    source: str
    request: str
    expect: str
    tolerance: float


@dataclass(frozen=True)
class Limits:
    body_bytes: int
    in_flight: int
    elements: int


LIMITS = Limits(body_bytes=64 * 2**20, in_flight=64, elements=2**24)
"""Where the configuration names none."""


@dataclass(frozen=True)
class Timeouts:
    ready_s: float
    drain_s: float
    stop_s: float


@dataclass(frozen=True)
class ApiKey:
    salt: str
    sha256: str


@dataclass(frozen=True)
class Arm:
    """A version that gets a share of a model's requests: its weight beside the sum of all."""

    name: str
    version: str
    weight: int


@dataclass(frozen=True)
class Route:
    """How the version of a model is chosen where a request names none.

    `unit` is the header that says whom a request is about, None for taking turns; `absent` is the arm of requests
    without it, None to refuse them. `salt` sets this choice apart from others that are made of the same units.
    """

    model: str
    arms: tuple[Arm, ...]
    unit: str | None = None
    absent: str | None = None
    salt: str | None = None


@dataclass(frozen=True)
class Tls:
    """Files in PEM: the certificate with those above it, and its private key."""

    certificate: str
    key: str


@dataclass(frozen=True)
class Config:
    service: str
    generation: str
    host: str
    port: int
    models: tuple[ModelFile, ...]
    workers: int
    threads: int
    memory_bytes: int | None
    slo_p95_s: float | None
    limits: Limits
    timeouts: Timeouts
    api_key: ApiKey | None
    tests: tuple[Golden, ...] = ()
    tls: Tls | None = None
    routes: tuple[Route, ...] = ()


class _Table:
    """A JSON object whose members are taken by name and type; what is left over is an error."""

    def __init__(self, value: object, at: str) -> None:
        if not isinstance(value, dict):
            raise ConfigError(f"{at or 'the configuration'}: expected an object")
        self._members: dict[str, object] = dict(value)
        self._at = at

    def _path(self, name: str) -> str:
        return f"{self._at}.{name}" if self._at else name

    def take(self, name: str) -> object:
        if name not in self._members:
            raise ConfigError(f"{self._path(name)}: missing")
        return self._members.pop(name)

    def text(self, name: str) -> str:
        value = self.take(name)
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{self._path(name)}: expected a non-empty string")
        return value

    def whole(self, name: str, least: int) -> int:
        value = self.take(name)
        if type(value) is not int or value < least:
            raise ConfigError(f"{self._path(name)}: expected a whole number of at least {least}")
        return value

    def seconds(self, name: str) -> float:
        value = self.take(name)
        if type(value) not in (int, float) or not 0 < value < float("inf"):  # type: ignore[operator]
            raise ConfigError(f"{self._path(name)}: expected a positive number of seconds")
        return float(value)  # type: ignore[arg-type]

    def share(self, name: str) -> float:
        value = self.take(name)
        if type(value) not in (int, float) or not 0 <= value <= 1:  # type: ignore[operator]
            raise ConfigError(f"{self._path(name)}: expected a number from 0 to 1")
        return float(value)  # type: ignore[arg-type]

    def list(self, name: str) -> Sequence[object]:
        value = self.take(name)
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise ConfigError(f"{self._path(name)}: expected a list")
        return value

    def table(self, name: str) -> _Table:
        return _Table(self.take(name), self._path(name))

    def optional(self, name: str, read: Callable[[str], T]) -> T | None:
        if self._members.get(name) is None:
            self._members.pop(name, None)
            return None
        return read(name)

    def close(self) -> None:
        if self._members:
            raise ConfigError(f"{self._path(sorted(self._members)[0])}: unknown member")


def load(path: Path) -> Config:
    """Read and check a configuration file; raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8") from error
    return parse(text)


def load_variable(name: str) -> Config:
    """Read and check the configuration that an environment variable holds; raises ConfigError."""
    text = os.environ.get(name)
    if text is None:
        raise ConfigError(f"the environment variable {name} is not set")
    return parse(text)


def parse(text: str) -> Config:
    """Check the text of a configuration; raises ConfigError."""
    try:
        tree: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not JSON: {error}") from error
    top = _Table(tree, "")
    config = Config(
        service=top.text("service"),
        generation=top.text("generation"),
        host=top.text("host"),
        port=_port(top),
        models=_models(top.take("models")),
        workers=top.whole("workers", 1),
        threads=top.whole("threads", 1),
        memory_bytes=top.optional("memory_bytes", lambda name: top.whole(name, 1)),
        slo_p95_s=top.optional("slo_p95_s", top.seconds),
        limits=top.optional("limits", lambda name: _limits(top.table(name))) or LIMITS,
        timeouts=_timeouts(top.table("timeouts")),
        api_key=top.optional("auth", lambda name: _api_key(top.table(name))),
        tls=top.optional("tls", lambda name: _tls(top.table(name))),
        tests=top.optional("tests", lambda name: _tests(top.take(name))) or (),
    )
    routes = top.optional("routes", lambda name: parse_routes(top.take(name), config.models)) or ()
    top.close()
    return replace(config, routes=routes)


def _port(top: _Table) -> int:
    port = top.whole("port", 1)
    if port > 65535:
        raise ConfigError("port: expected at most 65535")
    return port


def _models(value: object) -> tuple[ModelFile, ...]:
    if not isinstance(value, list) or not value:
        raise ConfigError("models: expected a list of at least one model")
    models = tuple(_model(_Table(entry, f"models[{index}]")) for index, entry in enumerate(value))
    known = {(model.name, model.version) for model in models}
    if len(known) != len(models):
        raise ConfigError("models: a model and version are listed twice")
    return models


def _tests(value: object) -> tuple[Golden, ...]:
    if not isinstance(value, list):
        raise ConfigError("tests: expected a list")
    return tuple(_test(_Table(entry, f"tests[{index}]")) for index, entry in enumerate(value))


def _test(table: _Table) -> Golden:
    test = Golden(
        table.text("model"),
        table.text("source"),
        table.text("request"),
        table.text("expect"),
        table.share("tolerance"),
    )
    table.close()
    return test


def _model(table: _Table) -> ModelFile:
    model = ModelFile(table.text("name"), table.text("version"), table.text("path"), table.text("sha256"))
    table.close()
    return model


def _limits(table: _Table) -> Limits:
    limits = Limits(table.whole("body_bytes", 1), table.whole("in_flight", 1), table.whole("elements", 1))
    table.close()
    return limits


def _timeouts(table: _Table) -> Timeouts:
    timeouts = Timeouts(table.seconds("ready_s"), table.seconds("drain_s"), table.seconds("stop_s"))
    table.close()
    return timeouts


def parse_routes(value: object, models: Sequence[ModelFile]) -> tuple[Route, ...]:
    """Check routes, each of whose versions must be one of `models`; raises ConfigError."""
    if not isinstance(value, list):
        raise ConfigError("routes: expected a list")
    known = {(model.name, model.version) for model in models}
    routes = tuple(_route(_Table(entry, f"routes[{index}]"), known) for index, entry in enumerate(value))
    if len({route.model for route in routes}) != len(routes):
        raise ConfigError("routes: a model is listed twice")
    return routes


def _route(table: _Table, known: Container[tuple[str, str]]) -> Route:
    route = Route(
        table.text("model"),
        tuple(_arm(_Table(entry, f"arms[{index}]")) for index, entry in enumerate(table.list("arms"))),
        table.optional("unit", lambda name: table.text(name).lower()),
        table.optional("absent", table.text),
        table.optional("salt", table.text),
    )
    table.close()
    names = [arm.name for arm in route.arms]
    if len(set(names)) != len(names) or not sum(arm.weight for arm in route.arms):
        raise ConfigError(f"routes: the arms of {route.model} need names of their own, and a weight above 0")
    if route.absent is not None and route.absent not in names:
        raise ConfigError(f"routes: {route.model} has no arm {route.absent}")
    for arm in route.arms:
        if (route.model, arm.version) not in known:
            raise ConfigError(f"routes: there is no version {arm.version} of {route.model}")
    return route


def _arm(table: _Table) -> Arm:
    arm = Arm(table.text("name"), table.text("version"), table.whole("weight", 0))
    table.close()
    if arm.weight > _HEAVIEST or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", arm.name):
        raise ConfigError(f"routes: {arm.name!r} with the weight {arm.weight} is no arm")
    return arm


def _tls(table: _Table) -> Tls:
    tls = Tls(table.text("certificate"), table.text("key"))
    table.close()
    return tls


def _api_key(table: _Table) -> ApiKey | None:
    key: Mapping[str, str] | None = table.optional("api_key", lambda name: _salted(table.table(name)))
    file = table.optional("api_key_file", table.text)
    table.close()
    if key and file:
        raise ConfigError("auth: api_key and api_key_file exclude each other")
    if file is not None:
        return _of_file(Path(file))
    return ApiKey(**key) if key else None


def _of_file(path: Path) -> ApiKey:
    """The key that a mounted secret holds, known from here on by a salted digest alone."""
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"auth.api_key_file: {path}: {error.strerror}") from error
    if not key:
        raise ConfigError(f"auth.api_key_file: {path} is empty")
    salt = secrets.token_bytes(16)
    return ApiKey(salt.hex(), hashlib.sha256(salt + key).hexdigest())


def _salted(table: _Table) -> Mapping[str, str]:
    pair = {name: table.text(name) for name in ("salt", "sha256")}
    table.close()
    try:
        if len(bytes.fromhex(pair["sha256"])) != 32:
            raise ConfigError("auth.api_key.sha256: expected 64 hexadecimal digits")
        bytes.fromhex(pair["salt"])
    except ValueError as error:
        raise ConfigError("auth.api_key: expected hexadecimal digits") from error
    return pair
