"""What a client may not do: too much, too large, too slow, without a key; and what it finds out."""

from __future__ import annotations

import gzip
import json
import secrets
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import psutil
import pytest

from bedplate.runtime.server import auth
from tests.runtime.server.served import WITHIN_S, Server, post, raw, read_answer, row, tensor, until

Serve = Callable[..., Server]
ONE = tensor("x", "FP32", [1], [1.0])


def in_flight(server: Server) -> float:
    page = httpx.get(server.url + "/metrics").text
    (line,) = (line for line in page.splitlines() if line.startswith("bedplate_in_flight "))
    return float(line.split()[1])


def chunked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield b"POST /v2/models/classifier/infer HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    for piece in pieces:
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def few_files(pid: int) -> bool:
    return psutil.Process(pid).num_fds() < 50


def test_a_body_over_the_limit_is_413(shared: Server) -> None:
    at_most = shared.tree["limits"]["body_bytes"]
    good = json.dumps({"inputs": [row()]}).encode()
    padded = good + b" " * (at_most - len(good))
    assert raw(shared, post("/v2/models/classifier/infer", padded))[0] == 200
    answer = httpx.post(shared.url + "/v2/models/classifier/infer", content=padded + b" ")
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/json")
    assert str(at_most) in answer.json()["error"]


def test_a_body_without_a_length_is_counted_as_it_arrives(shared: Server) -> None:
    at_most = shared.tree["limits"]["body_bytes"]
    with socket.create_connection(("127.0.0.1", shared.tree["port"]), timeout=WITHIN_S) as connection:
        for piece in chunked(b" " * 65536 for _ in range(at_most // 65536 + 2)):
            connection.sendall(piece)
        assert read_answer(connection)[0] == 413
        # the rest was read and dropped: the connection is good for another request
        connection.sendall(post("/v2/models/classifier/infer", json.dumps({"inputs": [row()]}).encode()))
        assert read_answer(connection)[0] == 200


def test_a_declared_length_is_refused_before_it_is_sent(shared: Server) -> None:
    with socket.create_connection(("127.0.0.1", shared.tree["port"]), timeout=WITHIN_S) as connection:
        connection.sendall(
            b"POST /v2/models/classifier/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert read_answer(connection)[0] == 413


def test_a_long_head_is_431_though_it_comes_at_once(shared: Server) -> None:
    for length, status in ((60_000, 200), (66_000, 431)):
        head = f"GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: {'y' * length}\r\n\r\n"
        assert raw(shared, head.encode())[0] == status


def test_a_head_without_end_is_431(shared: Server) -> None:
    with socket.create_connection(("127.0.0.1", shared.tree["port"]), timeout=WITHIN_S) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n" + b"X-A: " + b"a" * 70_000)
        assert read_answer(connection)[0] == 431


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /v2/models/classifier/infer HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /v2/models/classifier/infer HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_not_http_is_a_client_error(shared: Server, data: bytes) -> None:
    status, headers, body = raw(shared, data)
    assert 400 <= status < 500
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["error"]


@pytest.mark.parametrize(
    ("head", "status", "told"),
    [
        ("", 400, "a request must have one Host"),
        ("Host: localhost\r\nHost: localhost", 400, "a request must have one Host"),
        ("Host: localhost\r\nTransfer-Encoding: gzip, chunked", 400, "there is chunked, and that alone"),
        ("Host: localhost\r\nTransfer-Encoding: chunked", 200, ""),
    ],
)
def test_what_two_servers_could_read_differently_is_refused(
    shared: Server, head: str, status: int, told: str
) -> None:
    body = json.dumps({"inputs": [row()]}).encode()
    start = f"POST /v2/models/classifier/infer HTTP/1.1\r\n{head}\r\n".replace("\r\n\r\n", "\r\n")
    length = "" if "chunked" in head else f"Content-Length: {len(body)}\r\n"
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if "chunked" in head else body
    found, _, answer = raw(shared, f"{start}{length}\r\n".encode() + sent)
    assert found == status
    assert told in json.loads(answer).get("error", "")


def test_an_old_client_needs_no_host(shared: Server) -> None:
    assert raw(shared, b"GET /health HTTP/1.0\r\n\r\n")[0] == 200


def test_noise_ends_no_worker(shared: Server) -> None:
    for _ in range(200):
        with socket.create_connection(("127.0.0.1", shared.tree["port"])) as connection:
            connection.sendall(secrets.token_bytes(200))
    assert shared.client.get("/health").status_code == 200


def test_clients_that_leave_in_mid_body_leave_nothing(serve: Serve) -> None:
    server = serve().started()
    worker = psutil.Process(server.workers()[0])
    server.client.get("/health")
    before = worker.num_fds()
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", server.tree["port"])) as connection:
            connection.sendall(post("/v2/models/classifier/infer", b"x" * 1000)[:-500])
    left = 'code="499",model="classifier",outcome="disconnected",version="1"} 100.0'
    until(lambda: left in server.client.get("/metrics").text)
    until(lambda: worker.num_fds() <= before)
    assert in_flight(server) == 0.0


def test_overload_is_shed(serve: Serve) -> None:
    limits = {"body_bytes": 2**20, "in_flight": 2, "elements": 1000}
    server = serve("slow", limits=limits).started()
    answers: list[httpx.Response] = []
    with ThreadPoolExecutor(8) as pool:

        def shed() -> httpx.Response | None:
            answers.extend(pool.map(lambda _: server.infer("slow", ONE), range(8)))
            return next((answer for answer in answers if answer.status_code == 503), None)

        refused = until(shed)
    assert refused is not None
    assert {answer.status_code for answer in answers} == {200, 503}
    assert (refused.headers["retry-after"], refused.json()) == (
        "1",
        {"error": "too many requests are in flight"},
    )
    assert in_flight(server) == 0.0
    assert server.infer("slow", ONE).status_code == 200


def test_health_answers_while_a_slow_model_runs(serve: Serve) -> None:
    server = serve("slow").started()
    took: list[float] = []
    busy = threading.Thread(target=lambda: [server.infer("slow", ONE) for _ in range(4)])
    busy.start()
    until(lambda: in_flight(server) == 1.0)
    with httpx.Client(base_url=server.url) as probe:
        while busy.is_alive():
            began = time.perf_counter()
            assert probe.get("/health").status_code == 200
            took.append(time.perf_counter() - began)
    busy.join()
    assert statistics.median(took) < 0.05


def test_a_thousand_connections_at_once(serve: Serve) -> None:
    server = serve(workers=2).started()
    body = post("/v2/models/classifier/infer", json.dumps({"inputs": [row()]}).encode())
    address = ("127.0.0.1", server.tree["port"])
    connections = [socket.create_connection(address, timeout=WITHIN_S) for _ in range(1000)]
    for connection in connections:
        connection.sendall(body)
    statuses = [read_answer(connection)[0] for connection in connections]
    for connection in connections:
        connection.close()
    assert set(statuses) <= {200, 503}
    assert 200 in statuses
    assert server.infer("classifier", row()).status_code == 200
    assert server.status()["restarts"] == 0
    for worker in server.workers():
        until(partial(few_files, worker))


def test_memory_stays_bounded_under_large_bodies(serve: Serve) -> None:
    limits = {"body_bytes": 4 * 2**20, "in_flight": 8, "elements": 1000}
    server = serve(limits=limits).started()
    worker = psutil.Process(server.workers()[0])
    body = b'{"inputs": [' + b"[]," * (2**20) + b"[]]}"

    def ask() -> int:
        return httpx.post(
            server.url + "/v2/models/classifier/infer", content=body, timeout=WITHIN_S
        ).status_code

    ask()
    before = worker.memory_info().rss
    with ThreadPoolExecutor(4) as pool:
        statuses = [asked.result() for asked in [pool.submit(ask) for _ in range(12)]]
    assert set(statuses) <= {400, 503}
    assert worker.memory_info().rss - before < 400 * 2**20
    assert server.status()["restarts"] == 0


def test_a_body_that_is_refused_in_a_thread_is_let_go(serve: Serve) -> None:
    server = serve().started()
    worker = psutil.Process(server.workers()[0])
    bomb = gzip.compress(secrets.token_bytes(900_000) + bytes(2**20), 1)

    def refused(times: int) -> int:
        for _ in range(times):
            answer = server.client.post(
                "/v2/models/classifier/infer", content=bomb, headers={"Content-Encoding": "gzip"}
            )
            assert answer.status_code == 413
        return worker.memory_info().rss

    before = refused(10)
    assert refused(100) - before < 30 * 2**20


@pytest.fixture
def locked(serve: Serve) -> Server:
    salt = "00ff10"
    key = {"salt": salt, "sha256": auth.digest(salt, "open sesame")}
    return serve(auth={"api_key": key}).started()


def test_with_a_key_only_its_bearer_gets_in(locked: Server) -> None:
    path, body = "/v2/models/classifier/infer", {"inputs": [row()]}
    for headers in ({"Authorization": "Bearer open sesame"}, {"X-API-Key": "open sesame"}):
        assert locked.client.post(path, json=body, headers=headers).status_code == 200
    refused = [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": "open sesam"},
        {"Authorization": "open sesame"},
        {"Authorization": "Basic open sesame"},
        {"Authorization": "Bearer"},
    ]
    for headers in refused:
        answer = locked.client.post(path, json=body, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/json")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "open sesame" not in answer.text
    for path in ("/v2", "/v2/models/classifier", "/v2/models/nobody", "/openapi.json", "/nowhere"):
        assert locked.client.get(path).status_code == 401
    for path in auth.OPEN_PATHS:
        assert locked.client.get(path).status_code == 200


def test_the_key_is_nowhere_in_the_logs(locked: Server) -> None:
    locked.client.get("/v2", headers={"X-API-Key": "open sesame"})
    locked.stop()
    assert "sesame" not in (locked.folder / "log").read_text()


def test_log_lines_cannot_be_forged(serve: Serve) -> None:
    server = serve("lookup").started()
    forged = '\n{"level": "error", "event": "forged"}\r\n\u2028\x1b[31m'
    inputs = tensor("index", "INT64", [1], [99])
    server.infer("lookup", inputs, id=forged)
    server.client.post("/v2/models/%0a%7b%22event%22%3a%22forged%22%7d/infer", json={"inputs": [inputs]})
    server.client.get("/%0a%7b%22event%22%3a%22forged%22%7d")
    httpx.post(
        server.url + "/v2/models/lookup/infer", json={"inputs": [inputs]}, headers={"X-Request-Id": "a\tb"}
    )
    until(lambda: len(server.events("inference")) == 2)
    assert {line["event"] for line in server.log()} == {"inference"}
    assert "\x1b" not in (server.folder / "log").read_text()
