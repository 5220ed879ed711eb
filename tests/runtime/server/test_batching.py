"""Requests that are run as one get what each would have got alone."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from bedplate.runtime.server import batching, infer, model
from bedplate.runtime.server.batching import Batches, Waiting
from bedplate.runtime.server.config import Batching, parse
from bedplate.runtime.server.infer import Answer, Request, Wanted
from bedplate.runtime.server.model import Array, Model, NotLoadable
from tests.runtime.server import served_models as models
from tests.runtime.server.served import Server, config, entry, post, row, tensor, until
from tests.runtime.server.served_models import Written
from tests.runtime.server.test_server_bounds import in_flight

NAMES = ("classifier", "pair", "text", "half", "truth", "lookup", "reciprocal", "grid")
WIDE = {"max_batch_size": 32, "max_queue_delay_s": 0.005}
VALUES = {
    "BYTES": st.text(max_size=3),
    "BOOL": st.booleans(),
    "INT64": st.integers(0, 3),  # lookup fails on 3
    "FP16": st.floats(-5, 5, width=16),
    "FP32": st.floats(-5, 5, width=32),  # reciprocal's infinity cannot be said in JSON
}


@pytest.fixture(scope="module")
def loaded(zoo: Mapping[str, Written]) -> Mapping[str, Model]:
    told = parse(json.dumps(config([entry(name, zoo[name]) for name in NAMES], batching=WIDE)))
    return {file.name: model.load(file, told) for file in told.models}


def written(its: Model, request: Request, arrays: Sequence[Array]) -> Answer:
    return infer.answer(its, request, "id", arrays)


def request(its: Model, feeds: Mapping[str, Array]) -> Request:
    binary = any(output.datatype == "FP16" for output in its.outputs)
    return Request(None, feeds, [Wanted(output, binary) for output in its.outputs])


def said(outcome: object) -> object:
    return outcome.body if isinstance(outcome, Answer) else (type(outcome), str(outcome))


@st.composite
def requests(draw: st.DrawFn, its: Model) -> list[Request]:
    """Some that agree in all but their rows, each for some of the outputs."""
    widths = [[draw(st.integers(0, 3)) if n < 0 else n for n in tensor.shape[1:]] for tensor in its.inputs]
    found = []
    for rows in draw(st.lists(st.integers(1, 4), min_size=1, max_size=5)):
        feeds: dict[str, Array] = {}
        for its_input, width in zip(its.inputs, widths, strict=True):
            count = int(np.prod([rows, *width]))
            values = draw(st.lists(VALUES[its_input.datatype], min_size=count, max_size=count))
            feeds[its_input.name] = np.array(values, its_input.dtype).reshape([rows, *width])
        asked = request(its, feeds)
        some = draw(st.lists(st.sampled_from(asked.outputs), min_size=1, unique=True))
        found.append(asked._replace(outputs=some))
    return found


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_in_a_batch_each_gets_what_it_gets_alone(
    loaded: Mapping[str, Model], name: str, data: st.DataObject
) -> None:
    its = loaded[name]
    batch = [
        Waiting(asked, len(next(iter(asked.feeds.values()))), partial(written, its, asked), None)  # type: ignore[arg-type]
        for asked in data.draw(requests(its))
    ]
    together = batching.run(its, batch)
    alone = [outcome for one in batch for outcome in batching.run(its, [one])]
    assert [said(outcome) for outcome in together] == [said(outcome) for outcome in alone]


class Queue:
    """Batches of a worker with one thread, which is held until `go`; the rows of the runs that ended."""

    def __init__(self, its: Model, most: int, delay_s: float) -> None:
        self.its, self.ran, self.go = its, list[int](), threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._pool.submit(self.go.wait, 60)
        told = Batching(most, delay_s)
        self._batches = Batches(told, 1, self._pool, lambda name, version, rows: self.ran.append(rows))

    def join(self, feeds: Mapping[str, Array]) -> tuple[asyncio.Future[Answer], Callable[[], None]] | None:
        asked = request(self.its, feeds)
        return self._batches.join(self.its, asked, partial(written, self.its, asked))

    def grid(self, rows: int, columns: int = 1) -> tuple[asyncio.Future[Answer], Callable[[], None]]:
        joined = self.join({"in": np.full((rows, columns), rows, np.float32)})
        assert joined is not None
        return joined


async def outputs(answer: asyncio.Future[Answer]) -> list[float]:
    (output,) = json.loads((await asyncio.wait_for(answer, 60)).body)["outputs"]
    found: list[float] = output["data"]
    return found


def test_what_comes_while_no_thread_is_free_is_one_batch_for_each_shape(loaded: Mapping[str, Model]) -> None:
    async def asked() -> None:
        queue = Queue(loaded["grid"], most=4, delay_s=0.001)
        first = queue.grid(3)
        await asyncio.sleep(0.05)  # it has begun, and waits for its thread
        answers = [queue.grid(*shape)[0] for shape in ((1, 1), (2, 2), (2, 1), (1, 2), (4, 1))]
        await asyncio.sleep(0.05)
        queue.go.set()
        assert await outputs(first[0]) == [3, 3, 3]
        sizes = [[1], [2, 2, 2, 2], [2, 2], [1, 1], [4, 4, 4, 4]]
        assert [await outputs(answer) for answer in answers] == sizes
        assert sorted(queue.ran) == [3, 3, 3, 4]

    asyncio.run(asked())


def test_a_full_batch_waits_for_nobody_and_what_left_is_not_in_it(loaded: Mapping[str, Model]) -> None:
    async def asked() -> None:
        queue = Queue(loaded["grid"], most=4, delay_s=3600)
        queue.go.set()
        answers = [queue.grid(1) for _ in range(3)]
        answers[1][1]()
        assert answers[1][0].cancelled()
        await asyncio.sleep(0.05)
        assert not queue.ran
        answers.append(queue.grid(2))
        for index in (0, 2, 3):
            await outputs(answers[index][0])
        assert queue.ran == [4]
        answers[0][1]()  # to give up what has been answered changes nothing

    asyncio.run(asked())


def test_who_is_alone_waits_for_the_delay_only(loaded: Mapping[str, Model]) -> None:
    async def asked() -> None:
        queue = Queue(loaded["grid"], most=4, delay_s=0.001)
        queue.go.set()
        assert await outputs(queue.grid(2)[0]) == [2, 2]
        assert queue.ran == [2]

    asyncio.run(asked())


def test_what_has_no_rows_of_its_own_runs_alone(loaded: Mapping[str, Model]) -> None:
    async def asked() -> None:
        queue = Queue(loaded["pair"], most=4, delay_s=0.001)
        queue.go.set()
        for rows in ((0, 0), (5, 5), (2, 1)):
            feeds = {name: np.zeros((count, 2), np.int64) for name, count in zip("ab", rows, strict=True)}
            assert queue.join(feeds) is None

    asyncio.run(asked())


def test_a_run_that_nobody_foresaw_fails_all_of_its_batch(
    loaded: Mapping[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[Array]:
        raise KeyError("bug")

    async def asked() -> None:
        queue = Queue(loaded["grid"], most=2, delay_s=3600)
        queue.go.set()
        monkeypatch.setattr(loaded["grid"], "run", broken)
        answers = [queue.grid(1)[0] for _ in range(2)]
        found = await asyncio.gather(*answers, return_exceptions=True)
        assert [type(error) for error in found] == [KeyError, KeyError]
        monkeypatch.undo()
        assert await outputs(queue.grid(2)[0]) == [2, 2]  # the thread is free again

    asyncio.run(asked())


def fixed() -> bytes:
    """x FP32[1] -> y FP32[1]."""
    ends = [models.value(name, TensorProto.FLOAT, [1]) for name in "xy"]
    node = helper.make_node("Identity", ["x"], ["y"])
    return models.model([node], ends[:1], ends[1:]).SerializeToString()


def summed() -> bytes:
    """x FP32[-1] -> y FP32: one number for all rows."""
    ends = models.value("x", TensorProto.FLOAT, ["N"]), models.value("y", TensorProto.FLOAT, [])
    node = helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)
    return models.model([node], [ends[0]], [ends[1]]).SerializeToString()


def two() -> bytes:
    """x FP32[-1] -> y FP32[2], however many rows there are."""
    ends = models.value("x", TensorProto.FLOAT, ["N"]), models.value("y", TensorProto.FLOAT, [2])
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=1),
        helper.make_node("Concat", ["sum", "sum"], ["y"], axis=0),
    ]
    return models.model(nodes, [ends[0]], [ends[1]]).SerializeToString()


def one_row() -> bytes:
    """x FP32[-1,2] -> y FP32[-1,2], exported with the shape of one row inside."""
    ends = [models.value(name, TensorProto.FLOAT, ["N", 2]) for name in "xy"]
    shape = numpy_helper.from_array(np.array([1, 2], np.int64), "shape")
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    return models.model([node], ends[:1], ends[1:], [shape]).SerializeToString()


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (fixed, "its input 'x' has no free first dimension"),
        (summed, "2 rows give an output 'y' of []"),
        (two, "3 rows give an output 'y' of [2]"),
        (one_row, "it fails on 2 rows"),
    ],
)
def test_a_model_without_rows_is_refused_where_it_should_be_batched(
    tmp_path_factory: pytest.TempPathFactory, made: Callable[[], bytes], words: str
) -> None:
    its = entry("made", models.write(tmp_path_factory.mktemp("made") / "made.onnx", made()))
    told = parse(json.dumps(config([its], batching=WIDE)))
    with pytest.raises(NotLoadable) as refused:
        model.load(told.models[0], told)
    assert "cannot be batched" in str(refused.value)
    assert words in str(refused.value)
    alone = parse(json.dumps(config([its])))
    assert model.load(alone.models[0], alone).name == "made"


def sizes(server: Server, name: str) -> tuple[float, float]:
    """How many runs there were, and how many rows in them."""
    lines = server.client.get("/metrics").text.splitlines()
    found = {line.split("{")[0]: float(line.split()[1]) for line in lines if f'model="{name}"' in line}
    return found["bedplate_batch_size_count"], found["bedplate_batch_size_sum"]


def test_a_server_batches_and_one_client_s_mistake_is_its_own(serve: Callable[..., Server]) -> None:
    server = serve("classifier", "lookup", batching=WIDE).started()

    def ask(number: int) -> tuple[object, object]:
        if number % 5 == 0:
            wrong = server.infer("lookup", tensor("index", "INT64", [1], [99]))
            return wrong.status_code, 400
        if number % 2:
            right = server.infer("lookup", tensor("index", "INT64", [2], [number % 3, 1]))
            return right.json()["outputs"][0]["data"], [number % 3, 1]
        found = server.infer("classifier", row(number, 0, 0, 1), id=str(number)).json()
        return (found["id"], found["outputs"][0]["data"]), (str(number), [number + 1.0])

    asked = 0

    def batched() -> bool:
        nonlocal asked
        with ThreadPoolExecutor(8) as pool:
            for found, expected in pool.map(ask, range(asked, asked + 100)):
                assert found == expected
        asked += 100
        runs, rows = sizes(server, "lookup")
        return runs < rows / 3

    until(batched)
    assert in_flight(server) == 0.0
    assert {line["event"] for line in server.log()} <= {"inference"}


def test_clients_that_leave_while_they_wait_leave_nothing(serve: Callable[..., Server]) -> None:
    server = serve(batching=WIDE).started()
    body = post("/v2/models/classifier/infer", json.dumps({"inputs": [row()]}).encode())
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", server.tree["port"])) as connection:
            connection.sendall(body)
    until(lambda: in_flight(server) == 0.0)
    assert server.infer("classifier", row()).json()["outputs"][0]["data"] == [10.0]


def test_without_batching_there_is_no_histogram_of_it(shared: Server) -> None:
    assert "batch_size" not in shared.client.get("/metrics").text
