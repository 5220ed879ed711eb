"""An `up` starts both plugins several times, so what they load is part of its speed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"click", "numpy", "onnx", "onnxruntime", "pydantic", "pydantic_core", "yaml"}
# bedplate.engine.protocol takes the generated messages out of the SDK, not the SDK itself.
SDK = {"pulumi", "pulumi.resource", "pulumi.runtime.rpc"}
COMPILER = {"bedplate.cli", "bedplate.compiler", "bedplate.sections", "bedplate.spec", "bedplate.targets"}
LATER = {"http.client", "xmlrpc.client"}


def loaded(module: str) -> set[str]:
    """What is loaded once a plugin's module is, in a process of its own."""
    code = f"import json, sys, {module}; print(json.dumps(list(sys.modules)))"
    ran = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, check=True)
    return set(json.loads(ran.stdout))


@pytest.mark.parametrize("module", ["bedplate.engine.provider.main", "bedplate.engine.language_host.host"])
def test_a_plugin_loads_only_what_it_needs(module: str) -> None:
    found = loaded(module)
    assert {module, "grpc", "bedplate.engine.protocol"} <= found
    assert found & (HEAVY | SDK | COMPILER | LATER) == set()


@pytest.mark.parametrize("plugin", ["provider", "language_host"])
def test_a_plugin_can_be_ended_quietly_before_it_loads_anything(plugin: str) -> None:
    assert "grpc" not in loaded(f"bedplate.engine.{plugin}.__main__")
