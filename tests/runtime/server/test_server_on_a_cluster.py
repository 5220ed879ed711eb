"""A server as its pod starts it: the configuration in a variable, the key in a mounted file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bedplate.runtime.server.config import LIMITS, Timeouts, load_variable, parse
from bedplate.runtime.server.config_table import ConfigError
from bedplate.targets.kubernetes import pods
from bedplate.workloads import ServedModel, Service
from tests.runtime.server.served import Server, row, until

Serve = Callable[..., Server]
VARIABLE = "BEDPLATE_CONFIG"


@pytest.fixture
def as_a_pod(serve: Serve) -> Serve:
    """Starts a server by the words of the pod, with a control socket of its own."""

    def start(**changes: Any) -> Server:
        server = serve(**changes)
        server.tree.pop("limits")
        environment = {**os.environ, VARIABLE: json.dumps(server.tree)}
        command = ["-m", "bedplate.runtime.server", "--config-variable", VARIABLE]
        with (server.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command, "--control", str(server.control)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=server.folder,
            )
        server.processes.append(process)
        return server

    return start


def test_the_configuration_is_the_value_of_a_variable(as_a_pod: Serve) -> None:
    server = as_a_pod()
    until(lambda: server.status().get("ready"))
    assert server.infer("classifier", row()).status_code == 200


def test_a_variable_that_is_not_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(ConfigError, match=VARIABLE):
        load_variable(VARIABLE)


def test_the_key_is_that_of_a_file(as_a_pod: Serve, tmp_path: Path) -> None:
    key = tmp_path / "api-key"
    key.write_text("opensesame\n")
    server = as_a_pod(auth={"api_key_file": str(key)})
    until(lambda: server.status().get("ready"))
    assert server.infer("classifier", row()).status_code == 401
    server.client.headers["X-API-Key"] = "opensesame"
    assert server.infer("classifier", row()).status_code == 200


@pytest.mark.parametrize(("content", "told"), [(None, "No such file"), ("\n", "is empty")])
def test_a_file_without_a_key_ends_it_with_a_reason(
    as_a_pod: Serve, tmp_path: Path, content: str | None, told: str
) -> None:
    if content is not None:
        (tmp_path / "api-key").write_text(content)
    server = as_a_pod(auth={"api_key_file": str(tmp_path / "api-key")})
    assert server.processes[0].wait(60) == 2
    assert told in server.events("bad configuration")[0]["reason"]


def test_what_a_pod_is_given_is_what_the_server_reads() -> None:
    model = ServedModel("delay", "3", "0" * 64)
    read = parse(pods.config(Service("serving.delay", "delay", (model,))))
    assert (read.service, read.port, read.limits) == ("serving.delay", pods.PORT, LIMITS)
    assert [m.path for m in read.models] == [f"/models/sha256-{model.sha256}.onnx"]
    assert read.timeouts.request_s == Timeouts(1, 1, 1).request_s
    quick = parse(pods.config(Service("serving.delay", "delay", (model,), timeout_s=0.2)))
    assert quick.timeouts.request_s == 0.2
