"""What the verbs say of names that are almost those of environments and services."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bedplate.cli import run
from bedplate.workspace import Workspace
from tests.spec.cases import MODEL

SPEC = """\
version: 1
project: flights
models: {iris: {path: delay.onnx}}
serving: {iris: {}}
environments:
  cluster: {target: local, abstract: true}
  staging: {extends: cluster}
  prod: {extends: cluster}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(MODEL, tmp_path)
    (tmp_path / "bedplate.yaml").write_text(SPEC)
    return tmp_path


@pytest.mark.parametrize("verb", [["up", "--yes"], ["plan"], ["lock"], ["logs", "serving.iris"]])
def test_an_abstract_environment(project: Path, verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-C", str(project), *verb, "--env", "cluster"]) == 2

    said = capsys.readouterr().err
    assert "the environment 'cluster' is abstract: it is only extended, and never applied" in said
    assert "there are: prod, staging" in said


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("serving.irs", "did you mean serving.iris?"),
        ("iris", "did you mean serving.iris?"),
        ("serving.iris", "nothing runs there; `bedplate up` starts it"),
        ("serving.zzz", "nothing runs there; `bedplate up` starts it"),
    ],
)
def test_the_log_of_what_does_not_run(
    project: Path, address: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["-C", str(project), "logs", address, "--env", "prod"]) == 2

    said = capsys.readouterr().err
    assert f"there is no log of {address!r} in prod" in said
    assert hint in said


def test_the_log_of_what_is_almost_what_runs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs = Workspace(project).world("prod").logs
    logs.mkdir(parents=True)
    (logs / "serving.hub.log").write_text("")

    assert run(["-C", str(project), "logs", "hubb", "--env", "prod"]) == 2
    assert "did you mean serving.hub?" in capsys.readouterr().err
