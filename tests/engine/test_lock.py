"""One apply at a time; who holds the lock is always known; nobody breaks it by himself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bedplate.engine.lock import age, holder, lock_path, locked, process_start
from bedplate.errors import Locked
from bedplate.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def test_second_taker_is_told_who_holds_it(workspace: Workspace) -> None:
    with locked(workspace, "local", "up"), pytest.raises(Locked) as refused, locked(workspace, "local", "up"):
        pytest.fail("two held the lock")
    assert f"pid {os.getpid()}" in refused.value.message
    assert "bedplate up" in refused.value.message
    assert not lock_path(workspace, "local").exists()


def test_environments_do_not_lock_each_other(workspace: Workspace) -> None:
    with locked(workspace, "local", "up"), locked(workspace, "staging", "up"):
        assert holder(lock_path(workspace, "staging")) is not None


def test_lock_of_a_dead_process_is_not_broken_and_names_the_cure(workspace: Workspace) -> None:
    code = (
        "import os, pathlib, sys\n"
        "from bedplate.engine.lock import locked\n"
        "from bedplate.workspace import Workspace\n"
        "with locked(Workspace(pathlib.Path(sys.argv[1])), 'local', 'up'): os._exit(9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(workspace.root)], check=False)
    assert ended.returncode == 9
    with pytest.raises(Locked) as refused, locked(workspace, "local", "up"):
        pytest.fail("broke a lock")
    assert "that process is gone" in refused.value.message
    assert refused.value.hint is not None
    assert "bedplate recover" in refused.value.hint
    assert lock_path(workspace, "local").exists()


def test_a_later_process_of_the_same_id_is_not_the_holder(workspace: Workspace) -> None:
    with locked(workspace, "local", "up"):
        path = lock_path(workspace, "local")
        data = json.loads(path.read_text())
        path.write_text(json.dumps({**data, "started": data["started"] + 1}))
        held = holder(path)
    assert held is not None
    assert held.alive() is False


def test_a_holder_on_another_machine_is_neither_alive_nor_dead(workspace: Workspace) -> None:
    with locked(workspace, "local", "up"):
        path = lock_path(workspace, "local")
        path.write_text(json.dumps({**json.loads(path.read_text()), "host": "elsewhere"}))
        held = holder(path)
    assert held is not None
    assert held.alive() is None


def test_process_start_of_nobody_is_zero() -> None:
    assert process_start(2**22 + 1) == 0
    assert process_start(os.getpid()) > 0


def test_age_is_in_words() -> None:
    assert age("2000-01-01T00:00:00+00:00").endswith(" d")


def test_a_lock_that_was_broken_and_taken_by_another_is_not_removed(workspace: Workspace) -> None:
    path = lock_path(workspace, "local")
    with locked(workspace, "local", "up"):
        data = json.loads(path.read_text())
        path.write_text(json.dumps({**data, "pid": 1}))
    assert path.exists()


def test_what_a_later_bedplate_adds_to_a_lock_is_let_be(workspace: Workspace) -> None:
    path = lock_path(workspace, "local")
    with locked(workspace, "local", "up"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "boot": "1"}))
        held = holder(path)
    assert held is not None
    assert held.alive() is True


@pytest.mark.parametrize("changes", [{"pid": "one"}, {"since": "yesterday"}, {"since": None}])
def test_a_damaged_lock_has_no_known_holder(workspace: Workspace, changes: dict[str, object]) -> None:
    path = lock_path(workspace, "local")
    with locked(workspace, "local", "up"):
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
        assert holder(path) is None
        path.unlink()
