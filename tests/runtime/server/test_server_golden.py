"""Golden tests: a model serves nobody before it has given the answers that are known of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.runtime.server.served import Server, entry, row, tensor, until
from tests.runtime.server.served_models import Written

Serve = Callable[..., Server]


def golden(*outputs: dict[str, Any], tolerance: float = 0.0, **more: Any) -> dict[str, Any]:
    return {
        "model": "classifier",
        "source": "tests/row.json",
        "request": json.dumps({"inputs": [row()]}),
        "expect": json.dumps({"outputs": list(outputs)}),
        "tolerance": tolerance,
        **more,
    }


MET: list[list[dict[str, Any]]] = [
    [golden({"name": "total", "data": [10]})],
    [golden({"name": "total", "data": [10.1]}, tolerance=0.02)],
    [golden({"name": "total", "shape": [1], "datatype": "FP32"}, {"name": "label", "data": [3]})],
    [golden({"name": "label", "data": [[3]]}), golden({"name": "label"})],
    [golden({"name": "total", "data": [0]}, model="somebody")],
]

UNMET = [
    ([golden({"name": "total", "data": [11]})], "output 'total' is 10.0 at 0, expected 11"),
    ([golden({"name": "total", "data": [10.3]}, tolerance=0.02)], "expected 10.3"),
    ([golden({"name": "label", "data": [True]})], "output 'label' is 3 at 0, expected true"),
    ([golden({"name": "total", "shape": [2]})], "has the shape [1], expected [2]"),
    ([golden({"name": "total", "datatype": "FP64"})], "has the datatype 'FP32', expected 'FP64'"),
    ([golden({"name": "total", "data": [10, 10]})], "has 1 elements, expected 2"),
    ([golden({"name": "nothing", "data": [1]})], "output 'nothing' is not in the answer"),
    (
        [golden({"name": "total"}, request=json.dumps({"inputs": [tensor("y", "FP32", [1], [1])]}))],
        "cannot be asked: unknown input 'y'",
    ),
]


def test_a_model_that_meets_its_tests_serves(serve: Serve) -> None:
    server = serve(tests=[test for tests in MET for test in tests]).started()
    assert server.infer("classifier", row()).json()["outputs"][0]["data"] == [10.0]


@pytest.mark.parametrize(("tests", "said"), UNMET, ids=[said for _, said in UNMET])
def test_one_that_does_not_is_named_with_the_difference(
    serve: Serve, tests: list[dict[str, Any]], said: str
) -> None:
    server = serve(tests=tests)
    server.start()
    reason = str(until(lambda: server.status().get("error")))
    assert "model classifier version 1: the test tests/row.json" in reason
    assert said in reason
    assert server.client.get("/v2/health/ready").status_code == 503


def test_a_new_version_that_answers_otherwise_never_serves(serve: Serve, zoo: dict[str, Written]) -> None:
    tests = [golden({"name": "total", "data": [10]})]
    server = serve(tests=tests).started()
    worse = {**server.tree, "generation": "b2", "models": [entry("classifier", zoo["classifier2"], "2")]}
    refused = server.change(worse)[-1]
    assert not refused["ok"]
    assert "is 1010.0 at 0, expected 10" in refused["error"]
    assert server.infer("classifier", row()).json()["model_version"] == "1"


def test_a_model_that_fails_is_named_and_the_others_serve(serve: Serve, zoo: dict[str, Written]) -> None:
    broken = {**entry("pair", zoo["pair"]), "sha256": "0" * 64}
    server = serve(models=[entry("classifier", zoo["classifier"]), broken])
    server.start()
    reason = str(until(lambda: server.status().get("error")))
    assert reason.startswith("model pair version 1: has SHA-256")
    assert "classifier" not in reason

    def answers() -> bool:
        return server.infer("classifier", row()).status_code == 200

    until(answers)
    assert server.client.get("/v2/health/ready").status_code == 503
    assert server.client.get("/v2/models/classifier/ready").json() == {"name": "classifier", "ready": True}
    assert server.client.get("/v2/models/pair/ready").status_code == 503
    failed = server.infer("pair", tensor("a", "INT64", [1, 2], [1, 2]))
    assert (failed.status_code, failed.json()["error"]) == (503, "the model is not ready")
    workers = server.workers()
    # It is tried again, by a worker that takes over only when it has its verdict.
    while set(server.workers()) & set(workers):
        assert answers()
    for _ in range(20):
        assert answers()


@pytest.mark.parametrize(
    "wrong",
    [
        {"tolerance": -1},
        {"tolerance": 2},
        {"tolerance": "0"},
        {"model": ""},
        {"expect": None},
        {"more": 1},
    ],
)
def test_a_test_that_is_none_is_a_bad_configuration(serve: Serve, wrong: dict[str, Any]) -> None:
    server = serve(tests=[{**golden({"name": "total"}), **wrong}])
    assert server.start().wait(30) == 2
