"""What the user sees when something is wrong, and what the state is afterwards."""

from __future__ import annotations

import json

import pytest

from bedplate.graph import Resource
from tests.engine.project import ToyProject, toy


def test_a_failure_names_the_line_of_the_spec(project: ToyProject) -> None:
    project.switch("fail-dog", "the kennel is full")
    project.write(toy("cat"), toy("dog", options={"depends_on": ("cat",)}))
    ran = project.up()
    assert ran.code != 0
    assert "bedplate.yaml:11:3: toys.dog: the kennel is full\nmend it" in ran.errors()
    assert "Traceback" not in ran.text
    assert set(project.state()) >= {"cat"}
    (project.world / "fail-dog").unlink()
    assert project.applied().changes() == {"create": 1}


def test_an_expected_error_of_ours_names_the_line_too(project: ToyProject) -> None:
    project.switch("refuse-cat", "not today")
    project.write(toy("cat"))
    assert "bedplate.yaml:10:3: toys.cat: not today\ndo otherwise" in project.up().errors()


def test_what_exists_but_does_not_work_is_kept_and_heals(project: ToyProject) -> None:
    project.switch("unhealthy-cat")
    project.write(toy("cat"))
    ran = project.up()
    assert ran.code != 0
    assert "bedplate.yaml:10:3: toys.cat: cat does not work" in ran.errors()
    cat = project.state()["cat"]
    assert cat["initErrors"] == ["bedplate.yaml:10:3: toys.cat: cat does not work"]
    assert project.up().code != 0
    (project.world / "unhealthy-cat").unlink()
    assert project.applied().changes() == {"update": 1}
    assert project.state()["cat"]["id"] == cat["id"]
    assert "initErrors" not in project.state()["cat"]
    assert project.journal() == ["create cat", "update cat", "update cat"]


def test_a_bug_is_one_line_and_a_file(project: ToyProject) -> None:
    project.switch("bug-cat", "what a surprise")
    project.write(toy("cat"))
    ran = project.up()
    assert ran.code != 0
    assert "this is a bug in bedplate: KeyError: 'what a surprise' (traceback in .bedplate/logs/" in ran.text
    assert "Traceback" not in ran.text
    [log] = project.workspace.logs.iterdir()
    assert "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ({"label": "x", "colour": "red"}, "has no property 'colour'"),
        ({}, "needs the property 'label'"),
        ({"label": 3}, "label must be a string, not a whole number"),
        ({"label": "x", "size": 1.5}, "size must be a whole number, not a number"),
        ({"label": "x", "size": True}, "size must be a whole number, not true or false"),
        ({"label": "x", "parts": [{"name": "a"}, {}]}, "parts[1].name is missing"),
        ({"label": "x", "parts": [{"name": "a", "hue": 1}]}, "parts[0].hue is not known"),
    ],
)
def test_properties_are_checked_before_anything_is_done(
    project: ToyProject, properties: dict[str, object], told: str
) -> None:
    project.write(Resource("cat", "bedplate:toy:Toy", properties))  # type: ignore[arg-type]
    ran = project.operate("preview")
    assert ran.code != 0
    assert told in ran.text
    assert "bedplate.yaml:10:3" in ran.text
    assert project.journal() == []


def test_a_kind_that_nobody_knows_is_named(project: ToyProject) -> None:
    project.write(Resource("cat", "bedplate:toy:Robot", {}))
    ran = project.operate("preview")
    assert ran.code != 0
    assert "does not know bedplate:toy:Robot" in ran.text


def test_a_type_that_is_no_token_points_at_the_spec(project: ToyProject) -> None:
    project.write(Resource("cat", "nonsense", {}))
    ran = project.operate("preview")
    assert ran.code != 0
    assert "bedplate.yaml:10:3: toys.cat: cat:" in ran.text


def test_a_graph_of_another_stack_is_refused(project: ToyProject) -> None:
    project.write(toy("cat"))
    path = project.workspace.graph("toys", "local")
    project.operate("preview")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"project": "circus"}))
    ran = project.operate("preview")
    assert ran.code != 0
    assert "toys/graph.local.json is of circus-toys in local, not of zoo-toys in local" in ran.text


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"version": 99}'])
def test_a_missing_or_damaged_graph_says_what_to_do(project: ToyProject, content: str | None) -> None:
    project.write(toy("cat"))
    path = project.workspace.graph("toys", "local")
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    ran = project.operate("preview")
    assert ran.code != 0
    assert "run `bedplate compile`, then try again" in ran.text
    assert "Traceback" not in ran.text


def test_drift_is_seen_by_refresh_and_mended(project: ToyProject) -> None:
    project.write(toy("cat", size=1), toy("dog"))
    project.applied()
    project.journal()
    [cat] = project.world.glob("cat@*.json")
    toy_now = json.loads(cat.read_text())
    cat.write_text(json.dumps(toy_now | {"inputs": {"label": "cat", "size": 9}}))
    next(project.world.glob("dog@*.json")).unlink()
    assert project.operate("refresh", "--yes", "--skip-preview").code == 0
    assert project.state()["cat"]["inputs"]["size"] == 9
    assert "dog" not in project.state()
    assert project.applied().changes() == {"update": 1, "create": 1}
    assert sorted(project.journal()) == ["create dog", "update cat"]
