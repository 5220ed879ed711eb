"""Files of ours that other programs read, against the schemas of those who read them, by an independent validator."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bedplate import templates

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "specs" / "bedplate.schema.json"
EXAMPLES = sorted((ROOT / "examples").glob("*/bedplate.yaml"))
WITH_CI = sorted(name for name, template in templates.TEMPLATES.items() if template.clusters)
GITHUB = ["--builtin-schema", "vendor.github-workflows"]
OURS = ["--schemafile", str(SCHEMA)]


def check(*words: str) -> tuple[int, str]:
    """The exit code of check-jsonschema, and what it said."""
    command = [str(Path(sys.executable).with_name("check-jsonschema")), *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return ended.returncode, ended.stdout + ended.stderr


@pytest.fixture(params=WITH_CI)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    templates.write(tmp_path, templates.files(str(request.param), "flowers"))
    return tmp_path


def test_the_workflow_of_a_new_project_is_one_that_github_takes(project: Path) -> None:
    workflow = project / ".github" / "workflows" / "bedplate.yml"
    assert check(*GITHUB, str(workflow)) == (0, "ok -- validation done\n")

    workflow.write_text(workflow.read_text().replace("runs-on:", "runs_on:"))
    code, said = check(*GITHUB, str(workflow))
    assert code == 1
    assert "runs_on" in said


def test_the_spec_of_a_new_project_is_one_by_the_published_schema(project: Path) -> None:
    assert check(*OURS, str(project / "bedplate.yaml")) == (0, "ok -- validation done\n")


def test_the_examples_are_specs_by_the_published_schema(tmp_path: Path) -> None:
    assert EXAMPLES
    assert check(*OURS, *map(str, EXAMPLES)) == (0, "ok -- validation done\n")

    slip = tmp_path / "bedplate.yaml"
    slip.write_text(EXAMPLES[0].read_text().replace("project:", "projct:"))
    code, said = check(*OURS, str(slip))
    assert code == 1
    assert "projct" in said


def test_the_published_schema_is_one_of_draft_7() -> None:
    assert check("--check-metaschema", str(SCHEMA)) == (0, "ok -- validation done\n")
