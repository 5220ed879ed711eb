"""The examples and the templates: valid everywhere, clean, generated from what lies beside them."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.cli.project import check_file
from bedplate.compiler import Compiled, compile_project
from tests.spec.cases import Case
from tests.whole import EXAMPLES, REPOSITORY, whole_projects

ENVIRONMENTS = {
    "examples/fleet": ["local", "prod-eu", "prod-us", "staging"],
    "examples/fraud": ["local", "prod", "staging"],
    "examples/pricing": ["local", "prod"],
    "templates/fleet": ["local", "prod-eu", "prod-us", "staging"],
    "templates/minimal": ["local"],
    "templates/service": ["local", "prod", "staging"],
}
GENERATORS = {
    "fleet": ("generate.py", "generate"),
    "fraud": ("train.py", "train"),
    "pricing": ("train.py", "train"),
}
WHOLE = pytest.mark.parametrize("case", whole_projects(), ids=lambda case: case.name)


@WHOLE
def test_every_environment_is_valid_without_a_warning(case: Case, tmp_path: Path) -> None:
    projects, diagnostics = check_file(case.copy(tmp_path))
    assert diagnostics == ()
    assert sorted(projects) == ENVIRONMENTS[case.name]
    assert {name for name, p in projects.items() if p.environment.is_production} == {
        name for name in projects if name.startswith("prod")
    }


@WHOLE
def test_every_environment_serves_what_was_tested(case: Case, tmp_path: Path) -> None:
    projects, _ = check_file(case.copy(tmp_path))
    for name, project in projects.items():
        assert compile_project(project).graphs["serving"].resources, name
    local = projects["local"].sections["serving"].values()
    assert case.name == "templates/minimal" or any(entry.tests for entry in local)


@WHOLE
def test_the_first_line_names_the_schema_for_editors(case: Case, tmp_path: Path) -> None:
    first = case.copy(tmp_path).read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=./.bedplate/bedplate.schema.json"


@WHOLE
def test_the_readme_names_files_and_models_that_are_there(case: Case, tmp_path: Path) -> None:
    spec = case.copy(tmp_path)
    readme = (spec.parent / "README.md").read_text()
    asked = re.findall(r"@(\S+) ADDRESS/v2/models/(\w+)/infer", readme.replace("\\\n", ""))
    assert asked
    project = check_file(spec)[0]["local"]
    served = {m for key, entry in project.sections["serving"].items() for m in entry.served(key)}
    assert [
        name for request, name in asked if not (spec.parent / request).is_file() or name not in served
    ] == []
    listed = re.findall(r"^\| `([^`*]+)`", readme, re.MULTILINE)
    assert [name for name in listed if not (spec.parent / name).exists()] == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_what_its_script_writes(name: str, tmp_path: Path) -> None:
    example = REPOSITORY / "examples" / name
    script, function = GENERATORS[name]
    runpy.run_path(str(example / script))[function](tmp_path)
    written = {str(path.relative_to(tmp_path)) for path in _files(tmp_path)}
    there = {
        str(path.relative_to(example))
        for part in ("models", "tests", "teams")
        for path in _files(example / part)
    }
    assert written == there
    assert [name for name in written if (tmp_path / name).read_bytes() != (example / name).read_bytes()] == []


def test_a_model_that_left_the_table_leaves_the_folder(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "old.onnx").write_bytes(b"old")
    runpy.run_path(str(REPOSITORY / "examples" / "fleet" / "generate.py"))["generate"](tmp_path)
    assert not (tmp_path / "models" / "old.onnx").exists()


@pytest.mark.parametrize(
    "case", [c for c in whole_projects() if (c.folder / "teams").exists()], ids=lambda c: c.name
)
def test_an_entry_belongs_to_one_team_and_the_spec_has_none(case: Case, tmp_path: Path) -> None:
    assert not re.search(r"^(models|serving):", case.copy(tmp_path).read_text(), re.MULTILINE)


def test_the_fleet_is_forty_models_in_two_regions(tmp_path: Path) -> None:
    (case,) = [case for case in whole_projects() if case.name == "examples/fleet"]
    projects, _ = check_file(case.copy(tmp_path))
    here = {name: set(project.sections["models"]) for name, project in projects.items()}
    assert len(here["staging"]) == 40
    assert here["prod-eu"] | here["prod-us"] == here["staging"]
    assert here["prod-eu"] & here["prod-us"] == {"lead_time", "restock", "route", "spoilage"}
    assert len(here["local"]) == 3
    stores = {
        name: {r.properties["url"] for r in compile_project(projects[name]).graphs["models"].resources}
        for name in ("prod-eu", "prod-us")
    }
    assert all(str(url).startswith("s3://acme-ml-eu-central-1/fleet/prod-eu/") for url in stores["prod-eu"])
    assert all(str(url).startswith("s3://acme-ml-us-east-1/fleet/prod-us/") for url in stores["prod-us"])


def test_fraud_computes_on_gpus_in_production_and_on_cpus_on_a_laptop(tmp_path: Path) -> None:
    (case,) = [case for case in whole_projects() if case.name == "examples/fraud"]
    projects, _ = check_file(case.copy(tmp_path))
    texts = {name: _text(compile_project(project)) for name, project in projects.items()}
    assert '"nvidia.com/gpu": "1"' in texts["prod"]
    assert "nvidia.com/gpu" not in texts["local"]
    assert '"setWeight": 5' in texts["prod"]
    assert "AnalysisTemplate" in texts["prod"]


def test_the_policy_of_fraud_refuses_gpus_anywhere(tmp_path: Path) -> None:
    (case,) = [case for case in whole_projects() if case.name == "examples/fraud"]
    spec = case.copy(tmp_path)
    spec.write_text(spec.read_text().replace("nodeSelector: {pool: gpu}, ", ""))
    (found,) = check_file(spec)[1]
    assert (found.code, found.severity) == ("FRAUD001", "error")


@pytest.mark.parametrize("name", ["service", "fleet"])
def test_the_policy_of_a_template_refuses_images_from_elsewhere(name: str, tmp_path: Path) -> None:
    (case,) = [case for case in whole_projects() if case.name == f"templates/{name}"]
    spec = case.copy(tmp_path)
    spec.write_text(spec.read_text().replace("image: ghcr.io/acme/", "image: docker.io/acme/"))
    assert {found.code for found in check_file(spec)[1]} == {"TEAM001"}


@pytest.mark.parametrize("name", ["service", "fleet"])
def test_a_template_has_the_models_that_its_script_trains(name: str, tmp_path: Path) -> None:
    (case,) = [case for case in whole_projects() if case.name == f"templates/{name}"]
    project = case.copy(tmp_path).parent
    before = {path: path.read_bytes() for path in _files(project / "models")}
    for path in before:
        path.unlink()
    ran = subprocess.run(
        [sys.executable, "train.py"], cwd=project, capture_output=True, text=True, timeout=120, check=True
    )
    assert {path: path.read_bytes() for path in _files(project / "models")} == before
    right = [int(number) for number in re.findall(r"right about (\d+) of 30", ran.stdout)]
    assert len(right) == len(before)
    assert min(right) > 20  # a third of them would be luck


@pytest.mark.parametrize("name", ["service", "fleet"])
def test_the_code_of_a_template_is_as_clean_as_ours(name: str, tmp_path: Path) -> None:
    (case,) = [case for case in whole_projects() if case.name == f"templates/{name}"]
    script = case.copy(tmp_path).parent / "train.py"
    ruff = Path(sys.executable).with_name("ruff")
    config = ("--config", str(REPOSITORY / "pyproject.toml"))
    for words in (("check", "--ignore", "T20,S"), ("format", "--check")):
        ran = subprocess.run([ruff, *words, *config, script], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


def _text(compiled: Compiled) -> str:
    return "".join(graph.to_json() for graph in compiled.graphs.values())
