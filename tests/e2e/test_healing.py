"""Whatever is killed is seen by `status`, and `up --refresh` makes it whole."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from tests.e2e.project import SPEC, UserProject

DEADLINE_S = 30


def find(project: UserProject, words: str) -> list[int]:
    return [p.pid for p in project.processes() if words in " ".join(p.info["cmdline"] or ())]


def kill(pids: list[int]) -> None:
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def status(project: UserProject) -> dict[str, Any]:
    found: dict[str, Any] = project.run("status", "--json").data["services"][0]
    return found


def until(project: UserProject, **wanted: object) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while any(status(project)[key] != value for key, value in wanted.items()):
        assert time.monotonic() < deadline, status(project)


def test_killed_workers_come_back_and_are_counted(project: UserProject) -> None:
    project.write(SPEC.replace("replicas: 1", "replicas: 2"))
    project.ok("up", "--yes")
    kill(find(project, "bedplate.runtime.server.worker"))
    deadline = time.monotonic() + DEADLINE_S
    while not status(project)["restarts"]:
        assert time.monotonic() < deadline
    assert status(project)["last_exit"]["signal"] == signal.SIGKILL
    until(project, workers_ready=2)
    project.ok("up", "--yes", "--refresh")
    assert project.ask() == 6.0


def test_a_killed_master_is_started_again(project: UserProject) -> None:
    project.ok("up", "--yes")
    kill(
        [pid for pid in find(project, "bedplate.runtime.server") if pid not in find(project, "server.worker")]
    )
    project.ok("up", "--yes", "--refresh")
    assert project.ask() == 6.0
    assert project.run("status").code == 0


def test_a_killed_supervisor_is_seen_and_healed(project: UserProject) -> None:
    project.ok("up", "--yes")
    url = project.url()
    kill(find(project, "supervisord"))
    seen = project.run("status")
    assert seen.code == 4
    assert "not running" in seen.out
    assert "up --refresh" in project.ok("up", "--yes").out
    project.ok("up", "--yes", "--refresh")
    assert project.run("status").code == 0
    assert project.url() == url
    assert project.ask() == 6.0
    assert "no changes" in project.ok("up", "--yes").out


def test_everything_killed_at_once_is_healed(project: UserProject) -> None:
    project.ok("up", "--yes")
    kill(find(project, "supervisord") + find(project, "bedplate.runtime.server"))
    seen = project.run("status")
    assert seen.code == 4
    project.ok("refresh")
    project.ok("up", "--yes", "--refresh")
    assert project.ask() == 6.0
    project.ok("destroy", "--yes")
    assert project.processes() == []


def test_destroy_works_when_everything_is_dead_already(project: UserProject) -> None:
    project.ok("up", "--yes")
    kill(find(project, "supervisord") + find(project, "bedplate.runtime.server"))
    project.ok("destroy", "--yes")
    assert project.processes() == []
