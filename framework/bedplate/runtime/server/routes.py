"""How the version of a model is chosen where a request names none: as the configuration says it."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

from bedplate.runtime.server.config_table import ConfigError, Table

_HEAVIEST = 1_000_000


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


def parse_routes(value: object, known: Container[tuple[str, str]]) -> tuple[Route, ...]:
    """Check routes, each of whose models and versions must be `known`; raises ConfigError."""
    if not isinstance(value, list):
        raise ConfigError("routes: expected a list")
    routes = tuple(_route(Table(entry, f"routes[{index}]"), known) for index, entry in enumerate(value))
    if len({route.model for route in routes}) != len(routes):
        raise ConfigError("routes: a model is listed twice")
    return routes


def _route(table: Table, known: Container[tuple[str, str]]) -> Route:
    route = Route(
        table.text("model"),
        tuple(_arm(Table(entry, f"arms[{index}]")) for index, entry in enumerate(table.list("arms"))),
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


def _arm(table: Table) -> Arm:
    arm = Arm(table.text("name"), table.text("version"), table.whole("weight", 0))
    table.close()
    if arm.weight > _HEAVIEST or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", arm.name):
        raise ConfigError(f"routes: {arm.name!r} with the weight {arm.weight} is no arm")
    return arm
