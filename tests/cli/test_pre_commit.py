"""The hook of this repository under the real pre-commit, in a repository with two projects."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.spec.cases import MODEL

ROOT = Path(__file__).parents[2]
HEAD = "version: 1\nproject: flights\n"
FLIGHTS = f"""{HEAD}include: [teams/*.yaml]
policies: policies
models: {{delay: {{path: models/delay.onnx}}}}
"""
HUB = "serving:\n  hub:\n    model: delay\n    replicas: 2\n"
PRICING = f"{HEAD}models: {{delay: {{path: delay.onnx}}}}\nserving:\n  delay:\n    replicas: 2\n"
POLICY = """
CODE = "ACME001"
TITLE = "no service has more than ten replicas"
HELP = "ask the platform team"


def check(resource, environment):
    replicas = resource["properties"].get("replicas", 0)
    if replicas > 10:
        yield f"{replicas} replicas are more than ten"
"""


@dataclass(frozen=True)
class Repository:
    """A git repository and what is typed in it."""

    root: Path
    store: Path

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)
        self.typed("git", "add", "--all")

    def typed(self, *words: str, code: int = 0) -> str:
        someone = {
            f"GIT_{who}_{what}": "a@b.example"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        path = f"{Path(sys.executable).parent}:{clean['PATH']}"
        ended = subprocess.run(
            words,
            cwd=self.root,
            env=clean
            | someone
            | {"PATH": path, "PRE_COMMIT_HOME": str(self.store), "GIT_CONFIG_GLOBAL": os.devnull},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        assert ended.returncode == code, f"{words}: exit {ended.returncode}\n{ended.stdout}"
        return ended.stdout


@pytest.fixture
def bedplates(tmp_path: Path) -> Repository:
    """This repository as it lies here, committed or not."""
    made = Repository(tmp_path / "bedplate", tmp_path / "store")
    made.root.mkdir()
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (made.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, made.root / name)
    made.typed("git", "init", "--quiet", "--initial-branch=main")
    made.typed("git", "add", "--all")
    made.typed("git", "commit", "--quiet", "--message=as it is")
    return made


@pytest.fixture
def team(bedplates: Repository, tmp_path: Path) -> Repository:
    """A team's repository: one project is valid, the other has a slip."""
    made = Repository(tmp_path / "team", bedplates.store)
    made.root.mkdir()
    made.typed("git", "init", "--quiet", "--initial-branch=main")
    revision = bedplates.typed("git", "rev-parse", "HEAD").strip()
    hook = f"[{{repo: {bedplates.root}, rev: {revision}, hooks: [{{id: bedplate-validate}}]}}]"
    files = {
        ".pre-commit-config.yaml": f"repos: {hook}\n",
        "docs/notes.md": "Notes.\n",
        "flights/bedplate.yaml": FLIGHTS,
        "flights/teams/hub.yaml": HUB,
        "flights/policies/small.py": POLICY,
        "services/pricing/bedplate.yaml": PRICING.replace("replicas", "replcas"),
    }
    for model in ("flights/models/delay.onnx", "services/pricing/delay.onnx"):
        (made.root / model).parent.mkdir(parents=True)
        shutil.copy(MODEL, made.root / model)
    made.write(files)
    return made


def test_a_broken_spec_is_not_committed(team: Repository) -> None:
    told = team.typed("pre-commit", "run", "--all-files", code=1)
    assert "--> services/pricing/bedplate.yaml:6:5  serving.delay.replcas" in told
    assert "did you mean replicas?" in told
    assert "flights/bedplate.yaml is valid in local" in told

    team.write({"services/pricing/bedplate.yaml": PRICING})
    assert "Passed" in team.typed("pre-commit", "run", "--all-files")
    team.typed("pre-commit", "install")
    assert "Passed" in team.typed("git", "commit", "--message=all")

    _refuses_what_only_touches_the_project(team)
    _minds_only_the_projects_that_a_commit_touches(team)
    assert team.typed("git", "status", "--short") == ""
    assert len(team.typed("git", "log", "--oneline").splitlines()) == 3


def _refuses_what_only_touches_the_project(team: Repository) -> None:
    """An included file, a breach of the team's own policy, a model: the spec itself is not in the commit."""
    team.write({"flights/teams/hub.yaml": HUB.replace("replicas: 2", "replicas: two")})
    assert "--> flights/teams/hub.yaml:4:15  serving.hub.replicas" in team.typed(
        "git", "commit", "-m", "two", code=1
    )
    team.write({"flights/teams/hub.yaml": HUB.replace("replicas: 2", "replicas: 11")})
    assert "error[ACME001]: 11 replicas are more than ten" in team.typed(
        "git", "commit", "-m", "eleven", code=1
    )
    team.write({"flights/teams/hub.yaml": HUB, "flights/models/delay.onnx": "no model"})
    assert "--> flights/bedplate.yaml:5:24  models.delay.path" in team.typed(
        "git", "commit", "-m", "model", code=1
    )
    shutil.copy(MODEL, team.root / "flights/models/delay.onnx")
    team.write({"flights/teams/hub.yaml": HUB.replace("replicas: 2", "replicas: 3")})
    assert "Passed" in team.typed("git", "commit", "-m", "three")


def _minds_only_the_projects_that_a_commit_touches(team: Repository) -> None:
    """What somebody else left broken hinders nobody."""
    broken = team.root / "services/pricing/bedplate.yaml"
    broken.write_text("nothing\n")
    team.typed("git", "commit", "--quiet", "--no-verify", "--all", "--message=broken")
    team.write({"docs/notes.md": "More notes.\n"})
    assert "Passed" in team.typed("git", "commit", "--amend", "-m", "notes")
