"""A user's project in a temporary folder, driven as a user drives it: through the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
import psutil
from onnx import TensorProto, helper

from bedplate.workspace import Workspace

SPEC = """\
version: 1
project: flights

models:
  delay:
    path: models/delay.onnx

serving:
  delay:
    replicas: 1
    slo: {p95: 100ms, error_rate: 0.1%}
"""

TIMEOUT_S = 180


@dataclass(frozen=True)
class Answer:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@dataclass
class UserProject:
    """A project at `root`. Every text that a command printed is kept in `said`."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    said: list[str] = field(default_factory=list)

    def write(self, spec: str = SPEC) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "bedplate.yaml").write_text(spec)

    def model(self, name: str = "delay", *, factor: float = 2.0) -> Path:
        """A model that multiplies its input by `factor`."""
        path = self.root / "models" / f"{name}.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(multiplier(factor))
        return path

    def unloadable_model(self) -> None:
        """A model whose signature can be read, and which onnxruntime refuses to load."""
        (self.root / "models/delay.onnx").write_bytes(_model("NoSuchOperator", 2.0))

    def start(
        self, *words: str, env: Mapping[str, str] | None = None, within: Sequence[str] = ()
    ) -> subprocess.Popen[str]:
        """Starts a command; `within` is one that it is started by."""
        return subprocess.Popen(
            [*within, sys.executable, "-m", "bedplate", "-C", str(self.root), *words],
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> Answer:
        out, err = process.communicate(timeout=TIMEOUT_S)
        self.said += [out, err]
        return Answer(process.returncode, out, err)

    def run(self, *words: str, env: Mapping[str, str] | None = None, within: Sequence[str] = ()) -> Answer:
        return self.finish(self.start(*words, env=env, within=within))

    def ok(self, *words: str, env: Mapping[str, str] | None = None, within: Sequence[str] = ()) -> Answer:
        """Runs a command that must succeed."""
        answer = self.run(*words, env=env, within=within)
        assert answer.code == 0, f"{words}: exit {answer.code}\n{answer.text}"
        return answer

    def pulumi(self, section: str, *words: str) -> Answer:
        """Bare `pulumi` in a stack's folder, with what `bedplate env` prints and nothing else."""
        exports = self.ok("env", "--json").data
        ended = subprocess.run(
            ["pulumi", *words, "--non-interactive"],
            cwd=self.root / "stacks" / section,
            env={**self.environment, **exports},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        self.said += [ended.stdout, ended.stderr]
        return Answer(ended.returncode, ended.stdout, ended.stderr)

    def sections(self) -> list[str]:
        return sorted(path.parent.name for path in self.root.glob("stacks/*/Pulumi.yaml"))

    def url(self, address: str = "serving.delay") -> str:
        services = self.run("status", "--json").data["services"]
        return next(str(s["url"]) for s in services if s["address"] == address)

    def ask(
        self,
        value: float = 3.0,
        *,
        model: str = "delay",
        headers: Mapping[str, str] | None = None,
        url: str | None = None,
    ) -> Any:
        """What the served model answers to one number."""
        body = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [value]}]}
        request = urllib.request.Request(
            f"{url or self.url(f'serving.{model}')}/v2/models/{model}/infer",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **(headers or {})},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)["outputs"][0]["data"][0]

    def processes(self) -> list[psutil.Process]:
        """Every living process that has to do with this project, by its command line or its folder.

        `info` holds what was seen of it; it may have ended since.
        """
        places = (str(self.root), str(self.runtime))
        found = []
        for process in psutil.process_iter(["cmdline", "cwd", "status"]):
            words: Sequence[str] = (*(process.info["cmdline"] or ()), process.info["cwd"] or "")
            ours = any(place in word for word in words for place in places)
            if ours and process.pid != os.getpid() and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    @property
    def runtime(self) -> Path:
        """Where the sockets of the local world are."""
        return Workspace(self.root.resolve()).world("local").runtime

    def end(self) -> None:
        """Ends what a test left running, by id; a supervisor restarts what is ended before it, so again."""
        deadline = time.monotonic() + 30
        while left := self.processes():
            assert time.monotonic() < deadline, left
            for process in left:
                try:
                    process.kill()
                except psutil.NoSuchProcess:
                    continue
            psutil.wait_procs(left, timeout=5)
        shutil.rmtree(self.runtime, ignore_errors=True)


def multiplier(factor: float) -> bytes:
    model = _model("Mul", factor)
    onnx.checker.check_model(onnx.load_from_string(model))
    return model


def _model(operator: str, factor: float) -> bytes:
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", "factor"], ["y"])],
        "multiplier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor("factor", TensorProto.FLOAT, [1], [factor])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())
