"""The configuration of one server, read from JSON once and checked in full before anything starts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class ConfigError(ValueError):
    """The configuration file is missing, unreadable or not what the server expects."""


@dataclass(frozen=True)
class ModelFile:
    name: str
    version: str
    path: str
    sha256: str


@dataclass(frozen=True)
class Limits:
    body_bytes: int
    in_flight: int
    elements: int


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
    prediction_log: PredictionLog | None


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
        if type(value) not in (int, float) or not 0 < value <= 1:  # type: ignore[operator]
            raise ConfigError(f"{self._path(name)}: expected a share over 0, at most 1")
        return float(value)  # type: ignore[arg-type]

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
        limits=_limits(top.table("limits")),
        timeouts=_timeouts(top.table("timeouts")),
        api_key=top.optional("auth", lambda name: _api_key(top.table(name))),
        prediction_log=top.optional("prediction_log", lambda name: _prediction_log(top.table(name))),
    )
    top.close()
    return config


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


def _prediction_log(table: _Table) -> PredictionLog:
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


def _api_key(table: _Table) -> ApiKey | None:
    key: Mapping[str, str] | None = table.optional("api_key", lambda name: _salted(table.table(name)))
    table.close()
    return ApiKey(**key) if key else None


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
