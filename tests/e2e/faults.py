"""Commands in which a process is killed at a named point, what a user does then, and what must hold after."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.project import Answer, UserProject, multiplier

SITE = Path(__file__).parents[1] / "faults"
TRIES = 3
DEADLINE_S = 60


def with_site(**variables: str) -> dict[str, str]:
    """An environment in which every Python of the product imports tests/faults/sitecustomize.py."""
    paths = [str(SITE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), **variables}


@contextmanager
def about(point: str) -> Iterator[None]:
    """Says in a failure at which point it was."""
    try:
        yield
    except AssertionError as error:
        error.add_note(f"after {point}")
        raise


@contextmanager
def held(project: UserProject, point: str, *words: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A command in the middle of the provider's call at `point`, which goes on once the file is removed."""
    once = project.root / "fault-to-come"
    once.touch()
    until = once.with_name(f"{once.name}.held")
    process = project.start(*words, env=with_site(BEDPLATE_FAULT=point, BEDPLATE_FAULT_ONCE=str(once)))
    deadline = time.monotonic() + DEADLINE_S
    while not until.exists():
        assert process.poll() is None, project.finish(process).text
        assert time.monotonic() < deadline, f"{point} was not reached"
        time.sleep(0.02)
    try:
        yield process, until
    finally:
        until.unlink(missing_ok=True)


def killed(project: UserProject, point: str, *words: str) -> Answer:
    """Runs a command in which a process is killed at `point`."""
    once = project.root / "fault-to-come"
    once.touch()
    answer = project.run(*words, env=with_site(BEDPLATE_FAULT=point, BEDPLATE_FAULT_ONCE=str(once)))
    assert not once.exists(), f"{point} was not reached: exit {answer.code}\n{answer.text}"
    return answer


def go_on(project: UserProject, *words: str) -> list[str]:
    """What a user does after a failure: the same again, and `recover` when told to. Answers what he ran."""
    ran = []
    for _ in range(TRIES):
        answer = project.run(*words)
        ran.append(words[0])
        if answer.code == 0:
            return ran
        assert answer.code in (4, 5), f"exit {answer.code} after {ran}\n{answer.text}"
        if "bedplate recover" in answer.text:
            project.ok("recover")
            ran.append("recover")
    raise AssertionError(f"{ran} did not converge:\n" + "\n".join(project.said))


def assert_as_specified(project: UserProject, factors: Mapping[str, float]) -> None:
    """Exactly one service, model and server for each of `factors`, in the world as in the state."""
    seen = project.ok("status", "--json").data
    assert sorted(service["name"] for service in seen["services"]) == sorted(factors)
    for service in seen["services"]:
        assert project.ask(1.0, model=service["name"], url=service["url"]) == factors[service["name"]]
    assert _files(project) == _expected_files(factors)
    assert _commands(project) == sorted(["supervisord", *["server", "server.worker"] * len(factors)])
    assert _resources(project) == sorted(["supervisor", *[*factors] * 2])
    unchanged = project.run("plan", "--exit-code")
    assert unchanged.code == 0, unchanged.text


def assert_no_drift(project: UserProject) -> None:
    """Neither bedplate, looking at the world, nor bare Pulumi, looking at the state, finds anything to do."""
    looked = project.run("plan", "--refresh", "--exit-code")
    assert looked.code == 0, looked.text
    for section in project.sections():
        bare = project.pulumi(section, "preview", "--stack", "local", "--expect-no-changes")
        assert bare.code == 0, bare.text


def assert_nothing_left(project: UserProject) -> None:
    assert project.processes() == []
    assert [path for path in (project.root / ".bedplate/world").rglob("*") if path.is_file()] == []
    assert not project.runtime.exists()


def _expected_files(factors: Mapping[str, float]) -> list[str]:
    digests = {hashlib.sha256(multiplier(factor)).hexdigest() for factor in factors.values()}
    return sorted(
        [f"artifacts/sha256-{digest}.onnx" for digest in digests]
        + [f"artifacts/{name}.json" for name in factors]
        + [f"services/{name}/{file}" for name in factors for file in ("server.json", "token.json")]
        + [f"logs/serving.{name}.log" for name in factors]
    )


def _files(project: UserProject) -> list[str]:
    world = project.root / ".bedplate/world/local"
    found = [str(path.relative_to(world)) for path in world.rglob("*") if path.is_file()]
    return sorted(path for path in found if not path.startswith("supervisor/") and path != "lock")


def _commands(project: UserProject) -> list[str]:
    """What runs for the project, by kind; an engine or one of its plugins shows by its own command line."""
    found = []
    for process in project.processes():
        words = process.info["cmdline"] or []
        known = [w for w in ("supervisord", "server.worker", "server") if w in _program(words)]
        found.append(known[0] if known else " ".join(words))
    return sorted(found)


def _program(words: list[str]) -> str:
    module = words[words.index("-m") + 1] if "-m" in words else " ".join(words[:3])
    return module.rpartition("/")[2]


def _resources(project: UserProject) -> list[str]:
    found = []
    for path in (project.root / ".bedplate/state/.pulumi/stacks").glob("*/local.json"):
        latest = json.loads(path.read_bytes())["checkpoint"]["latest"]
        assert not latest.get("pending_operations")
        found += [r["urn"].rpartition("::")[2] for r in latest["resources"] if r.get("custom")]
    return sorted(name for name in found if not name.startswith("default"))
