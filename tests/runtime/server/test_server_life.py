"""The lives of masters and workers: start, loss, change, takeover, drain."""

from __future__ import annotations

import os
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.ports import free_port
from tests.runtime.server.served import (
    WITHIN_S,
    Server,
    entry,
    post,
    read_answer,
    row,
    tensor,
    until,
)
from tests.runtime.server.served_models import Written

Serve = Callable[..., Server]
Zoo = dict[str, Written]


class Hammer:
    """Clients that ask without a pause, half of them on kept connections; what fails is kept."""

    def __init__(self, server: Server, clients: int = 4) -> None:
        self._server = server
        self._stop = threading.Event()
        self.failures: list[str] = []
        self.totals: list[float] = []
        self._threads = [
            threading.Thread(target=self._ask, args=(index % 2 == 0,)) for index in range(clients)
        ]

    def _ask(self, kept: bool) -> None:
        limits = httpx.Limits(max_keepalive_connections=1 if kept else 0)
        with httpx.Client(base_url=self._server.url, limits=limits, timeout=WITHIN_S) as client:
            while not self._stop.is_set():
                try:
                    answer = client.post("/v2/models/classifier/infer", json={"inputs": [row()]})
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                    continue
                if answer.status_code == 200:
                    self.totals.append(answer.json()["outputs"][0]["data"][0])
                else:
                    self.failures.append(answer.text)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            until(lambda: len(self.totals) > 50)
            yield
            count = len(self.totals)
            until(lambda: len(self.totals) > count + 50)
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid)


def restarted(server: Any, losses: int) -> bool:
    return bool(server.status()["restarts"] == losses)


def test_status_tells_all(serve: Serve, zoo: Zoo) -> None:
    server = serve(workers=2).started()
    status = server.status()
    assert status["protocol"] == 1
    assert status["service"] == "serving.test"
    assert status["pid"] == server.processes[0].pid
    assert (status["generation"], status["port"]) == ("a1", server.tree["port"])
    assert [worker["state"] for worker in status["workers"]] == ["ready", "ready"]
    assert status["workers_wanted"] == 2
    assert (status["restarts"], status["last_exit"], status["error"]) == (0, None, None)
    assert status["models"] == [{"name": "classifier", "version": "1", "sha256": zoo["classifier"].sha256}]
    assert status["listening_since"] <= time.time()


def test_the_control_socket_is_its_owners_alone(serve: Serve) -> None:
    server = serve().started()
    assert stat.S_IMODE(server.control.stat().st_mode) == 0o600
    assert server.ask(command="dance")[-1] == {"done": True, "ok": False, "error": "unknown command"}


def test_it_listens_on_one_port_and_on_no_other(serve: Serve) -> None:
    """Nothing loads, unloads or ends it from outside: the control socket is a file, and the port has no such path."""
    server = serve(workers=2).started()
    first = psutil.Process(server.processes[0].pid)
    listening = {
        found.laddr.port
        for process in (first, *first.children(recursive=True))
        for found in process.net_connections("inet")
        if found.status == psutil.CONN_LISTEN
    }
    assert listening == {server.tree["port"]}


def test_the_master_stays_small(serve: Serve) -> None:
    server = serve().started()
    maps = Path(f"/proc/{server.processes[0].pid}/maps").read_text()
    assert "onnxruntime" not in maps
    assert "numpy" not in maps


def test_a_killed_worker_comes_back_and_is_counted(serve: Serve) -> None:
    server = serve(workers=2).started()
    victim = server.workers()[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: server.status()["restarts"] == 1)
    until(lambda: server.status()["ready"])
    status = server.status()
    assert status["last_exit"]["pid"] == victim
    assert status["last_exit"]["signal"] == signal.SIGKILL
    assert victim not in server.workers()
    assert server.infer("classifier", row()).status_code == 200


def test_requests_wait_while_the_only_worker_comes_back(serve: Serve) -> None:
    server = serve().started()
    os.kill(server.workers()[0], signal.SIGKILL)
    until(lambda: server.status()["restarts"] == 1)
    assert server.infer("classifier", row()).status_code == 200


def test_counters_survive_a_worker_and_its_gauges_do_not(serve: Serve) -> None:
    server = serve().started()
    for _ in range(5):
        server.infer("classifier", row())
    counted = 'bedplate_requests_total{arm="",code="200",model="classifier",outcome="ok",version="1"} '
    assert counted + "5.0" in server.client.get("/metrics").text
    (folder,) = server.folder.glob("c.sock.metrics.*")
    for losses in (1, 2):
        victim = server.workers()[0]
        os.kill(victim, signal.SIGKILL)
        until(partial(restarted, server, losses))
        until(lambda: server.status()["ready"])
        assert not list(folder.glob(f"*{victim}*"))
    page = server.client.get("/metrics").text
    assert counted + "5.0" in page
    assert 'bedplate_request_duration_seconds_count{arm="",model="classifier",version="1"} 5.0' in page


def test_workers_end_when_their_master_is_killed(serve: Serve) -> None:
    server = serve(workers=2).started()
    workers = server.workers()
    server.processes[0].kill()
    until(lambda: all(gone(worker) for worker in workers), within_s=5)


def test_a_master_starts_over_after_a_kill(serve: Serve) -> None:
    server = serve().started()
    server.processes[0].kill()
    server.processes[0].wait()
    server.started()
    assert server.infer("classifier", row()).status_code == 200
    assert len(list(server.folder.glob("c.sock.metrics.*"))) == 1
    (lost,) = server.events("master lost")
    assert lost["pid"] == server.processes[0].pid
    assert (server.status()["restarts"], server.status()["last_exit"]["pid"]) == (1, lost["pid"])


def test_a_master_that_ended_by_itself_is_no_loss(serve: Serve) -> None:
    server = serve().started()
    server.processes[0].terminate()
    server.processes[0].wait()
    server.started()
    assert not server.events("master lost")
    assert server.status()["restarts"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_leaves_nothing(serve: Serve, number: int) -> None:
    server = serve(workers=2).started()
    workers = server.workers()
    server.processes[0].send_signal(number)
    assert server.processes[0].wait(WITHIN_S) == 0
    assert all(gone(worker) for worker in workers)
    assert not list(server.folder.glob("c.sock*"))
    assert not server.events("cut off")


def test_drain_is_not_ready_at_once_alive_still_and_finishes_what_it_has(serve: Serve) -> None:
    server = serve("slow").started()
    answers: list[httpx.Response] = []
    ask = threading.Thread(
        target=lambda: answers.append(server.infer("slow", tensor("x", "FP32", [1], [1.0])))
    )
    ask.start()
    until(lambda: "bedplate_in_flight 1.0" in server.client.get("/metrics").text)
    server.processes[0].terminate()
    with httpx.Client(base_url=server.url) as probe:
        until(lambda: probe.get("/v2/health/ready").status_code == 503, within_s=2)
        assert probe.get("/v2/health/live").status_code == 200
    ask.join()
    assert answers[0].status_code == 200
    assert server.processes[0].wait(WITHIN_S) == 0


def test_a_draining_connection_is_told_to_close(serve: Serve) -> None:
    server = serve().started()
    with socket.create_connection(("127.0.0.1", server.tree["port"]), timeout=WITHIN_S) as connection:
        request = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
        connection.sendall(request)
        assert "connection" not in read_answer(connection)[1]
        assert server.change(server.tree)[-1]["ok"]
        connection.sendall(request)
        status, headers, _ = read_answer(connection)
        assert (status, headers["connection"]) == (200, "close")
        assert connection.recv(1) == b""


def test_a_second_signal_forces(serve: Serve) -> None:
    server = serve(timeouts={"ready_s": 30, "drain_s": 60, "stop_s": 90}).started()
    workers = server.workers()
    with socket.create_connection(("127.0.0.1", server.tree["port"])) as connection:
        connection.sendall(post("/v2/models/classifier/infer", b"")[:-1])  # a head that never ends
        connection.sendall(b"x")
        server.processes[0].terminate()
        until(lambda: server.status()["workers"][0]["state"] == "draining")
        server.processes[0].terminate()
        assert server.processes[0].wait(10) == 1
    assert all(gone(worker) for worker in workers)


def test_drain_ends_in_time_whatever_clients_do(serve: Serve) -> None:
    server = serve(timeouts={"ready_s": 30, "drain_s": 1, "stop_s": 10}).started()
    with socket.create_connection(("127.0.0.1", server.tree["port"])) as connection:
        connection.sendall(post("/v2/models/classifier/infer", b"x" * 100)[:-50])
        until(lambda: server.client.get("/health").status_code == 200)
        server.processes[0].terminate()
        assert server.processes[0].wait(8) == 0
    assert server.events("cut off")


def test_a_change_loses_no_request(serve: Serve, zoo: Zoo) -> None:
    server = serve(workers=2).started()
    old = server.workers()
    hammer = Hammer(server)
    with hammer():
        answers = server.change(
            {**server.tree, "generation": "b2", "models": [entry("classifier", zoo["classifier2"], "2")]}
        )
        assert answers[-1] == {"done": True, "ok": True}
        assert [answer["progress"] for answer in answers[:-1]] == ["worker 1/2 ready", "worker 2/2 ready"]
        until(lambda: all(gone(worker) for worker in old))
    assert hammer.failures == []
    assert set(hammer.totals) == {10.0, 1010.0}
    assert hammer.totals[-1] == 1010.0
    status = server.status()
    assert (status["generation"], status["restarts"]) == ("b2", 0)
    assert [model["version"] for model in status["models"]] == ["2"]


def test_a_bad_change_leaves_the_old_one_serving(serve: Serve, zoo: Zoo, tmp_path: Path) -> None:
    server = serve(workers=2).started()
    workers = server.workers()
    wrong = {**entry("classifier", zoo["classifier2"], "2"), "sha256": zoo["classifier"].sha256}
    hammer = Hammer(server)
    with hammer():
        answer = server.change({**server.tree, "generation": "b2", "models": [wrong]})[-1]
    assert not answer["ok"]
    assert "SHA-256" in answer["error"]
    assert hammer.failures == []
    assert set(hammer.totals) == {10.0}
    assert server.workers() == workers
    assert server.status()["generation"] == "a1"
    assert server.status()["ready"]


def test_changes_that_are_refused(serve: Serve) -> None:
    server = serve().started()
    for change, words in (
        ({"port": free_port()}, "port of a running server cannot change"),
        ({"service": "other"}, "not other"),
        ({"workers": 0}, "workers: expected"),
        ({"color": "red"}, "color: unknown member"),
    ):
        answer = server.change({**server.tree, **change})[-1]
        assert not answer["ok"]
        assert words in answer["error"]
    assert "No such file" in server.ask(command="change", config="/nowhere.json")[-1]["error"]


def test_one_change_at_a_time(serve: Serve) -> None:
    server = serve().started()
    first: list[dict[str, Any]] = []
    path = str(server.write(server.tree, "next.json"))
    ask = threading.Thread(target=lambda: first.extend(server.ask(command="change", config=path)))
    ask.start()
    until(lambda: len(psutil.Process(server.processes[0].pid).children()) == 2)
    assert "another change" in server.ask(command="change", config=path)[-1]["error"]
    ask.join()
    assert first[-1]["ok"]


def test_a_bad_model_at_the_start_is_not_ready_and_says_why(serve: Serve, zoo: Zoo, tmp_path: Path) -> None:
    missing = {"name": "classifier", "version": "1", "path": str(tmp_path / "no.onnx"), "sha256": "0" * 64}
    server = serve(models=[missing])
    process = server.start()
    until(lambda: "cannot be read" in (server.status().get("error") or ""))
    until(lambda: server.client.get("/v2/health/live").status_code == 200)
    for path in ("/health", "/v2/health/ready", "/v2/models/classifier/ready", "/v2/models/classifier"):
        assert server.client.get(path).status_code == 503
    answer = server.infer("classifier", row())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert not server.status()["ready"]
    assert process.poll() is None
    assert len(server.events("not ready")) == 1
    assert server.change({**server.tree, "models": [entry("classifier", zoo["classifier"])]})[-1]["ok"]
    assert server.infer("classifier", row()).status_code == 200
    assert server.status()["error"] is None


def test_a_model_that_appears_later_is_picked_up(serve: Serve, zoo: Zoo, tmp_path: Path) -> None:
    late = tmp_path / "late.onnx"
    server = serve(models=[{**entry("classifier", zoo["classifier"]), "path": str(late)}])
    server.start()
    until(lambda: server.status().get("error"))
    late.write_bytes(zoo["classifier"].path.read_bytes())
    until(lambda: server.status()["ready"])
    assert server.status()["restarts"] == 0


def test_takeover_leaves_no_gap(serve: Serve, zoo: Zoo) -> None:
    server = serve(workers=2).started()
    first = server.processes[0]
    since = server.status()["listening_since"]
    hammer = Hammer(server)
    with hammer():
        second = server.start()
        until(lambda: server.status().get("pid") == second.pid)
        assert first.wait(WITHIN_S) == 0
    assert hammer.failures == []
    assert server.status()["ready"]
    assert server.status()["listening_since"] == since
    assert server.control.exists()


def test_a_successor_that_cannot_serve_leaves_its_predecessor(serve: Serve, zoo: Zoo) -> None:
    server = serve().started()
    first = server.processes[0]
    server.tree["models"] = [{**server.tree["models"][0], "sha256": "0" * 64}]
    second = server.start()
    until(lambda: server.events("not ready"))
    assert server.status()["pid"] == first.pid
    assert server.infer("classifier", row()).status_code == 200
    second.terminate()
    assert second.wait(WITHIN_S) == 0
    assert server.status()["pid"] == first.pid
    assert server.infer("classifier", row()).status_code == 200


def test_retire_answers_then_ends(serve: Serve) -> None:
    server = serve().started()
    assert server.ask(command="retire") == [{"done": True, "ok": True}]
    assert server.processes[0].wait(WITHIN_S) == 0


def test_a_taken_port_ends_the_master_with_a_reason(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        server = serve(port=other.getsockname()[1])
        assert server.start().wait(WITHIN_S) == 1
    assert "in use" in server.events("cannot listen")[0]["reason"]


def test_a_bad_configuration_ends_the_master_with_a_reason(serve: Serve) -> None:
    server = serve(threads=0)
    assert server.start().wait(WITHIN_S) == 2
    assert "threads" in server.events("bad configuration")[0]["reason"]
