"""What the real engine tells of a stack in a bucket."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from bedplate.backend import Backend
from bedplate.engine.launchers import engine_environment
from bedplate.engine.pulumi import Pulumi
from bedplate.engine.remote_state import RemoteState
from bedplate.engine.state import NO_CHECKPOINT, record_of
from bedplate.errors import StateError
from bedplate.workspace import Workspace
from tests.s3 import Bucket

CHECKPOINT = ".pulumi/stacks/zoo-toys/local.json"
NOBODY = 2**22 + 1


@pytest.fixture
def make_state(
    engine: Path, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., RemoteState]:
    """Looks at a stack as each command does: anew."""
    variables = {**bucket.environment, "PULUMI_CONFIG_PASSPHRASE": "x"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    workspace = Workspace(tmp_path)
    environment = engine_environment(workspace, Backend(bucket.url))

    def make(stack: str = "local") -> RemoteState:
        pulumi = Pulumi(engine, environment, runs=workspace.engine_runs)
        return RemoteState(pulumi, "zoo-toys", stack, record_of(workspace, "zoo-toys", stack))

    return make


@pytest.fixture
def made(make_state: Callable[..., RemoteState], tmp_path: Path) -> RemoteState:
    """A stack without resources."""
    state = make_state()
    folder = tmp_path / "zoo"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("{name: zoo-toys, runtime: bedplate}")
    assert state.pulumi.call(folder, "stack", "init", "local", "--no-select").ok
    return state


def begin(bucket: Bucket) -> None:
    """An operation that was cut off."""
    stored = json.loads(bucket.objects(CHECKPOINT)[CHECKPOINT])
    urn = "urn:pulumi:local::zoo-toys::bedplate:toy:Toy::cat"
    resource = {"urn": urn, "custom": True, "type": "bedplate:toy:Toy"}
    stored["checkpoint"]["latest"]["pending_operations"] = [{"resource": resource, "type": "creating"}]
    bucket.write(CHECKPOINT, json.dumps(stored).encode())


def test_a_stack_that_is_not_there_is_no_failure(make_state: Callable[..., RemoteState]) -> None:
    state = make_state()
    assert not state.exists()
    assert state.checkpoint_hash() == NO_CHECKPOINT
    assert (state.resources(), state.pending(), state.locks()) == ([], [], [])
    assert state.encryption() == {}


def test_a_stack_has_one_hash_until_it_changes(
    made: RemoteState, make_state: Callable[..., RemoteState], bucket: Bucket
) -> None:
    assert made.exists()
    assert made.encryption()["type"] == "passphrase"
    assert not make_state("loca").exists()
    before = made.checkpoint_hash()
    assert make_state().checkpoint_hash() == before
    begin(bucket)
    assert made.checkpoint_hash() == before
    assert make_state().checkpoint_hash() != before
    made.forget()
    assert [operation["type"] for operation in made.pending()] == ["creating"]
    assert made.checkpoint_hash() == make_state().checkpoint_hash()


def test_a_lock_is_seen_and_looking_changes_nothing(made: RemoteState, bucket: Bucket) -> None:
    before = bucket.objects()
    assert made.locks() == []
    assert bucket.objects() == before
    bucket.write_lock("zoo-toys", "other")
    assert made.locks() == []
    bucket.write_lock("zoo-toys", "local")
    before = bucket.objects()
    [lock] = made.locks()
    assert str(lock) == "an engine of ada@elsewhere, pid 77, since 2026-01-01T00:00:00Z"
    assert lock.file.startswith(f"s3://{bucket.name}/.pulumi/locks/organization/zoo-toys/local/one.json")
    assert lock.alive() is None
    assert bucket.objects() == before


def test_only_an_engine_that_this_clone_ran_is_known_to_be_gone(made: RemoteState, bucket: Bucket) -> None:
    bucket.write_lock("zoo-toys", "local", hostname=socket.gethostname(), pid=NOBODY)
    [lock] = made.locks()
    assert lock.alive() is None
    assert made.pulumi.runs is not None
    (made.pulumi.runs / str(NOBODY)).touch()
    [lock] = made.locks()
    assert lock.alive() is False


def test_a_service_is_not_asked_for_locks(tmp_path: Path) -> None:
    nothing = Pulumi(tmp_path / "no engine", os.environ)
    record = record_of(Workspace(tmp_path), "zoo-toys", "local")
    assert RemoteState(nothing, "zoo-toys", "local", record, asks_for_locks=False).locks() == []


@pytest.mark.parametrize("damage", [b"", b"{", b'{"version": 3, "checkpoint": []}'])
def test_a_damaged_state_is_left_as_it_is(
    damage: bytes, made: RemoteState, make_state: Callable[..., RemoteState], bucket: Bucket
) -> None:
    assert made.exists()
    bucket.write(CHECKPOINT, damage)
    before = bucket.objects()
    with pytest.raises(StateError, match="the state of zoo-toys in local"):
        make_state().exists()
    assert bucket.objects() == before


def test_a_bucket_that_is_gone_is_not_an_empty_one(
    made: RemoteState, make_state: Callable[..., RemoteState], bucket: Bucket
) -> None:
    for key in bucket.objects():
        bucket.client.delete_object(Bucket=bucket.name, Key=key)
    bucket.client.delete_bucket(Bucket=bucket.name)
    for look in (make_state().exists, made.locks):
        with pytest.raises(StateError, match="its bucket does not exist") as refused:
            look()
        assert refused.value.hint is not None
        assert "make the bucket" in refused.value.hint
