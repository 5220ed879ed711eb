"""What changes behind the spec's back, and specs that change behind the graph's."""

from __future__ import annotations

import json

from tests.e2e.project import SPEC, UserProject


def test_what_was_edited_by_hand_is_shown_and_repaired(project: UserProject) -> None:
    project.ok("up", "--yes")
    config = project.root / ".bedplate/world/local/services/delay/server.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "threads": 7}))
    assert "no changes" in project.ok("plan").out
    shown = project.run("plan", "--refresh", "--exit-code")
    assert shown.code == 7
    assert "serving.delay" in shown.out
    project.ok("up", "--yes", "--refresh")
    assert json.loads(config.read_text())["threads"] == 1
    assert project.run("plan", "--refresh", "--exit-code").code == 0


def test_what_was_deleted_by_hand_is_shown_and_repaired(project: UserProject) -> None:
    project.ok("up", "--yes")
    store = project.root / ".bedplate/world/local/artifacts"
    (stored,) = store.glob("sha256-*")
    stored.unlink()
    assert "models.delay" in project.ok("refresh").out
    project.ok("up", "--yes")
    assert stored.exists()
    assert project.ask() == 6.0


def test_rolling_back_after_a_failed_change_converges(project: UserProject) -> None:
    project.ok("up", "--yes")
    project.unloadable_model()
    project.write(SPEC.replace("replicas: 1", "replicas: 2") + "  another: {model: delay}\n")
    assert project.run("up", "--yes").code == 4
    project.write()
    project.model()
    project.ok("up", "--yes")
    assert project.ask() == 6.0
    services = project.ok("status", "--json").data["services"]
    assert [(s["address"], s["workers_wanted"]) for s in services] == [("serving.delay", 1)]
    assert project.run("plan", "--exit-code", "--refresh").code == 0


def test_a_graph_older_than_its_spec_is_refused_to_bare_pulumi(project: UserProject) -> None:
    project.ok("up", "--yes")
    project.write(SPEC.replace("replicas: 1", "replicas: 2"))
    refused = project.pulumi("serving", "preview", "--stack", "local")
    assert refused.code != 0
    assert "bedplate compile" in refused.text
    project.ok("compile")
    assert project.pulumi("serving", "up", "--yes", "--stack", "local").code == 0
    assert "no changes" in project.ok("up", "--yes").out
    assert project.ok("status", "--json").data["services"][0]["workers_wanted"] == 2


def test_a_broken_spec_does_not_keep_anything_running(project: UserProject) -> None:
    project.ok("up", "--yes")
    project.write("version: 1\nproject: flights\nmodels: {")
    assert project.run("up", "--yes").code == 1
    assert "nothing drifted" in project.ok("refresh").out
    assert project.run("recover").code == 0
    project.ok("destroy", "--yes")
    assert project.processes() == []


def test_what_is_protected_is_not_destroyed(project: UserProject) -> None:
    project.ok("up", "--yes")
    graph = project.root / "stacks/models/graph.local.json"
    data = json.loads(graph.read_text())
    data["resources"][0]["protect"] = True
    graph.write_text(json.dumps(data))
    assert project.pulumi("models", "up", "--yes", "--stack", "local").code == 0
    refused = project.run("destroy", "--yes")
    assert refused.code == 1
    assert "models.delay" in refused.err
    assert project.ask() == 6.0
    project.ok("up", "--yes")
    project.ok("destroy", "--yes")
