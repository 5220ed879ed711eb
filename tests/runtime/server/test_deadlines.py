"""Requests that are not answered in time: what they get, and what becomes of their runs."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Mapping, Sequence

import pytest

from bedplate.runtime.server import config, model
from bedplate.runtime.server.head import Form
from bedplate.runtime.server.model import Array, Model
from bedplate.runtime.server.runner import Runner, Work
from tests.runtime.server.served import Server, entry, post, read_answer, tensor, until
from tests.runtime.server.served import config as tree
from tests.runtime.server.served_models import Written
from tests.runtime.server.test_server_bounds import in_flight

Serve = Callable[..., Server]
ONE = tensor("x", "FP32", [1], [1.0])


class Held:
    """A model whose runs wait until they may go on; how many there were."""

    def __init__(self, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
        self.model, self.runs, self.go = model, 0, threading.Event()
        self._run = model.run
        monkeypatch.setattr(model, "run", self.run)
        monkeypatch.setattr(model, "expected_s", lambda feeds: 1.0)

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        self.runs += 1
        assert self.go.wait(30)
        return self._run(feeds, outputs)


def test_what_waits_for_a_thread_and_is_given_up_never_runs(
    zoo: dict[str, Written], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = config.parse(json.dumps(tree([entry("byte", zoo["byte"])])))
    held = Held(model.load(told.models[0], told), monkeypatch)
    body = json.dumps({"inputs": [tensor("in", "INT8", [1], [1])]}).encode()

    async def asked() -> None:
        runner = Runner(told, lambda name, version, rows: None)
        works = [runner.begin(held.model, body, Form(), "") for _ in range(3)]
        first, second, third = (work for work in works if isinstance(work, Work))
        while not held.runs:
            await asyncio.sleep(0.01)
        for work in (first, second):
            work.give_up()
        await asyncio.wait({second.answer})
        assert second.answer.cancelled()
        assert not first.answer.done()  # what runs holds its place until it ends
        held.go.set()
        await asyncio.wait({first.answer, third.answer})
        assert json.loads((await third.answer).body)["outputs"]

    asyncio.run(asked())
    assert held.runs == 2


def test_what_takes_too_long_is_504_and_its_place_is_held_until_the_run_ends(serve: Serve) -> None:
    timeouts = {"ready_s": 30, "drain_s": 10, "stop_s": 15, "request_s": 0.05}
    limits = {"body_bytes": 2**20, "in_flight": 1, "elements": 1000}
    server = serve("slow", timeouts=timeouts, limits=limits).started()
    late = server.infer("slow", ONE)
    assert (late.status_code, late.json()) == (504, {"error": "the model did not answer in time"})

    def shed() -> bool:
        statuses = {server.infer("slow", ONE).status_code for _ in range(2)}
        assert statuses <= {504, 503}
        return 503 in statuses

    until(shed)
    until(lambda: in_flight(server) == 0.0)
    assert server.infer("slow", ONE).status_code == 504
    page = server.client.get("/metrics").text
    assert 'code="504",model="slow",outcome="timeout",version="1"}' in page
    assert server.client.get("/health").status_code == 200


def test_a_value_that_makes_a_run_long_keeps_nobody_else_waiting(serve: Serve) -> None:
    timeouts = {"ready_s": 30, "drain_s": 10, "stop_s": 15, "request_s": 0.3}
    server = serve("counting", "byte", timeouts=timeouts).started()
    assert server.infer("counting", tensor("k", "INT64", [1], [1])).status_code == 200
    long = post(
        "/v2/models/counting/infer", json.dumps({"inputs": [tensor("k", "INT64", [1], [20_000])]}).encode()
    )
    with socket.create_connection(("127.0.0.1", server.tree["port"])) as connection:
        connection.sendall(long)
        until(lambda: in_flight(server) > 0)
        asked = server.client.get("/v2/health/live", timeout=2)
        assert asked.json() == {"live": True}
        assert server.infer("byte", tensor("in", "INT8", [1], [1])).status_code == 200
        status, _, answer = read_answer(connection)
    assert (status, json.loads(answer)) == (504, {"error": "the model did not answer in time"})


def test_who_leaves_while_the_model_runs_is_counted_as_gone(serve: Serve) -> None:
    server = serve("slow").started()
    body = post("/v2/models/slow/infer", json.dumps({"inputs": [ONE]}).encode())
    for _ in range(4):
        with socket.create_connection(("127.0.0.1", server.tree["port"])) as connection:
            connection.sendall(body)
            until(lambda: in_flight(server) > 0)
    left = 'code="499",model="slow",outcome="disconnected",version="1"} 4.0'
    until(lambda: left in server.client.get("/metrics").text)
    until(lambda: in_flight(server) == 0.0)
    assert server.infer("slow", ONE).status_code == 200
