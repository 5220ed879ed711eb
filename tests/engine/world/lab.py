"""One project's world, driven through the kinds as the provider drives them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
import psutil
from onnx import TensorProto, helper

from bedplate.engine.provider.kind import Context, Created, Observed
from bedplate.engine.provider.kinds.artifact import Artifact
from bedplate.engine.provider.kinds.service import Service
from bedplate.engine.provider.kinds.supervisor import Supervisor
from bedplate.engine.world.machine import Machine, Master
from bedplate.workspace import LocalWorld, Workspace

DEADLINE_S = 30.0


def model_bytes(factor: float = 2.0) -> bytes:
    """A tiny model that multiplies its input."""
    node = helper.make_node("Mul", ["x", "factor"], ["y"])
    graph = helper.make_graph(
        [node],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor("factor", TensorProto.FLOAT, [1], [factor])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    return bytes(onnx.ModelProto.SerializeToString(model))


def until(condition: Callable[[], bool], what: str, timeout_s: float = DEADLINE_S) -> None:
    """Waits for a condition; the test fails if it does not come true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for: {what}"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """Whether a process has ended, a zombie included."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@dataclass
class Lab:
    """A project at `root` with one environment."""

    root: Path
    machine: Machine
    environment: str = "local"
    said: list[str] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.root = self.root.resolve()

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root)

    @property
    def world(self) -> LocalWorld:
        return self.workspace.world(self.environment)

    @property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.machine)

    @property
    def artifact(self) -> Artifact:
        return Artifact()

    @property
    def service(self) -> Service:
        return Service(self.machine)

    def context(self, kind: str, name: str, project: str = "flights") -> Context:
        urn = f"urn:pulumi:{self.environment}::{project}::bedplate:local:{kind}::{name}"
        return Context(self.workspace, urn, threading.Event(), self.said.append)

    # supervisor

    def start(self) -> str:
        inputs = {"environment": self.environment, "state": "running"}
        created = self.supervisor.create(self.context("Supervisor", "supervisor"), inputs)
        self.ids["supervisor"] = created.id
        return created.id

    def read_supervisor(self) -> Observed | None:
        context = self.context("Supervisor", "supervisor")
        return self.supervisor.read(context, self.ids["supervisor"], {}, {})

    def stop(self) -> None:
        context = self.context("Supervisor", "supervisor")
        self.supervisor.delete(context, self.ids["supervisor"], {}, {})

    # models

    def write_model(self, content: bytes | None = None, path: str = "models/delay.onnx") -> dict[str, Any]:
        content = model_bytes() if content is None else content
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        return {"environment": self.environment, "path": path, "sha256": sha256, "size": len(content)}

    def store(self, content: bytes | None = None, name: str = "delay") -> str:
        """Stores a model under a name, created or updated, and gives its sha256."""
        inputs = self.write_model(content, f"models/{name}.onnx")
        context = self.context("Artifact", name)
        if f"models.{name}" in self.ids:
            self.artifact.update(context, self.ids[f"models.{name}"], {}, {}, inputs)
        else:
            self.ids[f"models.{name}"] = self.artifact.create(context, inputs).id
        return str(inputs["sha256"])

    def unstore(self, name: str = "delay") -> None:
        self.artifact.delete(self.context("Artifact", name), self.ids.pop(f"models.{name}"), {}, {})

    # services

    def inputs(self, sha256: str, name: str = "delay", **changes: Any) -> dict[str, Any]:
        given = {
            "environment": self.environment,
            "address": f"serving.{name}",
            "name": name,
            "models": [{"name": "delay", "version": sha256[:12], "sha256": sha256}],
            "replicas": 1,
            "threads": 1,
            "timeouts": {"ready_s": 30, "drain_s": 5, "stop_s": 10},
            "state": "running",
        }
        return {key: value for key, value in {**given, **changes}.items() if value is not None}

    def serve(self, inputs: Mapping[str, Any]) -> Created:
        created = self.service.create(self.context("Service", inputs["name"]), inputs)
        self.ids[inputs["name"]] = created.id
        return created

    def change(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        name = inputs["name"]
        return self.service.update(self.context("Service", name), self.ids[name], {}, {}, inputs)

    def read(self, inputs: Mapping[str, Any], name: str = "delay") -> Observed | None:
        return self.service.read(self.context("Service", name), self.ids[name], inputs, {})

    def remove(self, name: str = "delay") -> None:
        self.service.delete(self.context("Service", name), self.ids[name], {}, {})

    def master(self, name: str = "delay") -> Master:
        found = self.machine.master(self.world, name)
        assert found is not None, self.log(name)
        return found

    def config(self, name: str = "delay") -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.world.service(name) / "server.json").read_text())
        return data

    def log(self, name: str = "delay") -> str:
        path = self.world.log(f"serving.{name}")
        return path.read_text() if path.exists() else ""

    def infer(self, port: int, x: float = 3.0, headers: Mapping[str, str] | None = None) -> float:
        """Sends one number to the model and gives back the number it answers."""
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [x]}]}
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v2/models/delay/infer",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", **(headers or {})},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            answer = json.loads(response.read())
        return float(answer["outputs"][0]["data"][0])

    # processes

    def processes(self) -> list[psutil.Process]:
        """Every live process that works in this world's folder."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.cwd() == str(self.world.root) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def end(self) -> None:
        """Ends what still runs, each by its id."""
        while left := self.processes():
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(0.01)
