"""The prediction log of real servers: under load, through kills, changes and takeovers."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from pyarrow import dataset, parquet

from bedplate.runtime.server import auth
from bedplate.runtime.server.predictions.recorder import in_sample, share_below
from tests.runtime.server.served import WITHIN_S, Server, row, until
from tests.runtime.server.served_models import Written

Serve = Callable[..., Server]
Zoo = dict[str, Written]


@pytest.fixture
def logged(serve: Serve, tmp_path: Path) -> Callable[..., Server]:
    """Makes servers that log into one folder of the test."""

    def make(*names: str, log: dict[str, Any] | None = None, **changes: Any) -> Server:
        changes.setdefault("timeouts", {"ready_s": 60, "drain_s": 4, "stop_s": 60})
        return serve(*names, prediction_log=told(tmp_path / "log", **(log or {})), **changes)

    return make


def told(folder: Path, **changes: Any) -> dict[str, Any]:
    return {
        "sample": 1.0,
        "spool": str(folder / ".spool"),
        "to": str(folder),
        "retention_s": 86_400,
        "backlog_bytes": 2**28,
        "record_bytes": 2**20,
        "roll_s": 1,
        **changes,
    }


class Callers:
    """Clients that ask without a pause, each request under an id of its own; which got an answer is kept."""

    def __init__(self, server: Server, clients: int = 3) -> None:
        self.sent: list[str] = []
        self.answered: list[str] = []
        self._server = server
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(clients)]

    def _ask(self, client_number: int) -> None:
        number = 0
        with httpx.Client(base_url=self._server.url, timeout=WITHIN_S) as client:
            while not self._stop.is_set():
                number += 1
                name = f"{os.urandom(4).hex()}-{client_number}-{number}"
                self.sent.append(name)
                try:
                    answer = client.post(
                        "/v2/models/classifier/infer",
                        json={"inputs": [row(number, 2, 3, 4)]},
                        headers={"x-request-id": name},
                    )
                except httpx.HTTPError:
                    time.sleep(0.01)
                    continue
                if answer.status_code == 200:
                    self.answered.append(name)

    @contextmanager
    def __call__(self) -> Iterator[Callers]:
        for thread in self._threads:
            thread.start()
        try:
            until(lambda: len(self.answered) > 100)
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def more(self, count: int = 100) -> None:
        before = len(self.answered)
        until(lambda: len(self.answered) > before + count)


def counted(server: Server, state: str = "logged") -> int:
    page = server.client.get("/metrics").text
    found = re.search(rf'^bedplate_prediction_log_records_total{{state="{state}"}} (\S+)$', page, re.M)
    assert found is not None
    return int(float(found[1]))


def ids(folder: Path) -> list[str]:
    """Every request id in the log, read by pyarrow alone: a torn file would not be readable."""
    files = list((folder / "log").glob("serving.test/**/*.parquet"))
    for file in files:
        assert parquet.ParquetFile(file).metadata.num_rows > 0
    if not files:
        return []
    table = dataset.dataset(folder / "log" / "serving.test" / "classifier", partitioning="hive")
    return list(table.to_table(["request_id"])[0].to_pylist())


def spooled(folder: Path) -> list[Path]:
    """What has not been brought away; a segment without a name yet never held anything that was logged."""
    found = (folder / "log" / ".spool").rglob("*")
    return [path for path in found if path.is_file() and path.name != "lock" and path.suffix != ".new"]


def end(server: Server) -> None:
    """Stop the newest master as a supervisor does, and wait for it."""
    server.processes[-1].terminate()
    assert server.processes[-1].wait(WITHIN_S) == 0


def roller(server: Server) -> int:
    """The process that rolls, when there is one."""
    found: int = until(lambda: server.status().get("prediction_log") or 0)
    return found


def kill_a_roller(server: Server) -> None:
    """End one in the midst of its work: it begins by loading what takes a while."""

    def killed() -> bool:
        with suppress(ProcessLookupError):
            os.kill(roller(server), signal.SIGKILL)
            return True
        return False

    until(killed)


def test_everything_is_there_once_after_an_orderly_end(logged: Serve, tmp_path: Path) -> None:
    server = logged(workers=2).started()
    with Callers(server)() as callers:
        callers.more()
    until(lambda: counted(server) == len(callers.answered))
    end(server)
    assert Counter(ids(tmp_path)) == Counter(callers.answered)
    assert spooled(tmp_path) == []
    assert server.events("prediction log") == []


def test_rows_say_what_was_asked_and_answered(logged: Serve, tmp_path: Path) -> None:
    server = logged().started()
    body = {"id": "mine", "inputs": [row(1, 2, 3, 4.5)]}
    server.client.post("/v2/models/classifier/infer", json=body, headers={"x-request-id": "first"})
    server.client.post("/v2/models/classifier/infer", json={}, headers={"x-request-id": "second"})
    assert server.client.post("/v2/models/other/infer", json=body).status_code == 404
    end(server)
    found = dataset.dataset(tmp_path / "log" / "serving.test" / "classifier", partitioning="hive").to_table()
    first, second = found.sort_by("request_id").to_pylist()
    assert (first["client_id"], first["model"], first["version"]) == ("mine", "classifier", "1")
    assert (first["outcome"], first["status"], first["arm"]) == ("ok", 200, None)
    assert first["inputs"] == {"x": {"shape": [1, 4], "data": [1.0, 2.0, 3.0, 4.5]}}
    assert first["outputs"]["total"] == {"shape": [1], "data": [10.5]}
    assert 0 < first["latency_s"] < 60
    assert abs(first["timestamp"].timestamp() - time.time()) < 60
    assert (second["outcome"], second["status"], second["inputs"]) == ("refused", 400, None)


def test_of_a_batch_each_row_is_the_record_of_its_own_request(logged: Serve, tmp_path: Path) -> None:
    server = logged(batching={"max_batch_size": 8, "max_queue_delay_s": 0.005}).started()
    with Callers(server, clients=6)() as callers:
        callers.more()
    until(lambda: counted(server) == len(callers.answered))
    end(server)
    found = dataset.dataset(tmp_path / "log" / "serving.test" / "classifier", partitioning="hive").to_table()
    records = found.to_pylist()
    assert Counter(record["request_id"] for record in records) == Counter(callers.answered)
    for record in records:
        number = float(record["request_id"].split("-")[2])
        assert record["inputs"]["x"] == {"shape": [1, 4], "data": [number, 2.0, 3.0, 4.0]}
        assert record["outputs"]["total"] == {"shape": [1], "data": [number + 9.0]}


def test_a_killed_worker_takes_nothing_with_it_that_was_logged(logged: Serve, tmp_path: Path) -> None:
    server = logged(workers=2).started()
    with Callers(server)() as callers:
        for _ in range(3):
            os.kill(server.workers()[0], signal.SIGKILL)
            until(lambda: server.status().get("ready"))
            callers.more()
        # What was answered just before a kill is lost with it: on a slow machine that is much of so few.
        until(lambda: counted(server) > len(callers.answered) / 2)
    time.sleep(0.5)
    logged_rows = counted(server)
    end(server)
    found = Counter(ids(tmp_path))
    assert max(found.values()) == 1
    assert set(found) <= set(callers.sent)
    assert logged_rows <= len(found) <= len(callers.sent)
    assert logged_rows > len(callers.answered) / 2
    assert spooled(tmp_path) == []


def test_a_killed_server_takes_nothing_with_it_that_was_logged(logged: Serve, tmp_path: Path) -> None:
    server = logged(workers=2, log={"roll_s": 2}).started()
    promised, known = 0, 0
    with Callers(server)() as callers:
        for _ in range(3):
            callers.more()
            # what is counted now is durable; the folder of the counts goes with the next master
            promised, known = promised + counted(server), len(callers.sent)
            server.processes[-1].kill()
            server.processes[-1].wait()
            server.started()
        callers.more()
    until(lambda: counted(server) > 0)
    time.sleep(0.5)
    promised += counted(server)
    end(server)
    found = Counter(ids(tmp_path))
    assert max(found.values()) == 1
    assert set(found) <= set(callers.sent)
    assert known > 0
    assert promised <= len(found)
    assert spooled(tmp_path) == []


def test_a_killed_roller_comes_back_and_writes_nothing_twice(logged: Serve, tmp_path: Path) -> None:
    server = logged().started()
    with Callers(server)() as callers:
        for _ in range(4):
            kill_a_roller(server)
            callers.more()
    end(server)
    assert Counter(ids(tmp_path)) == Counter(callers.answered)
    assert server.events("prediction log lost")


def test_a_takeover_hands_the_log_over(logged: Serve, tmp_path: Path) -> None:
    server = logged().started()
    with Callers(server)() as callers:
        server.tree = {**server.tree, "generation": "b2"}
        server.start()
        until(lambda: server.status().get("generation") == "b2")
        assert server.processes[0].wait(WITHIN_S) == 0
        callers.more()
    end(server)
    assert Counter(ids(tmp_path)) == Counter(callers.answered)


def test_a_change_turns_the_log_off_and_on(logged: Serve, tmp_path: Path) -> None:
    server = logged().started()
    on = server.tree

    def ask() -> None:  # on a connection of its own: a kept one goes on with the workers before the change
        body = {"inputs": [row()]}
        assert httpx.post(f"{server.url}/v2/models/classifier/infer", json=body, timeout=WITHIN_S).is_success

    ask()
    assert server.change({**on, "generation": "b2", "prediction_log": None})[-1]["ok"]
    assert server.status()["prediction_log"] is None
    assert len(ids(tmp_path)) == 1
    ask()
    assert server.change({**on, "generation": "c3"})[-1]["ok"]
    ask()
    end(server)
    assert len(ids(tmp_path)) == 2


def test_the_sample_is_decided_by_the_ids_alone(logged: Serve, tmp_path: Path) -> None:
    server = logged(workers=2, log={"sample": 0.3}).started()
    with Callers(server)() as callers:
        callers.more(200)
    end(server)
    below = share_below(0.3)
    assert below is not None
    assert sorted(ids(tmp_path)) == sorted(name for name in callers.answered if in_sample(name, below))


def test_only_the_roller_loads_what_rolls_and_it_ends_when_all_is_done(logged: Serve, tmp_path: Path) -> None:
    server = logged().started()

    def maps(pid: int) -> str:
        with suppress(OSError):
            return Path(f"/proc/{pid}/maps").read_text()
        return ""  # it is done already

    def seen() -> bool:
        server.infer("classifier", row())
        pid = roller(server)
        found = maps(pid)
        assert "onnxruntime" not in found
        return "libarrow" in found

    until(seen)
    for pid in (server.processes[0].pid, server.workers()[0]):
        assert "libarrow" not in maps(pid)
    until(lambda: not spooled(tmp_path) and server.status()["prediction_log"] is None)
    assert server.events("prediction log lost") == []


def test_the_roller_gives_way_to_the_workers(logged: Serve) -> None:
    server = logged().started()

    def kindly() -> bool:
        server.infer("classifier", row())
        with suppress(ProcessLookupError):
            mine = os.getpriority(os.PRIO_PROCESS, server.workers()[0])
            return os.getpriority(os.PRIO_PROCESS, roller(server)) == mine + 10
        return False

    until(kindly)


def test_a_key_is_in_no_file_and_files_are_the_owners_alone(logged: Serve, tmp_path: Path) -> None:
    key = "canary-1b9f3c"
    salted = {"salt": "00ff", "sha256": auth.digest("00ff", key)}
    server = logged(auth={"api_key": salted}).started()
    asked = server.client.post(
        "/v2/models/classifier/infer", json={"inputs": [row()]}, headers={"authorization": f"Bearer {key}"}
    )
    assert asked.status_code == 200
    assert server.client.post("/v2/models/classifier/infer", json={"inputs": [row()]}).status_code == 401
    until(lambda: counted(server) == 1)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    end(server)
    written += [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(key.encode() not in path.read_bytes() for path in written if path.exists())
    (file,) = (tmp_path / "log").glob("**/*.parquet")
    assert file.stat().st_mode & 0o077 == 0
    assert len(ids(tmp_path)) == 1


def test_a_spool_that_cannot_be_written_disturbs_nobody(logged: Serve, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("in the way")
    server = logged().started()
    for _ in range(5):
        assert server.infer("classifier", row()).status_code == 200
    until(lambda: counted(server, "disk_error") == 5)
    assert counted(server) == 0
    assert server.events("predictions not logged")[0]["reason"] == "Not a directory"
    assert server.status()["ready"]
