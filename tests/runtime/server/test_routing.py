"""Choosing a version: exact shares, the same arm for the same unit everywhere, and swaps between two requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.runtime.server.refused import Refused
from bedplate.runtime.server.routes import Arm, Route
from bedplate.runtime.server.routing import ARM, Router, arm_of
from tests.runtime.server.served import Server, entry, row
from tests.runtime.server.served_models import Written

Serve = Callable[..., Server]
PINNED = "10010101"


def route(
    *weights: int, unit: str | None = None, absent: str | None = None, salt: str | None = None
) -> Route:
    arms = tuple(Arm(f"a{index}", str(index), weight) for index, weight in enumerate(weights))
    return Route("m", arms, unit, absent, salt)


def chosen(router: Router, headers: dict[bytes, bytes] | None = None) -> str:
    arm = router.choose("m", headers or {})
    assert arm is not None
    return arm.name


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=5).filter(any), st.integers(1, 500))
def test_of_any_requests_in_a_row_each_arm_gets_its_share(weights: list[int], count: int) -> None:
    router = Router([route(*weights)])
    found = Counter(chosen(router) for _ in range(count))
    for index, weight in enumerate(weights):
        share = count * weight / sum(weights)
        assert abs(found[f"a{index}"] - share) <= max(1, len(weights) - 1), (weights, found)


def test_five_percent_are_five_in_every_hundred() -> None:
    router = Router([route(5, 95)])
    for _ in range(50):
        assert Counter(chosen(router) for _ in range(100)) == {"a0": 5, "a1": 95}


def test_a_unit_s_arm_is_the_same_everywhere_and_always() -> None:
    """Pinned: what another version of the server answers to a unit must be the same."""
    units = [b"ada", b"bob", b"cyd", b"dan", "ère".encode(), b"7", b"8", b"9"]
    halves = route(1, 1, unit="x-user", salt="s")
    assert "".join(arm_of(halves, unit).version for unit in units) == PINNED
    salted = route(1, 1, unit="x-user", salt="t")
    assert "".join(arm_of(salted, unit).version for unit in units) != PINNED


def test_units_are_spread_by_the_weights() -> None:
    found = Counter(arm_of(route(10, 30, 60), str(n).encode()).name for n in range(20_000))
    for name, share in {"a0": 0.1, "a1": 0.3, "a2": 0.6}.items():
        assert abs(found[name] / 20_000 - share) < 0.012  # more than three standard deviations


@given(st.binary(min_size=1, max_size=30), st.integers(0, 100), st.integers(0, 100))
def test_an_arm_that_stands_first_and_grows_keeps_its_units(unit: bytes, one: int, other: int) -> None:
    small, large = sorted((one, other))
    if arm_of(route(small, 100 - small), unit).name == "a0":
        assert arm_of(route(large, 100 - large), unit).name == "a0"


def test_without_its_unit_a_request_is_refused_or_gets_the_arm_that_was_said() -> None:
    with pytest.raises(Refused, match="needs the header x-user"):
        chosen(Router([route(1, 1, unit="x-user")]))
    assert chosen(Router([route(1, 1, unit="x-user", absent="a1")])) == "a1"
    with pytest.raises(Refused, match="longer than"):
        chosen(Router([route(1, 1, unit="x-user")]), {b"x-user": b"u" * 257})


def test_an_arm_can_be_asked_for_by_its_name() -> None:
    router = Router([route(0, 1)])
    assert chosen(router, {ARM: b"a0"}) == "a0"
    with pytest.raises(Refused, match="there is no arm 'b'; there are: a0, a1"):
        chosen(router, {ARM: b"b"})
    assert router.choose("other", {ARM: b"b"}) is None


def routed(*weights: int, **more: Any) -> list[dict[str, Any]]:
    arms = [
        {"name": name, "version": version, "weight": weight}
        for name, version, weight in zip(("canary", "stable"), ("2", "1"), weights, strict=True)
    ]
    return [{"model": "classifier", "arms": arms, **more}]


@pytest.fixture
def two_versions(serve: Serve, zoo: dict[str, Written]) -> Callable[..., Server]:
    entries = [entry("classifier", zoo["classifier"]), entry("classifier", zoo["classifier2"], "2")]
    return lambda **more: serve(models=entries, **more)


def answers(server: Server, count: int, **headers: str) -> list[tuple[str, str]]:
    found = []
    for _ in range(count):
        answer = server.client.post("/v2/models/classifier/infer", json={"inputs": [row()]}, headers=headers)
        assert answer.status_code == 200, answer.text
        found.append((answer.headers["x-bedplate-arm"], answer.json()["model_version"]))
    return found


def test_the_shares_are_those_of_requests_not_of_connections(two_versions: Callable[..., Server]) -> None:
    server = two_versions(routes=routed(5, 95)).started()
    assert Counter(answers(server, 200)) == {("canary", "2"): 10, ("stable", "1"): 190}
    # A request that names its version gets it, and no arm.
    named = server.client.post("/v2/models/classifier/versions/1/infer", json={"inputs": [row()]})
    assert (named.json()["model_version"], "x-bedplate-arm" in named.headers) == ("1", False)
    refused = server.client.post(
        "/v2/models/classifier/infer", json={"inputs": [row()]}, headers={"X-Bedplate-Arm": "none"}
    )
    assert (refused.status_code, "there are: canary, stable" in refused.json()["error"]) == (400, True)
    page = server.client.get("/metrics").text
    counted = 'bedplate_requests_total{arm="%s",code="200",model="classifier",outcome="ok",version="%s"} %s'
    assert counted % ("canary", "2", "10.0") in page
    assert counted % ("stable", "1", "190.0") in page


def test_all_workers_agree_on_a_unit(two_versions: Callable[..., Server]) -> None:
    server = two_versions(routes=routed(50, 50, unit="X-User", salt="s"), workers=2).started()
    for user in "abcdefgh":
        found = set()
        for _ in range(6):
            with httpx.Client() as fresh:  # a connection of its own, to whichever worker
                answer = fresh.post(
                    server.url + "/v2/models/classifier/infer",
                    json={"inputs": [row()]},
                    headers={"X-User": user},
                )
            found.add(answer.headers["x-bedplate-arm"])
        assert len(found) == 1
    unknown = server.client.post("/v2/models/classifier/infer", json={"inputs": [row()]})
    assert (unknown.status_code, "x-user" in unknown.json()["error"]) == (400, True)


def test_routes_change_between_two_requests_with_the_same_workers(
    two_versions: Callable[..., Server],
) -> None:
    server = two_versions(routes=routed(0, 1), workers=2).started()
    workers = server.workers()
    assert set(answers(server, 20)) == {("stable", "1")}
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(answers, server, 300)
        changed = server.change({**server.tree, "generation": "b2", "routes": routed(1, 0)})
        assert changed[-1]["ok"]
        assert set(answers(server, 20)) == {("canary", "2")}
        found = under_way.result()
    # Each connection is one worker's: it changes over once, and never back.
    assert found == sorted(found, reverse=True)
    assert server.workers() == workers
    assert server.status()["generation"] == "b2"


WRONG: list[Any] = [
    {"model": "classifier"},
    routed(0, 0),
    routed(1, -1),
    routed(1, 2_000_000),
    routed(1, 1, absent="nobody"),
    routed(1, 1, more=1),
    [*routed(1, 1), *routed(1, 1)],
    [{"model": "classifier", "arms": []}],
    [{"model": "classifier", "arms": [{"name": "a", "version": "9", "weight": 1}]}],
    [{"model": "nobody", "arms": [{"name": "a", "version": "1", "weight": 1}]}],
    [{"model": "classifier", "arms": [{"name": "a\r\nb", "version": "1", "weight": 1}]}],
]


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_routes_that_are_none_are_a_bad_configuration(
    two_versions: Callable[..., Server], wrong: Any
) -> None:
    server = two_versions(routes=wrong)
    assert server.start().wait(30) == 2
    assert server.events("bad configuration")
