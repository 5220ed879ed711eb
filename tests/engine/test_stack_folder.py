from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bedplate.engine.sources import origin_of, pointed, read_sources
from bedplate.engine.stack_folder import write_stack_folder
from bedplate.graph import Graph, Origin, Resource
from bedplate.workspace import Workspace

GRAPH = Graph("my-zoo", "toys", "local", (Resource("cat", "bedplate:toy:Toy", {"label": "x"}),))
ORIGINS = {"cat": Origin("toys.cat", "bedplate.yaml", 7, 3)}
URN = "urn:pulumi:local::my-zoo-toys::bedplate:toy:Toy::cat"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def test_the_folder_is_written_once(workspace: Workspace) -> None:
    assert write_stack_folder(workspace, GRAPH, ORIGINS)
    folder = workspace.stack("toys")
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert {path.name for path in before} == {"Pulumi.yaml", "graph.local.json", "sources.local.json"}
    assert not write_stack_folder(workspace, GRAPH, ORIGINS)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert Graph.from_json((folder / "graph.local.json").read_text()) == GRAPH


def test_the_project_file_is_the_engine_s(workspace: Workspace) -> None:
    write_stack_folder(workspace, GRAPH, ORIGINS)
    project = yaml.safe_load((workspace.stack("toys") / "Pulumi.yaml").read_text())
    assert project["name"] == "my-zoo-toys"
    assert project["runtime"] == "bedplate"
    ours = [{"name": "bedplate", "path": "../../.bedplate/bin"}]
    assert project["plugins"] == {"languages": ours, "providers": ours}


def test_the_engine_s_own_file_is_left_alone(workspace: Workspace) -> None:
    theirs = workspace.stack("toys") / "Pulumi.local.yaml"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("encryptionsalt: v1:x\n")
    write_stack_folder(workspace, GRAPH, ORIGINS)
    assert theirs.read_text() == "encryptionsalt: v1:x\n"
    assert "Pulumi.local.yaml" in (workspace.stacks / ".gitignore").read_text()


def test_a_urn_leads_to_its_line(workspace: Workspace) -> None:
    write_stack_folder(workspace, GRAPH, ORIGINS)
    assert origin_of(workspace, URN) == ORIGINS["cat"]
    assert pointed(origin_of(workspace, URN), "no") == "bedplate.yaml:7:3: toys.cat: no"
    assert pointed(origin_of(workspace, URN.replace("cat", "dog")), "no") == "no"
    assert origin_of(workspace, URN.replace("::my-zoo-toys", "::other")) is None
    assert origin_of(workspace, "nonsense") is None


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"cat": {"line": 1}}', '{"cat": 3}'])
def test_a_damaged_sidecar_costs_only_the_pointer(workspace: Workspace, damage: str) -> None:
    path = workspace.sources("toys", "local")
    path.parent.mkdir(parents=True)
    path.write_text(damage)
    assert read_sources(path) == {}
