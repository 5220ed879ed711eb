"""A worker that is killed under load, and clients that hold on to what others need."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable

import psutil

from tests.runtime.server.served import WITHIN_S, Server, post, read_answer, row, tensor, until
from tests.runtime.server.test_server_bounds import in_flight

Serve = Callable[..., Server]
CLIENTS = 12


class Caller(threading.Thread):
    """Asks again and again on one connection, until it is told to close or `enough` is set; counts right answers.

    `lost`: the connection ended before an answer did.
    """

    def __init__(self, server: Server, number: int, enough: threading.Event) -> None:
        super().__init__()
        self._socket = socket.create_connection(("127.0.0.1", server.tree["port"]), timeout=WITHIN_S)
        self.port = self._socket.getsockname()[1]
        self.number, self.right, self.lost = number, 0, False
        self.wrong: list[bytes] = []
        self._enough = enough

    def run(self) -> None:
        with self._socket:
            while not self._enough.is_set() and not self.lost:
                count = self.right * 100 + self.number
                try:
                    self._socket.sendall(
                        post(
                            "/v2/models/classifier/infer",
                            json.dumps({"inputs": [row(count, 0, 0, 1)]}).encode(),
                        )
                    )
                    status, headers, body = read_answer(self._socket)
                    if len(body) < int(headers.get("content-length", "1")):
                        self.lost = True  # cut off in its middle: nothing was acknowledged
                    elif (status, json.loads(body)["outputs"][0]["data"]) == (200, [count + 1.0]):
                        self.right += 1
                        if headers.get("connection") == "close":
                            return
                    else:
                        self.wrong.append(body)
                except (OSError, IndexError):  # no status line came
                    self.lost = True


def served_by(pid: int) -> set[int]:
    """The clients' ports of a worker's connections."""
    return {found.raddr.port for found in psutil.Process(pid).net_connections("tcp") if found.raddr}


def test_a_worker_that_is_killed_under_load_takes_only_its_own_requests_with_it(serve: Serve) -> None:
    server = serve(workers=2).started()
    enough = threading.Event()
    callers = [Caller(server, number, enough) for number in range(CLIENTS)]
    for caller in callers:
        caller.start()
    try:
        until(lambda: all(caller.right > 20 for caller in callers))
        victim, other = server.workers()
        if not served_by(victim):
            victim, other = other, victim
        its_own = served_by(victim)
        os.kill(victim, signal.SIGKILL)
        until(lambda: all(caller.lost for caller in callers if caller.port in its_own))
        before = {caller.port: caller.right for caller in callers}
        until(lambda: all(c.right > before[c.port] + 20 for c in callers if c.port not in its_own))
        until(lambda: server.status()["restarts"] == 1)
        until(lambda: server.status()["ready"])
    finally:
        enough.set()
        for caller in callers:
            caller.join(WITHIN_S)
    assert [caller.wrong for caller in callers] == [[]] * CLIENTS
    assert {caller.port for caller in callers if caller.lost} == its_own
    assert victim not in server.workers()
    assert other in server.workers()
    assert server.infer("classifier", row()).status_code == 200
    assert in_flight(server) == 0.0


def test_a_server_that_is_told_to_end_under_load_answers_what_it_took(serve: Serve) -> None:
    server = serve(workers=2).started()
    callers = [Caller(server, number, threading.Event()) for number in range(CLIENTS)]
    for caller in callers:
        caller.start()
    until(lambda: all(caller.right > 20 for caller in callers))
    server.processes[0].terminate()
    assert server.processes[0].wait(WITHIN_S) == 0
    for caller in callers:
        caller.join(WITHIN_S)
    assert not any(caller.is_alive() or caller.lost or caller.wrong for caller in callers)
    assert not server.events("cut off")


def test_slow_clients_hold_nobody_up(serve: Serve) -> None:
    limits = {"body_bytes": 4 * 2**20, "in_flight": 2, "elements": 2**20}
    server = serve("classifier", "grid", limits=limits).started()
    address = ("127.0.0.1", server.tree["port"])
    whole = post("/v2/models/classifier/infer", json.dumps({"inputs": [row()]}).encode())
    many = post(
        "/v2/models/grid/infer",
        json.dumps({"inputs": [tensor("in", "FP32", [700, 700], [1.0] * 490_000)]}).encode(),
    )
    slow = [socket.create_connection(address, timeout=WITHIN_S) for _ in range(60)]
    readers = [socket.socket() for _ in range(2)]
    for reader in readers:  # what they are sent fits into no buffer of theirs
        reader.settimeout(WITHIN_S)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(address)
    try:
        for index, connection in enumerate(slow):
            connection.sendall(whole[: 30 if index % 2 else -10])
        for reader in readers:
            reader.sendall(many)
            until(lambda: in_flight(server) == 0.0)
        for _ in range(50):
            assert server.infer("classifier", row(1, 2, 3, 4)).json()["outputs"][0]["data"] == [10.0]
        assert in_flight(server) == 0.0  # the slow ones have no place
        for index, connection in enumerate(slow):
            connection.sendall(whole[30 if index % 2 else -10 :])
            assert read_answer(connection)[0] == 200
        for reader in readers:
            status, _, body = read_answer(reader)
            assert (status, len(json.loads(body)["outputs"][0]["data"])) == (200, 490_000)
    finally:
        for connection in (*slow, *readers):
            connection.close()
    assert server.status()["restarts"] == 0


def test_a_length_that_lies_costs_its_own_connection_alone(serve: Serve) -> None:
    server = serve().started()
    body = json.dumps({"inputs": [row()]}).encode()
    head = "POST /v2/models/classifier/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.tree["port"]), timeout=WITHIN_S) as short:
        short.sendall(head.format(len(body) - 5).encode() + body)
        said = b""
        while data := short.recv(65536):
            said += data
        assert said.count(b"HTTP/1.1 400 ") == 2  # what is left over is no request
    with socket.create_connection(("127.0.0.1", server.tree["port"]), timeout=WITHIN_S) as long:
        long.sendall(head.format(len(body) + 5).encode() + body)
        assert server.infer("classifier", row()).status_code == 200
        long.shutdown(socket.SHUT_WR)
        assert long.recv(1) == b""
    left = 'code="499",model="classifier",outcome="disconnected",version="1"} 1.0'
    until(lambda: left in server.client.get("/metrics").text)
    assert in_flight(server) == 0.0
