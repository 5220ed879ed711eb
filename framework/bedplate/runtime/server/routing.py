"""Which version of a model answers a request that names none: by weights, exactly, or by whom it is about.

Without a unit the arms take turns by smooth weighted round robin, so that of any number of requests in a row each
arm gets its share to within one. With a unit (a header that says whom a request is about) the same unit gets the
same arm in every worker, at every time: its place between 0 and 1 is a hash of it, and the arms' weights cut that
stretch in their order. So an arm that stands first and grows takes units from the next, and gives none away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from bedplate.runtime.server.refused import refuse, shown
from bedplate.runtime.server.routes import Arm, Route

ARM = b"x-bedplate-arm"
_LONGEST_UNIT = 256
_RANGE = 2**64


class _Turns:
    """Smooth weighted round robin, in whole numbers: nothing adds up wrong over a billion requests."""

    def __init__(self, arms: tuple[Arm, ...]) -> None:
        self._arms = [arm for arm in arms if arm.weight]
        self._total = sum(arm.weight for arm in arms)
        self._due = [0] * len(self._arms)

    def take(self) -> Arm:
        due = self._due
        for index, arm in enumerate(self._arms):
            due[index] += arm.weight
        most = max(range(len(due)), key=due.__getitem__)
        due[most] -= self._total
        return self._arms[most]


class Router:
    """The routes of a configuration. `update` swaps all of them between two requests."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.update(routes)

    def update(self, routes: Iterable[Route]) -> None:
        self._routes = {route.model: (route, _Turns(route.arms)) for route in routes}

    def choose(self, model: str, headers: Mapping[bytes, bytes]) -> Arm | None:
        """The arm of a request, None for a model without a route. Raises Refused."""
        known = self._routes.get(model)
        if known is None:
            return None
        route, turns = known
        asked = headers.get(ARM)
        if asked is not None:
            return _named(route, asked)
        if route.unit is None:
            return turns.take()
        unit = headers.get(route.unit.encode())
        if not unit:
            if route.absent is None:
                refuse(
                    f"the model {shown(model)} needs the header {route.unit}, by which its version is chosen"
                )
            return next(arm for arm in route.arms if arm.name == route.absent)
        if len(unit) > _LONGEST_UNIT:
            refuse(f"the header {route.unit} is longer than {_LONGEST_UNIT} bytes")
        return arm_of(route, unit)


def arm_of(route: Route, unit: bytes) -> Arm:
    """The arm of a unit: by the salt, the unit and the weights alone."""
    digest = hashlib.blake2b(
        unit, digest_size=8, key=hashlib.sha256((route.salt or "").encode()).digest()
    ).digest()
    place = int.from_bytes(digest, "big") * sum(arm.weight for arm in route.arms)
    end = 0
    for arm in route.arms:
        end += arm.weight * _RANGE
        if place < end:
            return arm
    raise AssertionError("a place is below the sum of all weights")


def _named(route: Route, asked: bytes) -> Arm:
    name = asked.decode("latin-1")
    for arm in route.arms:
        if arm.name == name:
            return arm
    known = ", ".join(arm.name for arm in route.arms)
    return refuse(f"there is no arm {shown(name)}; there are: {known}")
