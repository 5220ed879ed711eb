"""The local environment of every example and template, with the real engine: served, asked, changed nothing, gone."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bedplate.cli.project import check_file
from bedplate.templates import TEMPLATES
from tests.e2e.project import UserProject
from tests.spec.cases import Case
from tests.whole import EXAMPLES, REPOSITORY, Example

KEY = "a-key-for-payments-0123456789"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[UserProject]:
    made = UserProject(tmp_path / "project", environment={**os.environ, "PAYMENTS_KEY": KEY})
    yield made
    made.end()


@pytest.mark.parametrize("case", [Example(REPOSITORY / "examples" / name) for name in EXAMPLES], ids=EXAMPLES)
def test_an_example_is_served_and_asked_and_taken_away(case: Case, project: UserProject) -> None:
    case.copy(project.root.parent)
    lives(project)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_is_served_and_asked_and_taken_away(template: str, project: UserProject) -> None:
    project.root.mkdir()
    made = project.ok("init", template, "--json").data
    assert made["project"] == "project"
    lives(project)


def lives(project: UserProject) -> None:
    """The whole life of the local environment."""
    first = project.ok("up", "--yes")
    assert "0 unchanged" in first.out
    assert asked(project) > 0
    assert "no changes" in project.ok("up", "--yes").out
    for section in project.sections():
        seen = project.pulumi(section, "preview", "--stack", "local", "--expect-no-changes")
        assert seen.code == 0, seen.text
    assert project.run("plan", "--exit-code").code == 0
    project.ok("destroy", "--yes")
    project.ok("destroy", "--yes")
    assert project.processes() == []
    assert not any(KEY in said for said in project.said)
    files = [path for path in project.root.rglob("*") if path.is_file()]
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


def asked(project: UserProject) -> int:
    """Sends every request in tests/ to its model, and compares the answers; how many there were."""
    local = check_file(project.root / "bedplate.yaml")[0]["local"]
    urls = {
        str(service["address"]).partition(".")[2]: service["url"]
        for service in project.ok("status", "--json").data["services"]
    }
    assert urls.keys() == local.sections["serving"].keys()
    count = 0
    for key, entry in local.sections["serving"].items():
        for model in entry.served(key):
            for request in _requests(project.root, model):
                expected = json.loads(request.with_suffix(".out.json").read_text())
                _same(ask(urls[key], model, request.read_bytes()), expected)
                count += 1
    return count


def ask(url: str, model: str, body: bytes) -> Any:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    request = urllib.request.Request(f"{url}/v2/models/{model}/infer", data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def _requests(root: Path, model: str) -> list[Path]:
    """Those that are named like the model, and the flower that the iris model is asked about."""
    named = {model, "setosa" if model == "iris" else model, "roadster" if model == "quote" else model}
    return [path for name in sorted(named) if (path := root / "tests" / f"{name}.json").exists()]


def _same(answer: Any, expected: Any) -> None:
    given = {output["name"]: output for output in answer["outputs"]}
    for output in expected["outputs"]:
        assert given[output["name"]]["shape"] == output["shape"]
        assert given[output["name"]]["data"] == pytest.approx(output["data"], rel=0.001)
