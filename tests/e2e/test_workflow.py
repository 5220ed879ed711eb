"""The workflow that `init` brings, its steps run in their order as GitHub runs them: bash, pipefail, one by one.

Clusters stand in its matrix, and no cluster is here: its jobs are run for `local`. What is not run: the steps that
are GitHub's own (`uses`), and pip, which would go to the network; that it is called is looked at.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bedplate import templates
from tests.e2e.project import UserProject

PASSPHRASE, KUBECONFIG = "a passphrase of the runner", "apiVersion: v1\nkind: Config\n"
SECRETS = {
    "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
    "AWS_ACCESS_KEY_ID": "unused",
    "AWS_SECRET_ACCESS_KEY": "unused",
    "KUBECONFIG": KUBECONFIG,
}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[UserProject]:
    made = UserProject(tmp_path / "flowers")
    templates.write(_made(made.root), templates.files("service", "flowers"))
    yield made
    made.end()


class Runner:
    """What GitHub does with the steps of a job. `summary` is the page that it shows of a run."""

    def __init__(self, project: UserProject, scratch: Path, event: str) -> None:
        self.project, self.event = project, event
        self.workflow = yaml.safe_load((project.root / ".github/workflows/bedplate.yml").read_text())
        self.summary = _made(scratch) / "summary.md"
        self.home = _made(scratch / "home")
        programs = _made(scratch / "bin")
        (programs / "pip").write_text(f'#!/bin/sh\necho "$@" >>"{scratch}/pip"\n')
        (programs / "pip").chmod(0o755)
        self.pip = scratch / "pip"
        path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, "GITHUB_STEP_SUMMARY": str(self.summary)}

    def job(self, name: str) -> str:
        """Runs the steps until one fails; what they printed."""
        job = self.workflow["jobs"][name]
        said = ""
        for step in job["steps"]:
            if "run" in step and self.wanted(step.get("if")):
                said += self.step(step["run"], {**job.get("env", {}), **step.get("env", {})})
        return said

    def wanted(self, condition: str | None) -> bool:
        if condition is None:
            return True
        found = re.fullmatch(r"github\.event_name == '(\w+)'", condition)
        assert found, condition
        return found.group(1) == self.event

    def step(self, script: str, env: dict[str, str]) -> str:
        home = {"HOME": str(self.home)} if "~/.kube" in script else {}
        assert self.workflow["defaults"]["run"]["shell"] == "bash"
        ended = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", self.filled(script)],
            cwd=self.project.root,
            env={**self.environment, **home, **{key: self.filled(value) for key, value in env.items()}},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        said = ended.stdout + ended.stderr
        if ended.returncode != 0:
            raise StepFailed(said)
        return said

    def filled(self, text: str) -> str:
        """With the values of its expressions."""
        known = {"matrix.environment": "local", **{f"secrets.{key}": value for key, value in SECRETS.items()}}
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: known[found.group(1)], text)


class StepFailed(Exception):
    """A step ended with another code than 0."""


def test_a_pull_request_is_planned_and_a_merge_is_applied(project: UserProject, tmp_path: Path) -> None:
    asked = Runner(project, tmp_path / "pull_request", "pull_request")
    asked.job("validate")
    asked.job("environments")
    assert "to create" in asked.summary.read_text()
    assert project.processes() == []
    assert asked.pip.read_text().splitlines() == ["install bedplate", "install bedplate[all]"]
    config = asked.home / ".kube" / "config"
    assert config.read_text().strip() == KUBECONFIG.strip()
    assert config.stat().st_mode & 0o077 == 0

    merged = Runner(project, tmp_path / "push", "push")
    merged.job("validate")
    assert "applied: 3 created" in merged.job("environments")
    assert not merged.summary.exists()
    assert "no changes" in merged.job("environments")
    own = {"PULUMI_CONFIG_PASSPHRASE": PASSPHRASE}
    assert project.run("status", env=own).code == 0
    project.ok("destroy", "--yes", env=own)


def test_a_pull_request_with_a_slip_is_annotated_and_goes_no_further(
    project: UserProject, tmp_path: Path
) -> None:
    spec = project.root / "bedplate.yaml"
    spec.write_text(spec.read_text().replace("replicas: 2", "replcas: 2"))
    runner = Runner(project, tmp_path / "runner", "pull_request")
    with pytest.raises(StepFailed, match=r"::error .*file=bedplate\.yaml,line=\d+,.*replcas"):
        runner.job("validate")
    assert runner.workflow["jobs"]["environments"]["needs"] == "validate"


def test_a_plan_that_fails_fails_its_step(project: UserProject, tmp_path: Path) -> None:
    (project.root / "models" / "iris.onnx").unlink()
    runner = Runner(project, tmp_path / "runner", "pull_request")
    with pytest.raises(StepFailed, match=r"there is no file models/iris\.onnx"):
        runner.job("environments")


def test_no_secret_is_written_into_the_workflow(project: UserProject) -> None:
    workflow: dict[str, Any] = yaml.safe_load((project.root / ".github/workflows/bedplate.yml").read_text())
    jobs = workflow["jobs"].values()
    given = [env for job in jobs for env in (job.get("env", {}), *(s.get("env", {}) for s in job["steps"]))]
    values = [value for env in given for value in env.values()]
    assert values
    assert [value for value in values if not re.fullmatch(r"\$\{\{ secrets\.\w+ \}\}", value)] == []


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
