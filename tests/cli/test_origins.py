"""`bedplate explain --env`: where a value comes from, and what it beat."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bedplate.cli import run
from tests.spec.cases import MODEL

SPEC = """\
version: 1
project: demo
variables:
  region: {type: string, default: us}
defaults:
  serving: {slo: {p95: 100ms}, replicas: 2}
environments:
  staging:
    target: kubernetes
    kubernetes: {context: st, namespace: st}
    images: {registry: ghcr.io/acme/x}
    override:
      serving: {delay: {replicas: 3}}
  prod:
    extends: staging
    variables: {region: eu}
    override:
      serving: {delay: {autoscaling: {min: 3, max: 20, metric: cpu, target: 50}, slo: null}}
models:
  delay: {path: delay.onnx}
serving:
  delay:
    replicas: 5
    slo: {p95: 50ms}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bedplate.yaml").write_text(SPEC)
    shutil.copy(MODEL, tmp_path)
    return tmp_path


def explained(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert run(["-C", str(folder), "explain", "--json", *words]) == 0
    return {found.pop("address"): found for found in json.loads(capsys.readouterr().out)}


def test_a_value_says_its_line_and_what_it_beat(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = explained(folder, capsys, "--env", "staging", "serving.delay.replicas")
    assert found == {
        "serving.delay.replicas": {
            "value": "3", "layer": "override of staging", "file": "bedplate.yaml", "line": 13, "column": 35,
            "beats": [
                {"value": "5", "layer": "the spec", "file": "bedplate.yaml", "line": 23, "column": 15},
                {"value": "2", "layer": "defaults", "file": "bedplate.yaml", "line": 6, "column": 42},
            ],
        }
    }  # fmt: skip


def test_what_was_taken_away_says_by_whom(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = explained(folder, capsys, "--env", "prod", "serving.delay")
    gone = {address: (said["value"], said["layer"]) for address, said in found.items() if not said["value"]}
    assert gone == {
        "serving.delay.replicas": (None, "autoscaling is said instead"),
        "serving.delay.slo.p95": (None, "override of prod"),
    }
    assert found["serving.delay.autoscaling.max"]["value"] == "20"
    assert found["serving.delay.runtime"] == {"value": "bedplate", "layer": "built in", "beats": []}


def test_a_variable_and_a_setting(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    region = explained(folder, capsys, "--env", "prod", "variables.region")["variables.region"]
    assert (region["value"], region["beats"][0]["value"]) == ("eu", "us")
    found = explained(folder, capsys, "--env", "prod", "environments.prod.kubernetes.namespace")
    assert found["environments.prod.kubernetes.namespace"]["layer"] == "environment staging"


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("serving.dela", "serving.delay"),
        ("serving.delay.replcas", "replicas"),
        ("serving.delay.probes", "--env"),
    ],
)
def test_what_is_not_there(folder: Path, address: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-C", str(folder), "explain", "--env", "prod", address]) == 2
    assert hint in capsys.readouterr().err
