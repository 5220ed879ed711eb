"""A secret on its way through an apply: found in the world only, and nowhere else in clear."""

from __future__ import annotations

import dataclasses

import pytest

from bedplate.graph import SecretRef
from tests.engine.project import ToyProject, everything_under, toy

CANARY = 'canary/7f3a+9 "b"&ü'
SOURCES = {"API": {"env": "TOY_API_KEY"}}


@pytest.fixture
def keyed(project: ToyProject, monkeypatch: pytest.MonkeyPatch) -> ToyProject:
    monkeypatch.delenv("TOY_API_KEY", raising=False)
    made = dataclasses.replace(project, secrets=SOURCES)
    made.write(toy("cat", key=SecretRef("API")), toy("dog"))
    return made


def test_the_value_is_found_nowhere_in_clear(keyed: ToyProject) -> None:
    keyed.environment["TOY_API_KEY"] = CANARY
    printed = keyed.operate("preview", "--diff").text
    printed += keyed.applied("--diff").text
    keyed.environment["TOY_API_KEY"] = CANARY + "2"
    changed = keyed.applied()
    assert changed.changes() == {"update": 1}
    printed += changed.text + keyed.operate("refresh", "--yes").text
    printed += keyed.run("stack", "export").text + keyed.run("stack", "history").text
    assert CANARY in everything_under(keyed.world).replace('\\"', '"').replace("\\u00fc", "ü")
    assert "canary/7f3a" not in printed
    for private in (keyed.workspace.private, keyed.workspace.stacks):
        assert "canary/7f3a" not in everything_under(private)
    assert "canary/7f3a" not in (keyed.root / "events-toys").read_text()


def test_an_output_that_reveals_it_is_secret_by_itself(keyed: ToyProject) -> None:
    keyed.environment["TOY_API_KEY"] = CANARY
    keyed.applied()
    cat = keyed.state()["cat"]
    assert "ciphertext" in cat["outputs"]["echo"]
    assert set(cat["inputs"]["key"]) == {"secret", "source", "fingerprint"}


def test_the_same_value_is_no_change(keyed: ToyProject) -> None:
    keyed.environment["TOY_API_KEY"] = CANARY
    keyed.applied()
    assert keyed.applied().changes() == {}


def test_a_failure_s_text_is_masked(keyed: ToyProject) -> None:
    keyed.environment["TOY_API_KEY"] = CANARY
    keyed.switch("fail-cat", f"the world says {CANARY}")
    ran = keyed.up()
    assert ran.code != 0
    assert "the world says [secret]" in ran.errors()
    (keyed.world / "fail-cat").unlink()
    keyed.switch("bug-cat", f"oops {CANARY}")
    ran = keyed.up()
    assert "canary/7f3a" not in ran.text + everything_under(keyed.workspace.private)


@pytest.mark.parametrize("command", ["preview", "up"])
def test_an_unset_secret_fails_before_anything_is_registered(keyed: ToyProject, command: str) -> None:
    ran = keyed.operate(command, *(["--yes", "--skip-preview"] if command == "up" else []))
    assert ran.code != 0
    assert "the secret API is not set: its source is the environment variable TOY_API_KEY" in ran.text
    assert "export TOY_API_KEY=" in ran.text
    assert keyed.journal() == []
    assert not any("resourcePreEvent" in event for event in ran.events)
