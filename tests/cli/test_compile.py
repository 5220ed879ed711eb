"""`bedplate compile --format manifests` as a user calls it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from bedplate.cli import run
from tests.spec.cases import MODEL

SPEC = """\
version: 1
project: flights
environments:
  local: {target: local}
  staging: &cluster
    target: kubernetes
    kubernetes: {context: staging, namespace: flights}
    images: {registry: ghcr.io/acme/flights}
  prod: {<<: *cluster, artifacts: 's3://acme-ml'}
models: {delay: {path: delay.onnx}}
serving:
  delay:
    expose: {auth: {api_key: {secret: delay-key}}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "bedplate.yaml").write_text(SPEC)
    shutil.copy(MODEL, tmp_path / "delay.onnx")
    return tmp_path


def compile_(project: Path, *words: str) -> int:
    return run(["-C", str(project), "compile", *words])


def test_every_environment_on_a_cluster_gets_its_manifests(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compile_(project, "--format", "manifests", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["folder"] == str(project / "manifests")
    assert {name.partition("/")[0] for name in answer["manifests"]} == {"staging", "prod"}
    text = (project / "manifests" / "staging" / "serving.yaml").read_text()
    kinds = [document["kind"] for document in yaml.safe_load_all(text) if document]
    assert {"Deployment", "Service", "NetworkPolicy", "ServiceAccount"} <= set(kinds)
    assert "# Needed: the Secret delay-secrets in flights, with\n#   api-key: the secret delay-key" in text
    assert not (project / "stacks").exists()


def test_the_same_spec_gives_the_same_bytes_and_what_is_of_no_stack_goes(
    project: Path, tmp_path: Path
) -> None:
    assert compile_(project, "--format", "manifests", "--env", "staging") == 0
    folder = project / "manifests" / "staging"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "features.yaml").write_text("left by an older spec\n")
    assert compile_(project, "--format", "manifests", "--env", "staging") == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not (project / "manifests" / "prod").exists()
    assert compile_(project, "--format", "manifests", "--env", "staging", "--out", str(tmp_path / "out")) == 0
    assert {p.name: p.read_bytes() for p in (tmp_path / "out/manifests/staging").iterdir()} == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--format", "manifests", "--env", "local"), "the environment local is not on a cluster"),
        (("--format", "manifests", "--env", "stagin"), "did you mean 'staging'?"),
        (("--env", "staging"), "--env goes with --format manifests"),
        (("--format", "helm"), "'helm' is not one of"),
    ],
)
def test_what_cannot_be_followed(
    project: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    assert compile_(project, *words) == 2
    assert told in capsys.readouterr().err


def test_without_a_cluster_there_is_nothing_to_write(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "bedplate.yaml").write_text(
        "version: 1\nproject: p\nmodels: {delay: {path: delay.onnx}}\nserving: {delay: {}}\n"
    )
    assert compile_(project, "--format", "manifests") == 2
    assert "no environment is on a cluster" in capsys.readouterr().err
