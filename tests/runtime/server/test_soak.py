"""More than a server can do, of every kind, for a while: it stays right, ready and as large as it was.

BEDPLATE_SOAK_S says for how long; some minutes find smaller leaks.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import numpy as np
import psutil
import pytest

from tests.runtime.server.served import WITHIN_S, Server, post, row, tensor, until
from tests.runtime.server.test_server_bounds import in_flight

SOAK_S = float(os.environ.get("BEDPLATE_SOAK_S", "8"))
CLIENTS = 40
LIMITS = {"body_bytes": 2**20, "in_flight": 4, "elements": 60_000}
TIMEOUTS = {"ready_s": 30, "drain_s": 4, "stop_s": 10, "request_s": 2}
GROWTH_BYTES = 8 * 2**20  # of a worker of about 130 MB, which grows by one or two
BUSY = frozenset({503, 504})
WIDE = np.arange(200 * 250, dtype=np.float32).reshape(200, 250)

Ask = Callable[["Client"], Awaitable[str]]


class Client:
    """A connection to the server, opened anew where a request ended it."""

    def __init__(self, port: int, kinds: Mapping[Ask, int], seed: int) -> None:
        self.random = random.Random(seed)
        self._kinds = kinds
        self.tally: Counter[str] = Counter()
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def work(self, until_: float) -> None:
        while time.monotonic() < until_:
            ask = self.random.choices(list(self._kinds), list(self._kinds.values()))[0]
            found = await asyncio.wait_for(ask(self), WITHIN_S)
            self.tally[found] += 1
            if found == "busy":
                await asyncio.sleep(self.random.uniform(0, 0.2))
        self.leave()

    async def send(self, *pieces: bytes, pause_s: float = 0.0) -> None:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        for piece in pieces:
            self._streams[1].write(piece)
            await self._streams[1].drain()
            await asyncio.sleep(pause_s)

    async def answer(self) -> tuple[int, bytes]:
        assert self._streams is not None
        reader = self._streams[0]
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        body = await reader.readexactly(int(head.partition("content-length: ")[2].split("\r\n")[0]))
        if "connection: close" in head:
            self.leave()
        return int(head.split()[1]), body

    def leave(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


def infer(name: str, *inputs: dict[str, object], extra: tuple[str, ...] = ()) -> bytes:
    return post(f"/v2/models/{name}/infer", json.dumps({"inputs": inputs}).encode(), *extra)


def outputs(body: bytes) -> dict[str, object]:
    return {output["name"]: output["data"] for output in json.loads(body)["outputs"]}


async def small(client: Client) -> str:
    return await summed(client, "small", lambda body: body)


async def packed(client: Client) -> str:
    return await summed(client, "packed", gzip.compress, "Content-Encoding: gzip")


async def summed(client: Client, kind: str, form: Callable[[bytes], bytes], *extra: str) -> str:
    """A row of numbers, whose total is known."""
    numbers = [client.random.randint(-9, 9) for _ in range(4)]
    body = form(json.dumps({"inputs": [row(*numbers)]}).encode())
    await client.send(post("/v2/models/classifier/infer", body, *extra))
    status, answer = await client.answer()
    if status in BUSY:
        return "busy"
    assert (status, outputs(answer)["total"]) == (200, [sum(numbers)])
    return kind


async def large(client: Client) -> str:
    """200 KB in binary, answered in JSON."""
    first = float(client.random.randint(1, 1000))
    blob = (WIDE + np.float32(first)).tobytes()
    text = json.dumps(
        {"inputs": [tensor("in", "FP32", [200, 250], None, parameters={"binary_data_size": len(blob)})]}
    )
    extra = ("Content-Type: application/octet-stream", f"Inference-Header-Content-Length: {len(text)}")
    await client.send(post("/v2/models/grid/infer", text.encode() + blob, *extra))
    status, body = await client.answer()
    if status in BUSY:
        return "busy"
    data = outputs(body)["out"]
    assert status == 200
    assert isinstance(data, list)
    assert (len(data), data[0], data[-1]) == (50_000, first, first + 49_999)
    return "large"


async def heavy(client: Client) -> str:
    """What holds a thread for a while, and is often late."""
    await client.send(infer("slow", tensor("x", "FP32", [1], [1.0])))
    status, _ = await client.answer()
    assert status in {200, *BUSY}
    return "heavy" if status == 200 else "busy"


async def wrong(client: Client) -> str:
    bad = client.random.choice(
        [
            infer("lookup", tensor("index", "INT64", [1], [99])),
            infer("classifier", tensor("x", "FP32", [1, 5], [1, 2, 3, 4, 5])),
            post("/v2/models/classifier/infer", b'{"inputs": [' + b"[" * 500),
            infer("nobody", row()),
        ]
    )
    await client.send(bad)
    status, _ = await client.answer()
    assert status in {400, 404, *BUSY}
    return "wrong"


async def bomb(client: Client) -> str:
    await client.send(post("/v2/models/classifier/infer", BOMB, "Content-Encoding: gzip"))
    status, _ = await client.answer()
    assert status in {413, *BUSY}
    return "bomb"


async def dripping(client: Client) -> str:
    data = infer("classifier", row(1, 2, 3, 4))
    cuts = [data[at : at + 40] for at in range(0, len(data), 40)]
    await client.send(*cuts, pause_s=0.02)
    status, body = await client.answer()
    if status in BUSY:
        return "busy"
    assert (status, outputs(body)["total"]) == (200, [10])
    return "dripping"


async def leaving(client: Client) -> str:
    data = infer(client.random.choice(["classifier", "slow"]), row(1, 2, 3, 4))
    with suppress(ConnectionError):
        await client.send(data[: client.random.choice([20, -10, len(data)])])
    client.leave()
    return "leaving"


BOMB = gzip.compress(b" " * 2**25)
KINDS: dict[Ask, int] = {
    small: 60, packed: 8, large: 8, heavy: 1, wrong: 10, bomb: 2, dripping: 3, leaving: 6,
}  # fmt: skip


def resident(server: Server) -> dict[int, int]:
    return {worker: psutil.Process(worker).memory_info().rss for worker in server.workers()}


async def soak(server: Server, kinds: Mapping[Ask, int]) -> tuple[Counter[str], list[int]]:
    """All clients at once; what they got, and how much each worker grew after the first half."""
    until_ = time.monotonic() + SOAK_S
    clients = [Client(server.tree["port"], kinds, seed) for seed in range(CLIENTS)]
    work = asyncio.gather(*(client.work(until_) for client in clients))
    await asyncio.sleep(SOAK_S / 2)
    before = await asyncio.to_thread(resident, server)
    await work
    after = await asyncio.to_thread(resident, server)
    assert before.keys() == after.keys()
    total = sum((client.tally for client in clients), Counter())
    return total, [after[worker] - before[worker] for worker in before]


@pytest.mark.parametrize("batching", [None, {"max_batch_size": 32, "max_queue_delay_s": 0.002}])
def test_overload_leaves_nothing_behind(
    serve: Callable[..., Server], batching: Mapping[str, float] | None
) -> None:
    names, kinds = ["classifier", "grid", "lookup"], dict(KINDS)
    if batching is None:
        names.append("slow")
    else:
        del kinds[heavy]  # which no two can be run as one of
    told = {"limits": LIMITS, "timeouts": TIMEOUTS, "batching": batching}
    server = serve(*names, workers=2, **told).started()
    files = {worker: psutil.Process(worker).num_fds() for worker in server.workers()}
    tally, grown = asyncio.run(soak(server, kinds))
    print(dict(tally), [growth // 2**10 for growth in grown])
    assert tally.keys() >= {ask.__name__ for ask in KINDS if ask is not heavy} | {"busy"}
    assert max(grown) < GROWTH_BYTES
    until(lambda: in_flight(server) == 0.0)
    until(lambda: all(psutil.Process(worker).num_fds() <= count + 2 for worker, count in files.items()))
    status = server.status()
    assert (status["ready"], status["restarts"]) == (True, 0)
    for _ in range(20):
        assert server.infer("classifier", row(1, 2, 3, 4)).json()["outputs"][0]["data"] == [10.0]
    assert {line["event"] for line in server.log()} <= {"inference"}
