"""KServe's own clients ask the server, from an interpreter of theirs: their packages do not go with ours."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers import environments
from tests.ports import free_port
from tests.runtime.server.served import Server

ONE = {"total": [10.0], "label": [3]}


@pytest.fixture
def found(serve: Callable[..., Server]) -> Any:
    server = serve("classifier", "text", "half", "double", grpc_port=free_port()).started()
    script = Path(__file__).with_name("kserve_client.py")
    ran = subprocess.run(
        [environments.python("kserve"), script, server.url, f"127.0.0.1:{server.tree['grpc_port']}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def test_both_of_its_clients_understand_every_answer(found: Any) -> None:
    http, grpc = found["http"], found["grpc"]
    for told in (http, grpc):
        assert [told[question] for question in ("live", "ready", "model_ready")] == [True, True, True]
        assert "unknown model 'none'" in told["unknown"]
    assert http["json"] == {
        "model": "classifier",
        "version": None,
        "id": "a1",
        "outputs": ONE,
    }  # it reads none
    assert http["binary"]["outputs"] == {"total": [10.0]}
    assert http["texts"]["outputs"] == http["binary_texts"]["outputs"] == {"out": ["grün", ""]}
    assert http["half"]["outputs"] == {"out": [0.5]}
    assert http["nothing"]["outputs"] == {"out": []}
    assert "has shape [2, 2], the model takes [-1, 4]" in http["wrong"]
    assert grpc["typed"] == {"model": "classifier", "version": "1", "id": "a1", "outputs": ONE}
    assert grpc["raw"]["outputs"] == ONE
