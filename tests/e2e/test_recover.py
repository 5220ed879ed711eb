"""`bedplate recover`: what it waits for, what it refuses, what becomes of an operation that was cut off."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.faults import DEADLINE_S, assert_as_specified, assert_nothing_left, held, killed
from tests.e2e.project import UserProject

CREATING = "provider:create:Service:held"
NOT_YET_CREATING = "provider:create:Service:held back"
FACTORS = {"delay": 2.0}


def lock(project: UserProject) -> Path:
    return project.root / ".bedplate/state/bedplate/locks/local.json"


def engine_lock(project: UserProject, **changes: Any) -> Path:
    """A lock as the engine leaves it when it is killed."""
    path = project.root / ".bedplate/state/.pulumi/locks/organization/flights-models/local/one.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {"pid": 2**22, "username": "ada", "hostname": socket.gethostname()}
    path.write_text(json.dumps({**found, "timestamp": "2026-01-01T00:00:00Z", **changes}))
    return path


def recorded(project: UserProject) -> dict[Path, bytes]:
    state = project.root / ".bedplate/state"
    return {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}


def engines(project: UserProject) -> list[str]:
    lines = [" ".join(process.info["cmdline"] or ()) for process in project.processes()]
    return [line for line in lines if "pulumi" in line or "bedplate.engine" in line]


def until_no_engine_runs(project: UserProject) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while left := engines(project):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def test_recover_waits_for_the_engine_of_a_killed_command(project: UserProject) -> None:
    with held(project, CREATING, "up", "--yes") as (command, until):
        command.kill()
        project.finish(command)
        refused = project.run("up", "--yes")
        assert refused.code == 5
        assert f"pid {command.pid}" in refused.err
        assert " ago; that process is gone" in refused.err
        assert "bedplate recover" in refused.err
        recovering = project.start("recover")
        assert recovering.stdout is not None
        said = iter(recovering.stdout)
        assert any("waiting for an engine" in line for line in said)
        until.unlink()
        assert any("recovered" in line for line in said)
        assert project.finish(recovering).code == 0
    assert engines(project) == []
    before = recorded(project)
    assert "nothing to recover" in project.ok("recover").out
    assert recorded(project) == before
    project.ok("up", "--yes")
    assert_as_specified(project, FACTORS)
    project.ok("destroy", "--yes")
    assert_nothing_left(project)


def test_the_engine_of_a_killed_command_ends_by_itself(project: UserProject) -> None:
    with held(project, CREATING, "up", "--yes") as (command, until):
        command.kill()
        project.finish(command)
        assert engines(project) != []
        until.unlink()
        until_no_engine_runs(project)
    assert lock(project).exists()


def test_recover_does_not_touch_what_still_runs(project: UserProject) -> None:
    with held(project, CREATING, "up", "--yes") as (command, until):
        for words in (["recover"], ["recover", "--force"]):
            refused = project.run(*words)
            assert refused.code == 5
            assert f"pid {command.pid}" in refused.err
        until.unlink()
        assert project.finish(command).code == 0
    assert_as_specified(project, FACTORS)


@pytest.mark.parametrize("point", [CREATING, NOT_YET_CREATING])
def test_interrupted_twice_it_stops_and_recover_looks_what_became_of_it(
    point: str, project: UserProject
) -> None:
    with held(project, point, "up", "--yes") as (command, _until):
        assert command.stderr is not None
        command.send_signal(signal.SIGINT)
        assert "Ctrl-C again" in command.stderr.readline()
        command.send_signal(signal.SIGINT)
        assert project.finish(command).code == 130
        until_no_engine_runs(project)
    assert not lock(project).exists()
    for words in (["plan"], ["up", "--yes"], ["refresh"], ["destroy", "--yes"]):
        refused = project.run(*words)
        assert refused.code == 5
        assert "creating serving.delay" in refused.err
        assert "bedplate recover" in refused.err
    assert killed(project, "cli:serving:refresh:before", "recover").code == -signal.SIGKILL
    assert project.run("up", "--yes").code == 5
    told = {CREATING: "had been created as delay@", NOT_YET_CREATING: "before anything was made"}
    assert told[point] in project.ok("recover").out
    assert "nothing to recover" in project.ok("recover").out
    project.ok("up", "--yes")
    assert_as_specified(project, FACTORS)
    project.ok("destroy", "--yes")
    assert_nothing_left(project)


def test_what_was_created_and_is_wanted_no_more_is_taken_away(project: UserProject) -> None:
    """It is in no state but of a creation that was cut off."""
    spec = (project.root / "bedplate.yaml").read_text()
    project.ok("up", "--yes")
    project.write(spec + "  other: {model: delay}\n")
    with held(project, "provider:create:Service:held", "up", "--yes") as (command, _until):
        [path] = (project.root / ".bedplate/state/.pulumi/locks/organization").rglob("*.json")
        os.kill(json.loads(path.read_bytes())["pid"], signal.SIGKILL)
        assert project.finish(command).code == 4
    assert "serving.other: had been created as other@" in project.ok("recover").out
    assert project.run("plan", "--exit-code").code == 0
    project.write(spec)
    assert "deleted serving.other" in project.ok("up", "--yes").out
    assert_as_specified(project, FACTORS)


def test_nothing_to_recover(project: UserProject) -> None:
    assert "nothing to recover" in project.ok("recover").out
    project.ok("up", "--yes")
    before = recorded(project)
    assert "nothing to recover" in project.ok("recover").out
    assert project.ok("recover", "--json").data == {"recovered": []}
    assert recorded(project) == before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda held: json.dumps({**held, "host": "elsewhere"}),
        lambda held: json.dumps({**held, "since": "yesterday"}),
        lambda held: json.dumps({**held, "pid": "one"}),
        lambda held: json.dumps([held]),
        lambda held: json.dumps(held)[:20],
        lambda held: "",
    ],
    ids=["another machine", "no time", "no pid", "a list", "truncated", "empty"],
)
def test_a_lock_whose_holder_nobody_can_see_is_broken_by_force_only(
    project: UserProject, spoil: Callable[[dict[str, Any]], str]
) -> None:
    path = lock(project)
    path.parent.mkdir(parents=True)
    holder = {"user": "ada", "host": socket.gethostname(), "pid": os.getpid(), "started": 1, "command": "up"}
    path.write_text(spoil({**holder, "since": "2026-01-01T00:00:00+00:00"}))
    assert project.run("up", "--yes").code == 5
    refused = project.run("recover")
    assert refused.code == 5
    assert "recover --force" in refused.err
    assert path.exists()
    assert "removed" in project.ok("recover", "--force").out
    assert not path.exists()


def test_the_engine_s_lock_of_a_dead_engine_is_removed(project: UserProject) -> None:
    project.ok("up", "--yes")
    path = engine_lock(project)
    for words in (["plan"], ["up", "--yes"], ["refresh"], ["destroy", "--yes"]):
        refused = project.run(*words)
        assert refused.code == 5
        assert "ada@" in refused.err
        assert "was killed" in refused.err
        assert "bedplate recover" in refused.err
    project.model(factor=3.0)
    assert "removed the engine's lock" in project.ok("recover").out
    assert not path.exists()
    project.ok("up", "--yes")
    assert_as_specified(project, {"delay": 3.0})


def test_the_engine_s_lock_of_another_machine_is_removed_by_force_only(project: UserProject) -> None:
    project.ok("up", "--yes")
    path = engine_lock(project, hostname="elsewhere")
    refused = project.run("recover")
    assert refused.code == 5
    assert "elsewhere" in refused.err
    assert "recover --force" in refused.err
    assert path.exists()
    project.ok("recover", "--force")
    assert not path.exists()
    assert "no changes" in project.ok("up", "--yes").out


def test_what_no_state_knows_is_not_said_to_be_taken_away(project: UserProject) -> None:
    project.ok("up", "--yes")
    shutil.rmtree(project.root / ".bedplate")
    left = project.run("destroy", "--yes")
    assert left.code == 4
    assert "a supervisor that it does not know still runs" in left.err
    assert project.processes() != []
