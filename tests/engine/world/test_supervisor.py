"""The supervisor, over the real supervisord and the fake one."""

from __future__ import annotations

import json
import os
import shlex
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from bedplate.engine.provider.kind import ResourceFailed
from bedplate.engine.world import supervisord
from bedplate.engine.world.supervisord import ProgramConfig, write_config
from tests.engine.world.lab import Lab, gone, until


def pid_of(lab: Lab) -> int:
    return int(str(supervisord.call(lab.world, "getPID")))


def test_created_twice_is_the_same_one(any_lab: Lab) -> None:
    first = any_lab.start()
    assert any_lab.start() == first
    assert any_lab.machine.supervisor(any_lab.world) == first
    observed = any_lab.read_supervisor()
    assert observed is not None
    assert observed.inputs == {"environment": "local", "state": "running"}


def test_deleted_leaves_nothing(any_lab: Lab) -> None:
    any_lab.start()
    any_lab.stop()
    assert any_lab.machine.supervisor(any_lab.world) is None
    assert not any_lab.world.root.exists()
    assert not any_lab.world.runtime.exists()
    any_lab.stop()
    assert any_lab.processes() == []


def test_delete_keeps_what_is_not_its_own(any_lab: Lab) -> None:
    any_lab.start()
    context = any_lab.context("Supervisor", "supervisor")
    any_lab.supervisor.delete(context, "supervisor@0000000000000000", {}, {})
    assert any_lab.read_supervisor() is not None


def test_a_supervisor_of_another_stack_is_not_adopted(any_lab: Lab) -> None:
    any_lab.start()
    context = any_lab.context("Supervisor", "supervisor", project="another")
    with pytest.raises(ResourceFailed, match="not managed by this project"):
        any_lab.supervisor.create(context, {"environment": "local", "state": "running"})
    assert any_lab.supervisor.find(context) is None
    assert any_lab.supervisor.find(any_lab.context("Supervisor", "supervisor")) == any_lab.ids["supervisor"]


def test_a_damaged_token_is_nobodys(any_lab: Lab) -> None:
    any_lab.start()
    token = any_lab.world.supervisor / "token.json"
    whole = token.read_text()
    for damage in ("", "{", "[]", json.dumps({"urn": "x"}), whole.replace("supervisor@", "other@")):
        token.write_text(damage)
        with pytest.raises(ResourceFailed, match="damaged"):
            any_lab.start()
    token.write_text(whole)
    any_lab.start()


def test_it_runs_in_a_session_of_its_own_without_our_secrets(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLIGHTS_KEY", "canary-4711")
    lab.start()
    pid = pid_of(lab)
    assert os.getsid(pid) != os.getsid(0)
    assert "FLIGHTS_KEY" not in psutil.Process(pid).environ()
    assert (lab.world.supervisor / "start.log").read_text() == ""
    assert "Warning" not in (lab.world.supervisor / "supervisord.log").read_text()


def test_killed_it_is_stopped_and_comes_back_as_the_same(lab: Lab) -> None:
    first = lab.start()
    pid = pid_of(lab)
    os.kill(pid, signal.SIGKILL)
    until(lambda: gone(pid), "supervisord ends")
    observed = lab.read_supervisor()
    assert observed is not None
    assert observed.inputs == {"environment": "local", "state": "stopped"}
    context = lab.context("Supervisor", "supervisor")
    lab.supervisor.update(context, first, observed.inputs, {}, {**observed.inputs, "state": "running"})
    observed = lab.read_supervisor()
    assert observed is not None
    assert observed.inputs["state"] == "running"
    assert lab.start() == first
    assert pid_of(lab) != pid


def test_a_foreign_supervisor_on_our_socket_is_never_touched(lab: Lab) -> None:
    lab.start()
    pid = pid_of(lab)
    token = lab.world.supervisor / "token.json"
    data = json.loads(token.read_text())
    lab.ids["supervisor"] = "supervisor@00aa"
    token.write_text(json.dumps({**data, "generation": "00aa", "id": "supervisor@00aa"}))
    with pytest.raises(ResourceFailed, match="another supervisor"):
        lab.start()
    with pytest.raises(ResourceFailed, match="another supervisor"):
        lab.read_supervisor()
    lab.stop()
    assert not gone(pid)


@pytest.mark.parametrize("mode", [0o755, 0o770])
def test_a_runtime_folder_that_others_can_open_is_refused(lab: Lab, mode: int) -> None:
    lab.world.runtime.mkdir(parents=True, mode=0o700)
    lab.world.runtime.parent.chmod(0o700)
    lab.world.runtime.chmod(mode)
    with pytest.raises(ResourceFailed, match="only you can open"):
        lab.start()
    assert lab.processes() == []


def test_a_runtime_folder_that_is_a_link_is_refused(lab: Lab, tmp_path: Path) -> None:
    lab.world.runtime.parent.mkdir(mode=0o700, exist_ok=True)
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    lab.world.runtime.symlink_to(tmp_path / "elsewhere")
    try:
        with pytest.raises(ResourceFailed, match="only you can open"):
            lab.start()
    finally:
        lab.world.runtime.unlink()


@pytest.mark.parametrize(
    "folder",
    ["a b", "100%", "%(here)s", "a ;b #c", "[x]*", "x" * 150, "naïve-日本", 'it\'s "quoted"'],
)
def test_any_path_will_do(make_lab: Callable[[str], Lab], folder: str) -> None:
    lab = make_lab(folder)
    lab.start()
    config = (lab.world.supervisor / "supervisord.conf").read_text()
    assert folder not in config
    lab.stop()
    assert not lab.world.root.exists()


@pytest.mark.parametrize("program", ["/a b/python", "/100%/p", "/a ;b/#c #d", "/%(here)s/p", '/it\'s/"p"'])
def test_a_command_reaches_the_program_as_it_is(lab: Lab, program: str) -> None:
    lab.start()
    argv = (program, "--config", "x y")
    write_config(lab.world, lab.ids["supervisor"], [ProgramConfig("p", argv, "logs/p.log", 5)])
    supervisord.call(lab.world, "reloadConfig")
    infos = supervisord.call(lab.world, "getAllConfigInfo")
    assert isinstance(infos, list)

    assert [tuple(shlex.split(info["command"])) for info in infos] == [argv]


@pytest.mark.parametrize("program", ["/a\nb", "/a\rb"])
def test_a_line_break_never_becomes_a_setting(lab: Lab, program: str) -> None:
    with pytest.raises(ResourceFailed, match="cannot be written"):
        write_config(lab.world, "supervisor@1", [ProgramConfig("p", (program,), "logs/p.log", 5)])


def test_supervisord_that_cannot_start_says_why(lab: Lab) -> None:
    lab.start()
    lab.stop()
    lab.world.supervisor.mkdir(parents=True)
    (lab.world.supervisor / "supervisord.conf").write_text("[supervisord]\nlogfile=/nonexistent/x/y\n")
    with pytest.raises(ResourceFailed, match=r"did not start.*nonexistent"):
        lab.machine.start_supervisor(lab.world)
