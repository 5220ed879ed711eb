"""Compiling is pure, whatever the target, and its cost grows as the spec does."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

import pytest

from bedplate import policies
from bedplate.cli.project import check_file
from bedplate.compiler import check, compile_project
from tests.spec.cases import MODEL, ROOT, Case

FORBIDDEN = (
    "builtins.open", "io.open", "os.open", "os.listdir", "os.scandir", "os.getcwd", "os.urandom",
    "os.getenv", "time.time", "time.time_ns", "time.monotonic", "time.localtime", "random.random",
    "random.getrandbits", "uuid.uuid4", "socket.socket", "socket.getaddrinfo", "subprocess.Popen",
)  # fmt: skip
MODELS = 2000


class Shut:
    """The environment of the process, which compiling has no business with."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError("compiling is pure")

    __getitem__ = __contains__ = __iter__ = __getattr__


@pytest.mark.parametrize(
    "name", ["kubernetes/canary", "kubernetes/plain", "kubernetes/container-with-metrics", "project/secrets"]
)
def test_it_looks_at_no_clock_no_chance_no_network_no_file_and_no_variable(name: str, tmp_path: Path) -> None:
    projects, diagnostics = check_file(Case(ROOT / name).copy(tmp_path))
    assert diagnostics == ()
    (project,) = projects.values()
    whole = compile_project(project)  # which imports what it needs

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("compiling is pure")

    with pytest.MonkeyPatch.context() as patched:
        for what in FORBIDDEN:
            patched.setattr(what, forbidden)
        patched.setattr("os.environ", Shut())
        found = check(project)
        again = compile_project(project)
        breaches = list(policies.check(again, project))
    assert (found, breaches, again) == ([], [], whole)


def spec(folder: Path, count: int) -> Path:
    """A project of so many models, each of them served."""
    folder.mkdir()
    (folder / "delay.onnx").write_bytes(MODEL.read_bytes())
    models = "".join(f"  m{number}: {{path: delay.onnx}}\n" for number in range(count))
    served = "".join(f"  m{number}: {{replicas: 2, slo: {{p95: 100ms}}}}\n" for number in range(count))
    path = folder / "bedplate.yaml"
    path.write_text(f"version: 1\nproject: flights\nmodels:\n{models}serving:\n{served}")
    return path


def calls(path: Path) -> int:
    """Made by Python and into it, from the file to the graphs: what time grows with, without a clock."""
    made = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal made
        made += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        projects, diagnostics = check_file(path)
        compiled = compile_project(projects["local"])
    finally:
        sys.setprofile(None)
    assert diagnostics == ()
    assert len(compiled.graphs["serving"].to_json()) > 1000
    return made


def test_two_thousand_models_take_as_long_each_as_a_thousand(tmp_path: Path) -> None:
    calls(spec(tmp_path / "first", 10))  # which imports what it needs
    half, whole = calls(spec(tmp_path / "half", MODELS // 2)), calls(spec(tmp_path / "whole", MODELS))

    assert MODELS < half < whole < half * 2.1
