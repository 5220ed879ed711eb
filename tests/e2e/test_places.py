"""Where a project may lie, and who else may lie beside it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.project import UserProject


@pytest.mark.parametrize(
    "folder", ["x" * 150, "a b'c\"d %s ü $HOME"], ids=["150 characters", "odd characters"]
)
def test_a_project_may_lie_anywhere(make_project: Callable[..., UserProject], folder: str) -> None:
    project = make_project(folder)
    project.ok("up", "--yes")
    assert project.ask() == 6.0
    for section in project.sections():
        assert project.pulumi(section, "preview", "--stack", "local", "--expect-no-changes").code == 0
    project.ok("destroy", "--yes")
    assert project.processes() == []


def test_a_clone_next_to_a_clone_has_its_own_world(make_project: Callable[..., UserProject]) -> None:
    first = make_project("one")
    first.ok("up", "--yes")
    second = make_project("two")
    shutil.copytree(
        first.root / "stacks", second.root / "stacks", ignore=shutil.ignore_patterns("Pulumi.local.yaml")
    )
    shutil.copy(first.root / "bedplate.lock", second.root)
    second.model(factor=5.0)
    second.ok("up", "--yes")
    assert (first.ask(), second.ask()) == (6.0, 15.0)
    assert first.url() != second.url()
    second.ok("destroy", "--yes")
    assert first.ask() == 6.0
    first.ok("destroy", "--yes")


def test_the_second_developers_clone_works(make_project: Callable[..., UserProject], tmp_path: Path) -> None:
    first = make_project("first")
    first.ok("up", "--yes")
    _git(first.root, "init", "-q")
    _git(first.root, "add", "-A")
    _git(first.root, "commit", "-qm", "all that is not ignored")
    tracked = _git(first.root, "ls-files").splitlines()
    assert "stacks/serving/graph.local.json" in tracked
    assert not [name for name in tracked if ".bedplate/" in name or name.endswith("Pulumi.local.yaml")]
    _git(tmp_path, "clone", "-q", str(first.root), "second")
    second = make_project("second")
    assert _git(second.root, "status", "--porcelain") == ""
    second.ok("up", "--yes")
    assert second.ask() == 6.0
    assert _git(second.root, "status", "--porcelain") == ""


def test_the_same_command_from_a_folder_below_works(project: UserProject) -> None:
    project.ok("up", "--yes")
    below = UserProject(project.root / "models")
    assert below.ok("status", "--json").data["services"][0]["address"] == "serving.delay"


def _git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    ran = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True)
    return ran.stdout
