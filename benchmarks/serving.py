"""The model server beside others that serve the same model, and beside what Uvicorn and onnxruntime allow.

The servers have one core, and wrk the other, with 16 connections; nothing but wrk and the one that is asked works
at a time. All of ours is on as a user has it: `bedplate up`, validation, metrics, the prediction log.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml

from benchmarks.measure import Comparison, Peak
from benchmarks.peers import environments
from benchmarks.project import Measured
from tests.ports import free_port

HERE = Path(__file__).parent
SECONDS = 4
CONNECTIONS = 16
WITHIN_S = 60
WIDTHS = (20, 64, 32, 1)
JSON = "application/json"
BATCH = 32


@dataclass(frozen=True)
class Asked:
    """What wrk sends: a body, and what its headers say of it."""

    body: Path
    type: str = JSON
    json_bytes: int | None = None

    def environment(self) -> Mapping[str, str]:
        told = {"BODY": str(self.body), "TYPE": self.type}
        return told if self.json_bytes is None else {**told, "JSON_BYTES": str(self.json_bytes)}


@dataclass(frozen=True)
class Load:
    """What a server did under load."""

    per_s: float
    p99_ms: float


@dataclass
class Served:
    """A server that runs: its inference URL, and its first process."""

    name: str
    url: str
    asked: Asked
    pid: int
    is_master: bool = False  # whose workers answer
    loads: list[Load] = field(default_factory=list)

    def processes(self) -> list[psutil.Process]:
        first = psutil.Process(self.pid)
        return [first, *first.children(recursive=True)]

    def on(self, cores: Sequence[int]) -> None:
        """Keep what answers on these cores; what a master starts beside its workers stays free to run anywhere."""
        first, *others = self.processes()
        for process in others if self.is_master else [first, *others]:
            for thread in process.threads():
                os.sched_setaffinity(thread.id, cores)

    def megabytes(self) -> float:
        """What it holds, shared pages divided among those that share them."""
        return sum(process.memory_full_info().pss for process in self.processes()) / 1e6

    def load(
        self, asked: Asked | None = None, *, seconds: int = SECONDS, client: Sequence[int] = (1,)
    ) -> Load:
        """Ask it as fast as it answers; raises where one answer is not what it should be."""
        command = [
            "taskset",
            "-c",
            ",".join(map(str, client)),
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{seconds}s",
        ]
        ran = subprocess.run(
            [*command, "-s", str(HERE / "load.lua"), self.url],
            env={**os.environ, **(asked or self.asked).environment()},
            capture_output=True,
            text=True,
            check=True,
        )
        told: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
        if told["bad"] or not told["requests"]:
            raise RuntimeError(f"{self.name} did not answer all requests: {ran.stdout}")
        return Load(told["requests"] / told["seconds"], told["p99_ms"])


def serving(folder: Path, pairs: int) -> Iterator[Comparison | Peak]:
    """All servers at once, asked one after the other, several times."""
    need("wrk", "taskset")
    model = folder / "net.onnx"
    write_model(model)
    bodies = _bodies(folder)
    with ExitStack() as running:
        servers = [
            running.enter_context(start(model, folder, bodies))
            for start in (bare, tutorial, mlserver, kserve)
        ]
        ours = running.enter_context(bedplate(model, folder / "logged", bodies, prediction_log={}))
        quiet = running.enter_context(bedplate(model, folder / "quiet", bodies, "bedplate, no log"))
        everyone = [ours, quiet, *servers]
        in_turn(everyone, pairs)
        yield from _beside(ours, quiet, servers)
        yield Peak(  # while all have been asked the same
            "memory of a server under load, its log included",
            "master and worker",
            ours.megabytes(),
            servers[1].megabytes(),
            limited_by="FastAPI tutorial",
        )
        yield _binary(ours, bodies, pairs)
    yield _workers(model, folder, bodies, pairs)


def in_turn(servers: Sequence[Served], times: int) -> None:
    """Ask all of them, one after the other and that several times, each on one core and warm.

    Every other time in reverse, as what ran just before leaves a virtual machine faster or slower.
    """
    for server in servers:
        server.on([0])
        server.load(seconds=2)
    for number in range(times):
        for server in servers if number % 2 else reversed(servers):
            server.loads.append(server.load())


def _beside(ours: Served, quiet: Served, others: Sequence[Served]) -> Iterator[Comparison]:
    limits = {"bare": 0.8}

    def compared(
        what: str, other: Served, figure: str, limit: float, *, least: bool, a: Served = ours
    ) -> Comparison:
        pairs = tuple(
            (getattr(one, figure), getattr(two, figure))
            for one, two in zip(a.loads, other.loads, strict=True)
        )
        return Comparison(what, a.name, other.name, figure, limit, pairs, least=least)

    for other in others:
        yield compared("requests, batch 1, JSON", other, "per_s", limits.get(other.name, 5), least=True)
    yield compared("99th percentile", others[0], "p99_ms", 1.5, least=False)
    yield compared("with the prediction log", quiet, "per_s", 0.95, least=True)


def _binary(ours: Served, bodies: Mapping[str, Asked], pairs: int) -> Comparison:
    found = [(ours.load(bodies["binary"]).per_s, ours.load(bodies["batch"]).per_s) for _ in range(pairs)]
    return Comparison(
        f"batch {BATCH}, binary", "bedplate, binary", "bedplate, JSON", "per_s", 1.3, tuple(found), least=True
    )


def _workers(model: Path, folder: Path, bodies: Mapping[str, Asked], pairs: int) -> Comparison:
    """Two workers beside one, on the two cores that wrk shares: with requests that cost it little beside them."""
    with (
        bedplate(
            model, folder / "two", bodies, "bedplate, replicas: 2", replicas=2, prediction_log={}
        ) as two,
        bedplate(model, folder / "one", bodies, "bedplate, replicas: 1", prediction_log={}) as one,
    ):
        found = []
        for number in range(pairs + 1):
            # Long enough for the log to be rolled several times in each.
            pair = tuple(
                server.load(bodies["batch"], seconds=3 * SECONDS, client=(0, 1)).per_s
                for server in (two, one)
            )
            if number:
                found.append((pair[0], pair[1]))
    what = f"two workers, batch {BATCH}, JSON"
    return Comparison(what, two.name, one.name, "per_s", 1.5, tuple(found), least=True)


def write_model(path: Path, widths: Sequence[int] = WIDTHS) -> None:
    """float32 layers of these widths, with rectifiers between."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(7)
    nodes, weights, last = [], [], "x"
    for number, (rows, columns) in enumerate(pairwise(widths)):
        values = random.standard_normal((rows, columns)).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"w{number}"))
        end = "y" if columns == 1 else f"h{number}"
        nodes.append(helper.make_node("MatMul", [last, f"w{number}"], [end]))
        if end != "y":
            nodes.append(helper.make_node("Relu", [end], [f"r{number}"]))
        last = f"r{number}"
    ends = (
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, widths[0]]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1]),
    )
    graph = helper.make_graph(nodes, "net", [ends[0]], [ends[1]], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)


def _bodies(folder: Path) -> Mapping[str, Asked]:
    rows = np.random.default_rng(1).standard_normal((BATCH, WIDTHS[0])).astype(np.float32).round(4)

    def written(name: str, tree: object, tail: bytes = b"") -> Path:
        path = folder / name
        path.write_bytes(json.dumps(tree).encode() + tail)
        return path

    def tensor(count: int, **more: object) -> dict[str, object]:
        return {"inputs": [{"name": "x", "shape": [count, WIDTHS[0]], "datatype": "FP32", **more}]}

    values = rows.astype(float).tolist()
    blob = rows.tobytes()
    binary = tensor(BATCH, parameters={"binary_data_size": len(blob)}) | {
        "parameters": {"binary_data_output": True}
    }
    return {
        "one": Asked(written("one.json", tensor(1, data=values[0]))),
        "rows": Asked(written("rows.json", {"rows": values[:1]})),
        "batch": Asked(written("batch.json", tensor(BATCH, data=rows.ravel().tolist()))),
        "binary": Asked(
            written("batch.bin", binary, blob), "application/octet-stream", len(json.dumps(binary).encode())
        ),
    }


@contextmanager
def bedplate(
    model: Path,
    folder: Path,
    bodies: Mapping[str, Asked],
    name: str = "bedplate",
    cpu: int = 1,
    **changes: Any,
) -> Iterator[Served]:
    """The service of a project of its own, as `bedplate up` starts it."""
    folder.mkdir()
    shutil.copyfile(model, folder / "net.onnx")
    served = {"resources": {"limits": {"cpu": 1, "memory": "1Gi"}}, "slo": {"p95": "100ms"}, **changes}
    spec = {
        "version": 1,
        "project": folder.name,
        "models": {"net": {"path": "net.onnx"}},
        "serving": {"net": served},
    }
    (folder / "bedplate.yaml").write_text(yaml.safe_dump(spec))
    project = Measured(folder)
    project.run("up", "--yes")
    try:
        told = json.loads(
            subprocess.run(project.bedplate("status", "--json"), capture_output=True, check=True).stdout
        )
        (service,) = told["services"]
        yield Served(name, f"{service['url']}/v2/models/net/infer", bodies["one"], service["pid"], True)
    finally:
        project.run("destroy", "--yes")


def bare(model: Path, folder: Path, bodies: Mapping[str, Asked]) -> Any:
    command = [sys.executable, str(HERE / "peers" / "bare.py")]
    return _started("bare", command, model, "/", bodies["one"], folder)


def tutorial(model: Path, folder: Path, bodies: Mapping[str, Asked]) -> Any:
    command = [sys.executable, str(HERE / "peers" / "tutorial.py")]
    return _started("FastAPI tutorial", command, model, "/predict", bodies["rows"], folder)


def kserve(model: Path, folder: Path, bodies: Mapping[str, Asked]) -> Any:
    command = [str(environments.python("kserve")), str(HERE / "peers" / "kserve_model.py")]
    return _started("KServe", command, model, "/v2/models/net/infer", bodies["one"], folder)


def mlserver(model: Path, folder: Path, bodies: Mapping[str, Asked]) -> Any:
    told = folder / "mlserver"
    told.mkdir()
    ports = {"grpc_port": free_port(), "metrics_port": free_port()}
    # One process answers and runs, which is the faster of its two ways for a small model.
    settings = {"host": "127.0.0.1", "parallel_workers": 0, "debug": False, **ports}
    (told / "settings.json").write_text(json.dumps(settings))
    (told / "model-settings.json").write_text(
        json.dumps({"name": "net", "implementation": "mlserver_model.Net"})
    )
    command = [str(environments.python("mlserver").with_name("mlserver")), "start", str(told)]
    return _started("MLServer", command, model, "/v2/models/net/infer", bodies["one"], folder)


@contextmanager
def _started(
    name: str, command: Sequence[str], model: Path, path: str, asked: Asked, folder: Path
) -> Iterator[Served]:
    port = free_port()
    told = {"MODEL": str(model), "PORT": str(port), "MLSERVER_HTTP_PORT": str(port)}
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=HERE / "peers",
            env={**os.environ, **told, "PYTHONPATH": str(HERE / "peers")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    server = Served(name, f"http://127.0.0.1:{port}{path}", asked, process.pid)
    try:
        _await(lambda: process.poll() is None and _answers(port), f"{name} listens")
        yield server
    finally:
        process.terminate()
        process.wait(WITHIN_S)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _await(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {WITHIN_S} s: {what}")
        time.sleep(0.1)


def need(*commands: str) -> None:
    missing = [command for command in commands if shutil.which(command) is None]
    if missing:
        raise SystemExit(f"install these first: {' '.join(missing)} (Debian: apt-get install wrk util-linux)")
