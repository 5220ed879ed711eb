"""Any process of an `up` killed at any of its steps: `recover` and `up` converge, nothing doubled or lost.

What was killed once is killed again, so each test is a chain of points on one project.
"""

from __future__ import annotations

import os
import signal

import pytest

from tests.e2e.faults import about, assert_as_specified, assert_no_drift, assert_nothing_left, go_on, killed
from tests.e2e.project import UserProject

ONE = {"delay": 2.0, "left": 5.0}
OTHER = {"delay": 3.0, "right": 7.0}
"""From one to the other, and back, an `up` creates, updates and deletes an artifact and a service."""

CHAINS = {
    "provider creating": [
        "provider:create:Service:before",
        "provider:create:Service:after",
        "provider:create:Artifact:before",
        "provider:create:Artifact:after",
    ],
    "provider updating": [
        "provider:update:Service:before",
        "provider:update:Service:after",
        "provider:update:Artifact:before",
        "provider:update:Artifact:after",
    ],
    "provider deleting": [
        "provider:delete:Service:before",
        "provider:delete:Service:after",
        "provider:delete:Artifact:before",
        "provider:delete:Artifact:after",
    ],
    "host": [
        "host:preview:Service:before",
        "host:up:Artifact:before",
        "host:up:Artifact:after",
        "host:up:Service:before",
        "host:up:Service:after",
    ],
    "command between steps": [
        "cli:open:before",
        "cli:preview:create:Service:begun",
        "cli:models:up:before",
        "cli:models:up:after",
        "cli:serving:up:after",
    ],
    "command as a step begins": [f"cli:up:{op}:Service:begun" for op in ("create", "update", "delete")],
    "command as a step is done": [f"cli:up:{op}:Service:done" for op in ("create", "update", "delete")],
    "engine as a step begins": [f"engine:up:{op}:Service:begun" for op in ("create", "update", "delete")],
    "engine as a step is done": [f"engine:up:{op}:Service:done" for op in ("create", "update", "delete")],
}


def write(project: UserProject, factors: dict[str, float]) -> None:
    models = [f"  {name}: {{path: models/{name}.onnx}}" for name in factors]
    serving = [f"  {name}: {{replicas: 1}}" for name in factors]
    project.write("\n".join(["version: 1", "project: flights", "models:", *models, "serving:", *serving, ""]))
    for name, factor in factors.items():
        project.model(name, factor=factor)


@pytest.mark.parametrize("points", CHAINS.values(), ids=CHAINS)
def test_up_converges_after_a_kill(points: list[str], project: UserProject) -> None:
    write(project, ONE)
    project.ok("up", "--yes")
    for number, point in enumerate(points):
        wanted = (OTHER, ONE)[number % 2]
        write(project, wanted)
        with about(point):
            answer = killed(project, point, "up", "--yes")
            if point.startswith("cli:"):
                assert answer.code == -signal.SIGKILL
                assert_refused(project)
            go_on(project, "up", "--yes")
            assert_as_specified(project, wanted)
    assert_no_drift(project)
    project.ok("destroy", "--yes")
    assert_nothing_left(project)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_supervisor_is_made_started_and_removed_after_a_kill(when: str, project: UserProject) -> None:
    with about("create"):
        answer = killed(project, f"provider:create:Supervisor:{when}", "up", "--yes")
        assert "a plugin of bedplate was killed" in answer.err
        go_on(project, "up", "--yes")
        assert_as_specified(project, {"delay": 2.0})
    with about("update"):
        kill_supervisor(project)
        killed(project, f"provider:update:Supervisor:{when}", "up", "--yes", "--refresh")
        go_on(project, "up", "--yes", "--refresh")
        assert_as_specified(project, {"delay": 2.0})
    with about("delete"):
        killed(project, f"provider:delete:Supervisor:{when}", "destroy", "--yes")
        go_on(project, "destroy", "--yes")
        assert_nothing_left(project)


DESTROYS = [
    "cli:destroy:delete:Service:begun",
    "engine:destroy:delete:Service:begun",
    "cli:models:destroy:after",
]


@pytest.mark.parametrize("point", DESTROYS)
def test_destroy_ends_after_a_kill(point: str, project: UserProject) -> None:
    project.ok("up", "--yes")
    killed(project, point, "destroy", "--yes")
    go_on(project, "destroy", "--yes")
    assert_nothing_left(project)
    project.ok("up", "--yes")
    assert_as_specified(project, {"delay": 2.0})


def assert_refused(project: UserProject) -> None:
    """Nothing breaks the lock of a command that was killed but the user."""
    refused = project.run("up", "--yes")
    assert refused.code == 5
    assert "that process is gone" in refused.err
    assert "bedplate recover" in refused.err


def kill_supervisor(project: UserProject) -> None:
    pid = project.run("status", "--json").data["supervisor"]["pid"]
    os.kill(pid, signal.SIGKILL)
