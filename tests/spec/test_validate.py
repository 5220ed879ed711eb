from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bedplate.compiler import compile_project
from bedplate.diagnostics import merged
from bedplate.sections import serving
from bedplate.spec import grammar
from bedplate.spec.inputs import read_inputs, read_lock
from bedplate.spec.load import load, load_text
from bedplate.spec.project import Project
from bedplate.spec.validate import Validated, validate
from bedplate.spec_files import SpecFiles
from tests.spec.cases import MODEL

HEAD = "version: 1\nproject: flights\n"
SPEC = (
    HEAD
    + """\
variables: {file: {type: string, default: delay}}
models: {delay: {path: "${var.file}.onnx"}}
serving:
  delay: {replicas: 2, slo: {p95: 100ms, error_rate: 1%}, expose: {auth: {api_key: {secret: delay-key}}}}
environments:
  local: {target: local}
  staging:
    target: local
    variables: {file: other}
    secrets: {delay-key: {env: STAGING_KEY}}
    override: {serving: {delay: {slo: {p95: 50ms}}}}
  prod:
    extends: staging
    override: {serving: {delay: {replicas: 4, slo: {error_rate: ~}}, hub: {model: delay}}}
"""
)


def validated(text: str) -> Validated:
    return validate(load_text(text.encode(), "bedplate.yaml", Path("/")))


def entry(project: Project, name: str) -> serving.Model:
    found = project.sections["serving"][name]
    assert isinstance(found, serving.Model)
    return found


def test_environments_are_built_from_their_root_down() -> None:
    projects = validated(SPEC).projects
    local, staging, prod = (projects[name] for name in ("local", "staging", "prod"))

    assert [entry(p, "delay").replicas for p in (local, staging, prod)] == [2, 2, 4]
    assert [str(entry(p, "delay").slo.p95) for p in (local, staging, prod)] == ["0.100", "0.050", "0.050"]
    assert entry(prod, "delay").slo.error_rate is None
    assert set(prod.sections["serving"]) == {"delay", "hub"}
    assert [p.sections["models"]["delay"].path for p in (local, prod)] == ["delay.onnx", "other.onnx"]
    assert local.environment.secret_source("delay-key") == {"env": "DELAY_KEY"}
    assert prod.environment.secret_source("delay-key") == {"env": "STAGING_KEY"}


def test_spans_point_at_what_an_environment_says() -> None:
    projects = validated(SPEC).projects

    assert projects["local"].span(("serving", "delay", "replicas")).line == 6
    assert projects["prod"].span(("serving", "delay", "replicas")).line == 16
    assert projects["prod"].span(("serving", "hub"), at_key=True).column == 70
    assert projects["local"].span(("serving", "delay", "rollout", "canary")).line == 6


def test_an_entry_that_no_environment_touches_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    genuine = grammar.read

    def counting(
        model: object, node: object, path: tuple[str, ...], *rest: object, **named: object
    ) -> object:
        reads.append(".".join(path))
        return genuine(model, node, path, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("bedplate.spec.validate.read", counting)
    environments = "".join(f"  e{i}: {{target: local}}\n" for i in range(5))
    result = validated(
        HEAD + "models: {a: {path: a.onnx}, b: {path: b.onnx}}\nenvironments:\n" + environments
    )

    assert len(result.projects) == 5
    assert reads.count("models.a") == 1
    assert result.projects["e0"].sections["models"]["a"] is result.projects["e4"].sections["models"]["a"]


def test_a_problem_of_every_environment_names_none() -> None:
    found = validated(
        HEAD + "models: {a: {}}\nenvironments: {x: {target: local}, y: {target: local}}\n"
    ).diagnostics

    assert [(d.code, d.environment) for d in found] == [("BP028", None)]
    assert merged({"x": found, "y": ()})[0].environment == "x"


def test_files_are_hashed_and_held_to_the_project(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "outside.onnx").write_bytes(b"outside")
    (project / "good.onnx").write_bytes(b"abc")
    (project / "inside.onnx").symlink_to("good.onnx")
    (project / "leaves.onnx").symlink_to(tmp_path / "outside.onnx")
    (project / "loop.onnx").symlink_to("loop.onnx")
    os.mkfifo(project / "fifo.onnx")
    names = ("good", "inside", "leaves", "loop", "fifo", "none")
    spec = project / "bedplate.yaml"
    spec.write_text(HEAD + "models:\n" + "".join(f"  {name}: {{path: {name}.onnx}}\n" for name in names))

    loaded = load(spec)
    projects, found = read_inputs(validate(loaded).projects, project, loaded.files)

    assert [(d.path[1], d.code) for d in found] == [
        ("leaves", "BP111"),
        ("loop", "BP112"),
        ("fifo", "BP112"),
        ("none", "BP112"),
    ]
    files = projects["local"].inputs.files
    assert set(files) == {"good.onnx", "inside.onnx"}
    assert files["good.onnx"].sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files["good.onnx"].size == 3


GRAPHS = """
import sys
from collections.abc import Callable
from pathlib import Path
from bedplate.cli.project import check_file
from bedplate.compiler import compile_project
projects, found = check_file(Path(sys.argv[1]))
assert not found, found
for name in sorted(projects):
    for graph in compile_project(projects[name]).graphs.values():
        print(graph.to_json())
"""


def test_the_graphs_are_the_same_bytes_everywhere(tmp_path: Path) -> None:
    """Under any hash seed, key order, locale, time zone and working directory."""
    for name, text in (("a", SPEC), ("b", _reordered(SPEC))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "bedplate.yaml").write_text(text)
        for model in ("delay", "other"):
            (tmp_path / name / f"{model}.onnx").write_bytes(MODEL.read_bytes())
    answers = set()
    for name, seed, (zone, locale, cwd) in itertools.product(
        ("a", "b"), ("0", "1"), (("UTC", "C", "/"), ("Asia/Kathmandu", "tr_TR.UTF-8", str(tmp_path)))
    ):
        done = subprocess.run(
            [sys.executable, "-c", GRAPHS, str(tmp_path / name / "bedplate.yaml")],
            cwd=cwd,
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale},
            capture_output=True,
            text=True,
            check=True,
        )
        answers.add(done.stdout)

    assert len(answers) == 1
    assert '"serving.delay"' in answers.pop()


def _reordered(text: str) -> str:
    """The same spec with its top-level keys the other way round."""
    blocks: list[str] = []
    for line in text.splitlines(keepends=True):
        if line[0] == " ":
            blocks[-1] += line
        else:
            blocks.append(line)
    return "".join(reversed(blocks))


def test_compiling_reads_no_clock_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bedplate.yaml").write_text(SPEC)
    for model in ("delay", "other"):
        (tmp_path / f"{model}.onnx").write_bytes(b"x")
    loaded = load(tmp_path / "bedplate.yaml")
    projects, _ = read_inputs(validate(loaded).projects, tmp_path, loaded.files)

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("compiling is pure")

    for name in ("builtins.open", "os.open", "time.time", "random.random", "socket.socket"):
        monkeypatch.setattr(name, forbidden)
    compiled = compile_project(projects["prod"])

    assert compiled.graphs["serving"].resources


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (os.mkfifo, "not a regular file"),
        (os.mkdir, "not a regular file"),
        (lambda path: path.symlink_to("/etc/hostname"), "it leads outside the project"),
        (lambda path: path.write_bytes(b"\n" * (16 * 1024**2 + 1)), "it is larger than 16 MiB"),
    ],
)
def test_a_lock_that_is_no_file_of_the_project_is_refused_without_waiting(
    make: Callable[[Path], object], why: str, tmp_path: Path
) -> None:
    make(tmp_path / "bedplate.lock")

    _, _, (found,) = read_lock(tmp_path, SpecFiles())
    assert (found.code, found.message) == ("BP114", f"bedplate.lock cannot be read: {why}")
