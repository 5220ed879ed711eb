"""A real server for tests: a master process with its workers on a free loopback port."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from bedplate.runtime.server import control
from tests.ports import free_port
from tests.runtime.server.served_models import Written

T = TypeVar("T")

WITHIN_S = 60.0


def until(found: Callable[[], T], within_s: float = WITHIN_S) -> T:
    """The first true value of `found`; fails at the deadline."""
    deadline = time.monotonic() + within_s
    while True:
        value = found()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {within_s} s; last was {value!r}"
        time.sleep(0.02)


def entry(name: str, written: Written, version: str = "1") -> dict[str, str]:
    return {"name": name, "version": version, "path": str(written.path), "sha256": written.sha256}


def config(models: Sequence[dict[str, str]], **changes: Any) -> dict[str, Any]:
    return {
        "service": "serving.test",
        "generation": "a1",
        "host": "127.0.0.1",
        "port": free_port(),
        "models": list(models),
        "workers": 1,
        "threads": 1,
        "memory_bytes": None,
        "slo_p95_s": None,
        "limits": {"body_bytes": 2**20, "in_flight": 8, "elements": 10_000},
        "timeouts": {"ready_s": 30, "drain_s": 4, "stop_s": 10},
        "auth": None,
        **changes,
    }


@dataclass
class Server:
    """One master; `tree` is its configuration, `client` keeps connections like a real caller."""

    folder: Path
    tree: dict[str, Any]
    name: str = "master"
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.control = self.folder / "c.sock"
        self.url = f"http://127.0.0.1:{self.tree['port']}"
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def write(self, tree: dict[str, Any], name: str = "config.json") -> Path:
        path = self.folder / name
        path.write_text(json.dumps(tree))
        path.chmod(0o600)
        return path

    def start(self) -> subprocess.Popen[bytes]:
        path = self.write(self.tree)
        options = [f"--config={path}", f"--control={self.control}"]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "bedplate.runtime.server", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        self.processes.append(process)
        return process

    def started(self) -> Server:
        self.start()
        until(lambda: self.status().get("ready"))
        return self

    def ask(self, **command: Any) -> list[dict[str, Any]]:
        return list(control.ask(self.control, command, WITHIN_S))

    def status(self) -> dict[str, Any]:
        try:
            return self.ask(command="status")[-1]
        except OSError:
            return {}

    def change(self, tree: dict[str, Any]) -> list[dict[str, Any]]:
        return self.ask(command="change", config=str(self.write(tree, "next.json")))

    def workers(self) -> list[int]:
        return [worker["pid"] for worker in self.status()["workers"]]

    def infer(self, name: str, *inputs: dict[str, Any], **more: Any) -> httpx.Response:
        return self.client.post(f"/v2/models/{name}/infer", json={"inputs": list(inputs), **more})

    def log(self) -> list[dict[str, Any]]:
        """The log, every line of which must be an object of JSON."""
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]

    def events(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log() if line["event"] == event]

    def stop(self) -> None:
        """End everything that was started and leave no process behind."""
        self.client.close()
        family = [child for process in self.processes for child in _family(process.pid)]
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        _, alive = psutil.wait_procs(family, timeout=5)
        for left in alive:
            left.kill()
        assert not alive, f"left behind: {alive}"


def _family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def tensor(name: str, datatype: str, shape: list[int], data: object, **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data, **more}


def row(*numbers: float) -> dict[str, Any]:
    """One row for the classifier."""
    return tensor("x", "FP32", [1, 4], list(numbers or (1, 2, 3, 4)))


def raw(server: Server, data: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes as they are on a fresh connection; status, headers and body of the answer."""
    with socket.create_connection(("127.0.0.1", server.tree["port"]), timeout=WITHIN_S) as connection:
        connection.sendall(data)
        return read_answer(connection)


def read_answer(connection: socket.socket, *, body: bool = True) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer; `body` False: of one that has none, as to HEAD."""
    with connection.makefile("rb") as stream:
        status = 100
        while status == 100:
            status = int(stream.readline().split()[1])
            headers = {}
            while (line := stream.readline()) not in (b"\r\n", b""):
                name, _, text = line.decode().partition(":")
                headers[name.lower()] = text.strip()
        return status, headers, stream.read(int(headers.get("content-length", "0"))) if body else b""


def post(path: str, body: bytes, *headers: str) -> bytes:
    head = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body
