"""What goes wrong around an apply: two at once, stale plans, damaged or foreign states, a missing engine."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.project import SPEC, UserProject

AGAIN = "BEDPLATE_TEST_IN_A_NAMESPACE"
MNT_DETACH = 2


def checkpoint(project: UserProject, section: str = "models") -> Path:
    return project.root / ".bedplate/state/.pulumi/stacks" / f"flights-{section}" / "local.json"


def test_of_two_ups_at_once_one_wins_and_the_other_says_who(project: UserProject) -> None:
    processes = [project.start("up", "--yes") for _ in range(2)]
    answers = [project.finish(process) for process in processes]
    assert sorted(answer.code for answer in answers) == [0, 5]
    loser = next(answer for answer in answers if answer.code == 5)
    assert "locked by" in loser.err
    assert "@" in loser.err
    assert "pid" in loser.err
    assert project.ask() == 6.0


def test_a_model_that_changes_between_plan_and_up_is_refused(project: UserProject) -> None:
    project.ok("plan", "--save", str(project.root / "plan.json"))
    project.model(factor=3.0)
    refused = project.run("up", "--plan", str(project.root / "plan.json"))
    assert refused.code == 5
    assert "the spec of models has changed" in refused.err


def test_a_model_that_vanishes_is_named_with_its_place_in_the_spec(project: UserProject) -> None:
    (project.root / "models/delay.onnx").unlink()
    refused = project.run("up", "--yes")
    assert refused.code == 1
    assert "bedplate.yaml:6:" in refused.err
    assert "models/delay.onnx" in refused.err
    assert not (project.root / "stacks").exists()


def test_a_saved_plan_is_applied_once_and_then_stale(project: UserProject) -> None:
    plan = project.root / "plan.json"
    project.ok("plan", "--save", str(plan))
    project.ok("up", "--plan", str(plan))
    assert project.ask() == 6.0
    stale = project.run("up", "--plan", str(plan))
    assert stale.code == 5
    assert "the state of" in stale.err


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"create"', '"delete"', 1),
        lambda text: json.dumps({**json.loads(text), "note": "hello"}),
        lambda text: json.dumps({**json.loads(text), "version": 99}),
        lambda text: "",
    ],
    ids=["truncated", "edited", "unknown field", "another version", "empty"],
)
def test_a_plan_that_is_not_as_it_was_saved_is_refused(
    project: UserProject, spoil: Callable[[str], str]
) -> None:
    plan = project.root / "plan.json"
    project.ok("plan", "--save", str(plan))
    plan.write_text(spoil(plan.read_text()))
    refused = project.run("up", "--plan", str(plan))
    assert refused.code == 5
    assert "plan.json" in refused.err


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("{}"),
        lambda path: path.write_text(re.sub(r'"version": *3', '"version": 4', path.read_text(), count=1)),
        lambda path: path.unlink(),
    ],
    ids=["truncated", "empty", "no checkpoint", "newer", "missing"],
)
def test_a_damaged_state_is_named_and_left_as_it_is(
    project: UserProject, damage: Callable[[Path], object]
) -> None:
    project.write("version: 1\nproject: flights\nmodels: {delay: {path: models/delay.onnx}}\n")
    project.ok("up", "--yes")
    path = checkpoint(project)
    damage(path)
    before = path.read_bytes() if path.exists() else None
    refused = project.run("up", "--yes")
    assert refused.code == 4
    assert str(path) in refused.err
    assert "backup" in refused.err
    assert (path.read_bytes() if path.exists() else None) == before
    assert project.run("validate").code == 0


def test_a_state_of_another_project_is_refused(project: UserProject) -> None:
    project.ok("up", "--yes")
    (project.root / "bedplate.lock").write_text("version: 1\nidentity: 0123456789abcdef0123456789abcdef\n")
    for words in (["plan"], ["up", "--yes"], ["destroy", "--yes"]):
        refused = project.run(*words)
        assert refused.code == 5
        assert "belongs to another project" in refused.err
    (project.root / "bedplate.lock").unlink()
    refused = project.run("up", "--yes")
    assert refused.code == 5
    assert "bedplate.lock" in refused.err
    assert project.ask() == 6.0


def test_a_wrong_passphrase_is_said_and_leaves_the_state(project: UserProject) -> None:
    project.ok("up", "--yes")
    before = checkpoint(project).read_bytes()
    (project.root / ".bedplate/secrets/passphrase").write_text("swordfish")
    project.model(factor=3.0)
    refused = project.run("up", "--yes")
    assert refused.code == 4
    assert "passphrase" in refused.err
    assert "swordfish" not in refused.text
    assert checkpoint(project).read_bytes() == before


def test_without_an_engine_the_spec_can_still_be_validated_and_compiled(project: UserProject) -> None:
    nothing = {"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(project.root / "empty")}
    assert project.run("validate", env=nothing).code == 0
    assert project.run("compile", env=nothing).code == 0
    refused = project.run("up", "--yes", env=nothing)
    assert refused.code == 4
    assert "bedplate engine install" in refused.err
    assert project.run("doctor", env=nothing).code == 4


def test_interrupted_once_it_finishes_what_is_under_way(project: UserProject) -> None:
    process = project.start("up", "--yes")
    assert process.stdout is not None
    for line in process.stdout:
        if "creating" in line:
            break
    process.send_signal(signal.SIGINT)
    answer = project.finish(process)
    assert answer.code == 130
    deadline = time.monotonic() + 20
    while [p for p in project.processes() if "pulumi" in " ".join(p.info["cmdline"] or ())]:
        assert time.monotonic() < deadline, "an engine outlived its command"
        time.sleep(0.1)
    project.ok("up", "--yes")
    assert project.ask() == 6.0


def test_a_read_only_folder_is_an_error_not_a_bug(project: UserProject) -> None:
    if os.geteuid() == 0:
        (project.root / ".bedplate").write_text("a file where the folder should be")
    else:
        project.root.chmod(0o500)
    try:
        refused = project.run("up", "--yes")
    finally:
        project.root.chmod(0o700)
    assert refused.code == 4
    assert ".bedplate" in refused.err


def mounted(folder: Path, options: str) -> bool:
    """Mounts a file system in memory, also where the mount command would insist on being root."""
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, options.encode()) == 0)


def in_a_namespace_where_we_may_mount(test: str, folder: Path) -> None:
    """Runs a test of this file again, in namespaces of its own."""
    assert not os.environ.get(AGAIN), "cannot mount in a user namespace: run this test as root"
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{__file__}::{test}"]
    ran = subprocess.run(
        ["unshare", "--user", "--map-current-user", "--keep-caps", "--mount", *words, f"--basetemp={folder}"],
        env={**os.environ, AGAIN: "yes"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout}{ran.stderr}"


def test_a_full_disk_loses_nothing(make_project: Callable[..., UserProject], tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if not mounted(small, "size=48m"):
        in_a_namespace_where_we_may_mount("test_a_full_disk_loses_nothing", tmp_path / "again")
        return
    try:
        project = make_project("small/flights")
        project.ok("up", "--yes")
        filler = small / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                pass
        project.root.joinpath("bedplate.yaml").write_bytes(
            SPEC.replace("replicas: 1", "replicas: 2").encode()[:4096]
        )
        failed = project.run("up", "--yes")
        assert failed.code == 4
        assert project.ask() == 6.0
        filler.unlink()
        project.write(SPEC.replace("replicas: 1", "replicas: 2"))
        if project.run("up", "--yes").code:
            project.ok("recover")
            project.ok("up", "--yes")
        assert project.ok("status", "--json").data["services"][0]["workers_wanted"] == 2
        project.ok("destroy", "--yes")
    finally:
        ctypes.CDLL(None).umount2(os.fsencode(small), MNT_DETACH)


def test_bare_pulumi_and_bedplate_do_not_run_over_each_other(project: UserProject) -> None:
    project.ok("up", "--yes")
    locks = project.root / ".bedplate/state/.pulumi/locks/organization/flights-models/local"
    locks.mkdir(parents=True, exist_ok=True)
    held = {"pid": 1, "username": "ada", "hostname": "box", "timestamp": "2026-01-01T00:00:00Z"}
    (locks / "one.json").write_text(json.dumps(held))
    project.model(factor=3.0)
    refused = project.run("up", "--yes")
    assert refused.code == 5
    assert "ada@box" in refused.err
    shutil.rmtree(locks)
    project.ok("up", "--yes")
    assert project.ask() == 9.0
