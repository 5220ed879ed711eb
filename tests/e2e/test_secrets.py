"""A secret that a service uses is found nowhere in clear: output, logs, graph, plan, state, history."""

from __future__ import annotations

import urllib.error

import pytest

from tests.e2e.project import SPEC, UserProject

SECRET = "canary-4f1b9c0d-value"
SPEC_WITH_KEY = SPEC + "    expose: {auth: {api_key: {secret: delay-key}}}\n"


@pytest.fixture
def guarded(project: UserProject) -> UserProject:
    project.write(SPEC_WITH_KEY)
    project.environment["DELAY_KEY"] = SECRET
    return project


def places_that_hold(project: UserProject, secret: str) -> list[str]:
    found = [
        str(path)
        for path in project.root.rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    ]
    found += [f"printed: {text[:80]}" for text in project.said if secret in text]
    return found


def test_the_secret_is_nowhere_in_clear(guarded: UserProject) -> None:
    guarded.ok("plan", "--save", str(guarded.root / "plan.json"))
    guarded.ok("up", "--yes")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        guarded.ask()
    assert guarded.ask(headers={"X-API-Key": SECRET}) == 6.0
    with pytest.raises(urllib.error.HTTPError, match="401"):
        guarded.ask(headers={"X-API-Key": SECRET + "x"})

    guarded.model(factor=3.0)
    guarded.ok("plan", "--json")
    guarded.ok("up", "--yes", "--json")
    guarded.unloadable_model()
    assert guarded.run("up", "--yes").code == 4
    guarded.ok("refresh")
    guarded.ok("status", "--json")
    guarded.ok("logs", "serving.delay")
    guarded.ok("env")
    guarded.pulumi("serving", "stack", "export", "--stack", "local", "--show-secrets")
    guarded.pulumi("serving", "preview", "--diff", "--stack", "local")
    guarded.pulumi("serving", "stack", "output", "--show-secrets", "--stack", "local")
    assert places_that_hold(guarded, SECRET) == []


def test_a_changed_secret_is_a_change_that_says_so_and_takes_effect(guarded: UserProject) -> None:
    guarded.ok("up", "--yes")
    guarded.environment["DELAY_KEY"] = "another-value"
    plan = guarded.run("plan", "--exit-code")
    assert plan.code == 7
    assert "API key" in plan.out
    guarded.ok("up", "--yes")
    assert guarded.ask(headers={"Authorization": "Bearer another-value"}) == 6.0
    with pytest.raises(urllib.error.HTTPError, match="401"):
        guarded.ask(headers={"X-API-Key": SECRET})
    assert guarded.run("plan", "--exit-code").code == 0


def test_an_unset_secret_stops_everything_before_anything_is_made(guarded: UserProject) -> None:
    del guarded.environment["DELAY_KEY"]
    refused = guarded.run("up", "--yes")
    assert refused.code == 4
    assert "DELAY_KEY" in refused.err
    assert not (guarded.root / ".bedplate/world").exists()


def test_a_plaintext_secret_in_the_spec_is_refused_and_not_shown(project: UserProject) -> None:
    project.write(SPEC + "    expose: {auth: {api_key: hunter2-in-clear}}\n")
    refused = project.run("up", "--yes")
    assert refused.code == 1
    assert "hunter2" not in refused.text
    assert "bedplate.yaml:12:" in refused.err


def test_a_key_that_no_client_could_send_is_refused(guarded: UserProject) -> None:
    guarded.environment["DELAY_KEY"] = "two\nlines"
    refused = guarded.run("up", "--yes")
    assert refused.code == 4
    assert "HTTP header" in refused.err
    assert "two" not in refused.text
