"""The configuration of one server, read from JSON once and checked in full before anything starts."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bedplate.runtime.server import cores
from bedplate.runtime.server.config_table import ConfigError, Table
from bedplate.runtime.server.routes import Route, parse_routes


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
    """`request_s`: from a request that is there as a whole to its answer."""

    ready_s: float
    drain_s: float
    stop_s: float
    request_s: float = 30.0


@dataclass(frozen=True)
class Batching:
    """How many rows are run as one at the most, and how long a request may wait for others."""

    max_batch_size: int
    max_queue_delay_s: float


@dataclass(frozen=True)
class ApiKey:
    salt: str
    sha256: str


@dataclass(frozen=True)
class Tls:
    """Files in PEM: the certificate with those above it, and its private key."""

    certificate: str
    key: str


@dataclass(frozen=True)
class PredictionLog:
    """`spool` is a folder of this machine, `to` another one or s3://BUCKET/PREFIX; see predictions."""

    sample: float
    spool: str
    to: str
    retention_s: int
    backlog_bytes: int
    record_bytes: int
    roll_s: int


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
    prediction_log: PredictionLog | None = None
    batching: Batching | None = None
    grpc_port: int | None = None

    @property
    def known(self) -> frozenset[tuple[str, str]]:
        """The models and versions."""
        return frozenset((model.name, model.version) for model in self.models)


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
    top = Table(tree, "")
    workers, threads = top.whole("workers", 1), top.optional("threads", lambda name: top.whole(name, 1))
    config = Config(
        service=top.text("service"),
        generation=top.text("generation"),
        host=top.text("host"),
        port=_port(top, "port"),
        grpc_port=top.optional("grpc_port", lambda name: _port(top, name)),
        models=_models(top.take("models")),
        workers=workers,
        threads=threads or max(1, cores.available() // workers),
        memory_bytes=top.optional("memory_bytes", lambda name: top.whole(name, 1)),
        slo_p95_s=top.optional("slo_p95_s", top.seconds),
        limits=top.optional("limits", lambda name: _limits(top.table(name))) or LIMITS,
        timeouts=_timeouts(top.table("timeouts")),
        api_key=top.optional("auth", lambda name: _api_key(top.table(name))),
        tls=top.optional("tls", lambda name: _tls(top.table(name))),
        tests=top.optional("tests", lambda name: _tests(top.take(name))) or (),
        prediction_log=top.optional("prediction_log", lambda name: _prediction_log(top.table(name))),
        batching=top.optional("batching", lambda name: _batching(top.table(name))),
    )
    if config.grpc_port is not None and importlib.util.find_spec("grpc") is None:
        raise ConfigError("grpc_port: needs grpcio: pip install 'bedplate[grpc]'")
    routes = top.optional("routes", lambda name: parse_routes(top.take(name), config.known)) or ()
    top.close()
    return replace(config, routes=routes)


def _port(top: Table, name: str) -> int:
    port = top.whole(name, 1)
    if port > 65535:
        raise ConfigError(f"{name}: expected at most 65535")
    return port


def _models(value: object) -> tuple[ModelFile, ...]:
    if not isinstance(value, list) or not value:
        raise ConfigError("models: expected a list of at least one model")
    models = tuple(_model(Table(entry, f"models[{index}]")) for index, entry in enumerate(value))
    known = {(model.name, model.version) for model in models}
    if len(known) != len(models):
        raise ConfigError("models: a model and version are listed twice")
    return models


def _tests(value: object) -> tuple[Golden, ...]:
    if not isinstance(value, list):
        raise ConfigError("tests: expected a list")
    return tuple(_test(Table(entry, f"tests[{index}]")) for index, entry in enumerate(value))


def _test(table: Table) -> Golden:
    test = Golden(
        table.text("model"),
        table.text("source"),
        table.text("request"),
        table.text("expect"),
        table.ratio("tolerance"),
    )
    table.close()
    return test


def _model(table: Table) -> ModelFile:
    model = ModelFile(table.text("name"), table.text("version"), table.text("path"), table.text("sha256"))
    table.close()
    return model


def _limits(table: Table) -> Limits:
    limits = Limits(table.whole("body_bytes", 1), table.whole("in_flight", 1), table.whole("elements", 1))
    table.close()
    return limits


def _timeouts(table: Table) -> Timeouts:
    timeouts = Timeouts(table.seconds("ready_s"), table.seconds("drain_s"), table.seconds("stop_s"))
    request_s = table.optional("request_s", table.seconds)
    table.close()
    return timeouts if request_s is None else replace(timeouts, request_s=request_s)


def _batching(table: Table) -> Batching:
    found = Batching(table.whole("max_batch_size", 2), table.seconds("max_queue_delay_s"))
    table.close()
    return found


def _tls(table: Table) -> Tls:
    tls = Tls(table.text("certificate"), table.text("key"))
    table.close()
    return tls


def _prediction_log(table: Table) -> PredictionLog:
    found = PredictionLog(
        sample=table.share("sample"),
        spool=table.text("spool"),
        to=table.text("to"),
        retention_s=table.whole("retention_s", 1),
        backlog_bytes=table.whole("backlog_bytes", 2**20),
        record_bytes=table.whole("record_bytes", 0),
        roll_s=table.whole("roll_s", 1),
    )
    table.close()
    if not found.spool.startswith("/"):
        raise ConfigError("prediction_log.spool: expected an absolute path")
    if not found.to.startswith(("/", "s3://")):
        raise ConfigError("prediction_log.to: expected an absolute path, or s3://BUCKET/PREFIX")
    if 3600 % found.roll_s:
        raise ConfigError("prediction_log.roll_s: expected seconds that divide an hour")
    return found


def _api_key(table: Table) -> ApiKey | None:
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


def _salted(table: Table) -> Mapping[str, str]:
    pair = {name: table.text(name) for name in ("salt", "sha256")}
    table.close()
    try:
        if len(bytes.fromhex(pair["sha256"])) != 32:
            raise ConfigError("auth.api_key.sha256: expected 64 hexadecimal digits")
        bytes.fromhex(pair["salt"])
    except ValueError as error:
        raise ConfigError("auth.api_key: expected hexadecimal digits") from error
    return pair
