"""Whose an engine's lock is, and whether it still runs; only what is certain counts as gone."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bedplate.engine.engine_lock import EngineLock, read_lock, told_locks
from tests.engine.project import await_

HERE = socket.gethostname()
NOBODY = 2**22 + 1
HEAD = (
    "error: the stack is currently locked by 2 lock(s). Either wait for the other process(es) to end or delete the "
    "lock file with `pulumi cancel`."
)
IN_A_BUCKET = (
    "s3://states/.pulumi/locks/organization/x/local/1.json?disable_https=true&endpoint=http%3A%2F%2F[::1]"
)
IN_A_FOLDER = "file:///srv/state/.pulumi/locks/organization/x/local/2.json"
TOLD = f"""SDK 2026/11/26 01:05:10 WARN Response has no supported checksum. Not validating response payload.
{HEAD}
  {IN_A_BUCKET}: created by ada@box (pid 77) at 2026-01-01T00:00:00Z
  {IN_A_FOLDER}: created by ACME\\ada l@other (pid 8) at 2026-01-02T03:04:05+02:00
"""


def test_every_lock_that_the_engine_names_is_read() -> None:
    assert told_locks(TOLD) == [
        EngineLock(IN_A_BUCKET, "ada", "box", 77, "2026-01-01T00:00:00Z", certain=False),
        EngineLock(IN_A_FOLDER, "ACME\\ada l", "other", 8, "2026-01-02T03:04:05+02:00", certain=False),
    ]


def test_a_lock_in_words_that_nobody_has_read_before_has_no_holder() -> None:
    [lock] = told_locks(HEAD)
    assert str(lock) == "an engine"
    assert lock.alive() is None
    assert told_locks("error: a stack named local already exists") == []


@pytest.mark.parametrize(
    ("host", "certain", "alive"), [(HERE, True, False), (HERE, False, None), ("elsewhere", True, None)]
)
def test_an_engine_is_gone_only_where_that_is_certain(host: str, certain: bool, alive: bool | None) -> None:
    lock = EngineLock("x.json", "ada", host, NOBODY, "2026-01-01T00:00:00Z", certain)
    assert lock.alive() is alive


def test_an_engine_that_runs_is_seen_and_another_process_of_its_id_is_none(tmp_path: Path) -> None:
    for name, alive in (("pulumi", True), ("other", False)):
        program = shutil.copy("/bin/sleep", tmp_path / name)
        with subprocess.Popen([program, "60"]) as process:
            await_(partial(_is_named, process.pid, name), f"{name} runs")
            lock = EngineLock("x.json", "ada", HERE, process.pid)
            assert lock.alive() is alive
            assert replace(lock, certain=False).alive() is (alive or None)
            process.kill()


def test_a_lock_in_a_file_is_read_as_far_as_it_can_be(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    assert read_lock(path) is None
    found = {"pid": 77, "username": "ada", "hostname": "box", "timestamp": "2026-01-01T00:00:00Z"}
    path.write_text(json.dumps(found))
    assert read_lock(path) == EngineLock(str(path), "ada", "box", 77, "2026-01-01T00:00:00Z")
    for damage in ("", "{", "[]", "{}", json.dumps({**found, "pid": "one"})):
        path.write_text(damage)
        assert read_lock(path) == EngineLock(str(path))


def _is_named(pid: int, name: str) -> bool:
    return Path(f"/proc/{pid}/comm").read_text() == f"{name}\n"
