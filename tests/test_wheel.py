"""The wheel in a clean environment: what a user installs is whole without the repository beside it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from bedplate.engine.images import package
from bedplate.image import EPOCH
from bedplate.version import __version__

ROOT = Path(__file__).resolve().parents[1]
UV = Path(sys.executable).with_name("uv")
SPEC = """\
version: 1
project: clean
models:
  double: {path: models/double.onnx}
serving:
  double: {replicas: 1}
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Without what the tests' own environment would lend; what was printed is told when it fails."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=kept, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(UV, "build", "--quiet", "--wheel", "--out-dir", out, ROOT, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel and no extra, in the versions of the lock."""
    folder = tmp_path_factory.mktemp("clean")
    run(UV, "venv", "--quiet", "--python", sys.executable, folder / "env", cwd=folder)
    pins = ROOT / "requirements" / "dev.lock"
    pinned = [
        line.split(" ")[0] for line in pins.read_text().splitlines() if "==" in line and line[0].isalnum()
    ]
    (folder / "constraints.txt").write_text("\n".join(pinned))
    python = folder / "env" / "bin" / "python"
    install = (UV, "pip", "install", "--quiet", "--python", python, "--constraints", "constraints.txt")
    run(*install, wheel, cwd=folder)
    return folder / "env" / "bin"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "bedplate.yaml").write_text(SPEC)
    (tmp_path / "models").mkdir()
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "double", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, tmp_path / "models" / "double.onnx")
    return tmp_path


def test_the_wheel_holds_the_package_and_its_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    forced = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    for inside in forced["force-include"].values():
        assert any(name.startswith(f"{inside}/") for name in names), inside
    assert {"bedplate/py.typed", f"bedplate-{__version__}.dist-info/licenses/LICENSE"} <= names
    assert not any(name.startswith(("tests/", "framework/", "examples/")) for name in names)


def test_the_wheel_holds_every_file_of_the_data_folders(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    folders = ("specs", "templates", "stacks", "tools", "requirements/server")
    listed = run("git", "ls-files", *folders, cwd=ROOT).splitlines()
    assert {f"bedplate/_data/{name}" for name in listed} <= names


def test_the_wheel_holds_the_servers_page(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    listed = run("git", "ls-files", "framework/bedplate/runtime/server/page", cwd=ROOT).splitlines()
    assert len(listed) > 3
    assert {name.removeprefix("framework/") for name in listed} <= names


def test_the_command_says_its_version(clean: Path, tmp_path: Path) -> None:
    assert __version__ in run(clean / "bedplate", "--version", cwd=tmp_path)


def test_a_diagnostic_is_explained(clean: Path, tmp_path: Path) -> None:
    codes = sorted(path.stem for path in (ROOT / "specs" / "diagnostics").glob("BP*.md"))
    assert codes[0] in run(clean / "bedplate", "explain", codes[0], cwd=tmp_path)


def test_a_project_is_validated_and_compiled(clean: Path, project: Path, tmp_path: Path) -> None:
    run(clean / "bedplate", "-C", project, "validate", cwd=tmp_path.parent)
    run(clean / "bedplate", "-C", project, "compile", cwd=tmp_path.parent)
    for section in ("base", "models", "serving"):
        assert (project / "stacks" / section / "graph.local.json").stat().st_size
        assert "runtime: bedplate" in (project / "stacks" / section / "Pulumi.yaml").read_text()


@pytest.mark.parametrize("template", ["minimal", "service", "fleet"])
def test_a_project_is_started_and_holds(clean: Path, template: str, tmp_path: Path) -> None:
    run(clean / "bedplate", "init", template, "demo", cwd=tmp_path)
    assert "is valid" in run(clean / "bedplate", "validate", cwd=tmp_path / "demo")
    assert (tmp_path / "demo" / ".gitignore").read_text().startswith(".bedplate/\n")


def test_what_runs_is_the_wheel_and_not_the_repository(clean: Path, tmp_path: Path) -> None:
    where = run(clean / "python", "-c", "import bedplate.cli; print(bedplate.cli.__file__)", cwd=tmp_path)
    assert str(ROOT / "framework") not in where


def test_an_image_gets_the_same_bedplate_from_a_wheel_as_from_a_checkout(clean: Path, tmp_path: Path) -> None:
    script = "import hashlib; from bedplate.engine.images import package; "
    script += f"print(hashlib.sha256(package.wheel({EPOCH})[1]).hexdigest())"
    here = hashlib.sha256(package.wheel(EPOCH)[1]).hexdigest()
    assert run(clean / "python", "-c", script, cwd=tmp_path).strip() == here


def test_an_image_of_an_installed_bedplate_has_its_dockerfile_and_its_packages(
    clean: Path, project: Path, tmp_path: Path
) -> None:
    script = "from bedplate.engine.images import wheels; from bedplate.cli.project import project_to_build; "
    script += "from bedplate.image import BASE, Base, images; from pathlib import Path; "
    script += f"project = project_to_build(Path({str(project)!r}), 'local')[1]; print(wheels.pythons()); "
    script += "print(images(project, Base(BASE, '3.13', 'linux/amd64'))[0].dockerfile('pip.whl'))"
    said = run(clean / "python", "-c", script, cwd=tmp_path)
    assert said.startswith("['3.11', '3.12', '3.13']\n")
    assert "COPY --from=made /made/models/ /" in said
