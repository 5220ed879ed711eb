from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bedplate.backend import Backend
from bedplate.engine.launchers import engine_environment
from bedplate.engine.secrets import (
    create_once,
    ensure_passphrase,
    fingerprint,
    fingerprint_key,
    fingerprints,
    known_values,
    read_secret,
    reference,
    secret_value,
)
from bedplate.errors import EngineError
from bedplate.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def test_a_reference_leads_back_to_the_value(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "tops3cret")
    key = fingerprint_key(workspace, {})
    made = reference(key, "KEY", {"env": "SOME_KEY"})
    assert "tops3cret" not in str(made)
    assert secret_value(made) == "tops3cret"
    assert known_values({"a": [{"b": made}]}) == ["tops3cret"]
    assert fingerprints(key, {"KEY": {"env": "SOME_KEY"}}) == {"KEY": made["fingerprint"]}


@pytest.mark.parametrize("value", [None, ""])
def test_an_unset_secret_is_named(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("SOME_KEY", value)
    with pytest.raises(EngineError, match=r"the secret KEY is not set.*SOME_KEY"):
        read_secret("KEY", {"env": "SOME_KEY"})


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(EngineError, match="cannot be read: vault"):
        read_secret("KEY", {"vault": "x"})


def test_a_fingerprint_tells_values_names_and_projects_apart(workspace: Workspace, tmp_path: Path) -> None:
    key = fingerprint_key(workspace, {})
    one = fingerprint(key, "A", "value")
    assert one == fingerprint(fingerprint_key(workspace, {}), "A", "value")
    others = {
        fingerprint(key, "A", "other"),
        fingerprint(key, "B", "value"),
        fingerprint(fingerprint_key(Workspace(tmp_path / "clone"), {}), "A", "value"),
    }
    assert one not in others
    assert len(others) == 3


def test_private_files_are_the_owner_s_alone(workspace: Workspace) -> None:
    assert ensure_passphrase(workspace)
    assert not ensure_passphrase(workspace)
    fingerprint_key(workspace, {})
    assert {path.stat().st_mode & 0o777 for path in workspace.secrets.iterdir()} == {0o600}
    assert workspace.secrets.stat().st_mode & 0o777 == 0o700


def test_of_two_that_create_at_once_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "new" / "key"
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: create_once(path, str(n)), range(8)))
    assert won.count(True) == 1
    assert path.read_text() == str(won.index(True))
    assert [p.name for p in path.parent.iterdir()] == ["key"]


def test_the_passphrase_is_in_its_file_and_not_in_the_environment(workspace: Workspace) -> None:
    environment = engine_environment(workspace)
    [passphrase] = workspace.secrets.iterdir()
    assert environment["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(passphrase)
    assert passphrase.read_text() not in environment.values()
    assert engine_environment(workspace) == environment


@pytest.mark.parametrize(
    ("backend", "needs_one"),
    [
        (Backend("s3://states"), True),
        (Backend("file:///srv/state"), True),
        (Backend("https://api.pulumi.com", "passphrase"), True),
        (Backend("https://api.pulumi.com"), False),
        (Backend("s3://states", "awskms://alias/bedplate"), False),
    ],
)
def test_a_shared_state_takes_the_team_s_passphrase_where_it_takes_one(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, backend: Backend, needs_one: bool
) -> None:
    for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    if needs_one:
        with pytest.raises(EngineError, match="is not set") as refused:
            engine_environment(workspace, backend)
        assert "export PULUMI_CONFIG_PASSPHRASE=" in str(refused.value.hint)
        monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "ours")
    environment = engine_environment(workspace, backend)
    assert environment.get("PULUMI_CONFIG_PASSPHRASE") == ("ours" if needs_one else None)
    assert environment["PULUMI_BACKEND_URL"].startswith(str(backend.url))
    assert not workspace.secrets.exists()
