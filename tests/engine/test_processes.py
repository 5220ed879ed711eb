"""The plugins as processes: they end with their engine, get along with each other, and lie in odd places."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bedplate.engine.launchers import PLUGINS, write_launchers
from tests.engine.project import DEADLINE_S, ToyProject, await_, toy

UP = ("up", "--yes", "--skip-preview")


def _hanging(project: ToyProject) -> None:
    """Makes a project whose cat comes to be only once `hang-cat` is gone."""
    project.write(toy("cat"), toy("dog", options={"depends_on": ("cat",)}))
    assert project.operate("preview").code == 0  # which makes the stack
    project.switch("hang-cat")


def _begun(project: ToyProject) -> bool:
    return (project.world / "journal").exists() and "hang cat" in (project.world / "journal").read_text()


def test_plugins_end_with_an_engine_that_is_killed(project: ToyProject) -> None:
    _hanging(project)
    engine = project.start(*UP)
    await_(lambda: _begun(project), "the provider is at work")
    assert len(project.plugins()) == 2
    engine.kill()
    engine.communicate(timeout=DEADLINE_S)
    await_(lambda: not project.plugins(), "both plugins have ended", 5)
    # The file that would have let the creation go on is gone only now: nothing went on without the engine.
    (project.world / "hang-cat").unlink()
    assert project.journal() == ["hang cat"]


def test_an_interrupt_is_quiet_and_leaves_a_usable_state(project: ToyProject) -> None:
    _hanging(project)
    engine = project.start(*UP)
    await_(lambda: _begun(project), "the provider is at work")
    engine.send_signal(signal.SIGINT)
    text, _ = engine.communicate(timeout=DEADLINE_S)
    assert engine.returncode != 0
    assert "Traceback" not in text
    assert "KeyboardInterrupt" not in text
    await_(lambda: not project.plugins(), "both plugins have ended", 5)
    assert project.journal() == ["hang cat", "create cat"]  # the toy gives up waiting once it is told
    (project.world / "hang-cat").unlink()
    assert project.applied().changes() == {"create": 1}
    assert project.journal() == ["create dog"]


def test_the_end_of_a_run_is_quiet(project: ToyProject) -> None:
    project.write(toy("cat"))
    ran = project.applied()
    await_(lambda: not project.plugins(), "both plugins have ended", 5)
    told = [e["diagnosticEvent"] for e in ran.events if "diagnosticEvent" in e]
    assert [(t["urn"].rpartition("::")[2], t["message"].strip()) for t in told] == [
        ("cat", "making cat, plain")
    ], ran.text


def test_stacks_run_beside_each_other(project: ToyProject) -> None:
    sections = ("cats", "dogs", "birds")
    for section in sections:
        project.write(*(toy(f"{section}-{n}") for n in range(5)), section=section)
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda section: project.up(section=section), sections))
    assert [run.code for run in runs] == [0, 0, 0], "\n".join(run.text for run in runs)
    assert len(project.journal()) == 15
    assert all(len(project.state(section)) == 7 for section in sections)  # with stack and provider


@pytest.mark.parametrize(
    "name", ["with space", 'it\'s "quoted"', "100%41 $HOME `id`", "ünïcödé-模型", "x" * 110, "-dash;semi&"]
)
def test_projects_in_odd_places(engine: Path, tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    root.mkdir()
    project = ToyProject(engine, root)
    project.write(toy("cat"))
    assert project.applied().changes() == {"create": 2}
    assert project.applied().changes() == {}
    assert (project.workspace.state / ".pulumi" / "stacks" / "zoo-toys" / "local.json").is_file()
    await_(lambda: not project.plugins(), "both plugins have ended", 5)


def test_the_working_directory_cannot_shadow_a_module(project: ToyProject) -> None:
    project.write(toy("cat"))
    (project.workspace.stack("toys") / "grpc.py").write_text("raise SystemExit('shadowed')")
    assert project.applied().changes() == {"create": 2}


def test_launchers_are_written_once(project: ToyProject) -> None:
    write_launchers(project.workspace)
    before = {name: (project.workspace.launchers / name).stat() for name in PLUGINS}
    write_launchers(project.workspace)
    for name, stat in before.items():
        now = (project.workspace.launchers / name).stat()
        assert (now.st_ino, now.st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns)
        assert now.st_mode & 0o777 == 0o755


def test_a_plugin_whose_engine_is_gone_ends_at_once(project: ToyProject) -> None:
    launcher = project.workspace.launchers / "pulumi-language-bedplate"
    status = os.spawnl(os.P_WAIT, launcher, str(launcher), "127.0.0.1:1")
    assert status == 0


@pytest.mark.parametrize("plugin", PLUGINS)
def test_an_engine_that_is_done_before_a_plugin_has_started_gets_no_traceback(
    plugin: str, project: ToyProject
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as engine:
        address = f"127.0.0.1:{engine.getsockname()[1]}"
        for delay_s in (0.0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64):
            process = subprocess.Popen(
                [project.workspace.launchers / plugin, address],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            time.sleep(delay_s)
            while process.poll() is None:  # one in the first milliseconds is not heard
                process.send_signal(signal.SIGINT)
                time.sleep(0.05)
            assert process.communicate()[1] == "", delay_s
