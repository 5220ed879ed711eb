"""`bedplate build` as a user calls it, with a false docker: real builders are in tests/images."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bedplate.cli import run
from bedplate.engine.images import wheels
from bedplate.image import BASE
from bedplate.lockfile import BasePin, parse
from tests.spec.cases import MODEL

DIGEST = "sha256:" + 32 * "ab"
SPEC = """\
version: 1
project: flights
environments:
  local: {target: local}
  prod:
    target: kubernetes
    kubernetes: {context: prod, namespace: flights}
    images: {registry: ghcr.io/acme}
models: {delay: {path: delay.onnx}}
serving:
  delay: {}
  hub: {model: delay}
  own: {runtime: container, image: 'ghcr.io/acme/own:1', environments: [prod]}
"""
# Remembers what it was called with, and has the images that it has built.
DOCKER = """#!/bin/sh
printf '%s\\n' "$*" >> "$0.calls"
case "$1 $2" in
    "buildx build")
        [ -e "$0.broken" ] && { echo "no space left"; exit 1; }
        while [ "$1" != --iidfile ]; do shift; done
        printf 'sha256:1234' > "$2"; : > "$0.has" ;;
    "buildx version") echo "github.com/docker/buildx v0.23.0 1234" ;;
    "image inspect")
        case "$4 $5" in
            *RepoDigests*python:*) [ -e "$0.digest" ] && read -r digest < "$0.digest" && echo "${5%:*}@$digest" ;;
            *RepoDigests*) echo "ghcr.io/other@sha256:00 ${5%:*}@DIGEST" ;;
            *python:*) [ -e "$0.base" ] && read -r base < "$0.base" && echo "$base" ;;
            *) [ -e "$0.has" ] && echo sha256:1234 || exit 1 ;;
        esac ;;
    push*) [ -e "$0.refuses" ] && { echo "denied"; exit 1; } ;;
esac
exit 0
"""


# Builds an image whose configuration names nothing of the container that it was made in.
PODMAN = """#!/bin/sh
case "$1" in
    build|bud)
        while [ "$1" != --iidfile ]; do shift; done
        printf 'sha256:5678' > "$2" ;;
    push)
        while [ $# -gt 1 ]; do shift; done
        mkdir -p "${1#dir:}"
        printf '{}' > "${1#dir:}/aa"
        printf '{"config": {"digest": "sha256:aa"}}' > "${1#dir:}/manifest.json" ;;
esac
exit 0
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, two wheels that need no index, and nothing on PATH but what is made in `bin`."""
    (tmp_path / "bedplate.yaml").write_text(SPEC)
    shutil.copy(MODEL, tmp_path)
    packages = [tmp_path / "wheels" / f"{name}-1-py3-none-any.whl" for name in ("numpy", "pip")]
    for package in packages:
        package.parent.mkdir(exist_ok=True)
        package.write_bytes(package.name.encode())
    monkeypatch.setattr(wheels, "gathered", lambda base, progress: packages)
    (tmp_path / "bin").mkdir()
    for name in ("sh", "mkdir"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in ("SOURCE_DATE_EPOCH", "BEDPLATE_BASE_IMAGE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def docker(project: Path) -> Path:
    program = project / "bin" / "docker"
    program.write_text(DOCKER.replace("DIGEST", DIGEST))
    program.chmod(0o755)
    return program


@pytest.fixture
def build(project: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs it with --json, and gives its answer; the code must be as told."""

    def call(*words: str, code: int = 0) -> Any:
        assert run(["-C", str(project), "build", "--platform", "linux/amd64", *words, "--json"]) == code
        return json.loads(capsys.readouterr().out)

    return call


def calls(docker: Path) -> list[str]:
    return Path(f"{docker}.calls").read_text().splitlines()


def states(answer: Mapping[str, Any]) -> dict[str, str]:
    return {image["address"]: image["state"] for image in answer["images"]}


def test_the_context_holds_all_that_is_built_from(project: Path, build: Callable[..., Any]) -> None:
    answer = build("delay", "--context-only")
    folder = Path(answer["images"][0]["context"])
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    own = next(name for name in files if name.startswith("wheels/bedplate-"))
    model = f"models/sha256-{answer['images'][0]['models'][0]}.onnx"
    assert set(files) == {
        "Dockerfile",
        "etc/server.json",
        "wheels/numpy-1-py3-none-any.whl",
        "wheels/pip-1-py3-none-any.whl",
        "wheels/requirements.txt",
        own,
        model,
    }
    assert files[model].read_bytes() == MODEL.read_bytes()
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o644}
    assert len({path.stat().st_mtime for path in files.values()}) == 1
    assert f"FROM {BASE}" in files["Dockerfile"].read_text()
    assert "pip==" not in files["wheels/requirements.txt"].read_text()
    assert states(answer) == {"serving.delay": "context"}


def test_what_a_context_must_not_hold_goes(project: Path, build: Callable[..., Any]) -> None:
    folder = Path(build("delay", "--context-only")["images"][0]["context"])
    (folder / "models" / "old" / "deep").mkdir(parents=True)
    (folder / "models" / "old" / "deep" / "left.onnx").touch()
    (folder / "wheels" / "numpy-1-py3-none-any.whl").write_text("damaged")
    build("delay", "--context-only")
    assert not (folder / "models" / "old").exists()
    assert (folder / "wheels" / "numpy-1-py3-none-any.whl").read_text() == "numpy-1-py3-none-any.whl"


def test_what_has_not_changed_is_not_built_again(
    project: Path, docker: Path, build: Callable[..., Any]
) -> None:
    assert states(build()) == {"serving.delay": "built", "serving.hub": "built"}
    assert states(build()) == {"serving.delay": "unchanged", "serving.hub": "unchanged"}
    assert states(build("delay", "--again")) == {"serving.delay": "built"}
    Path(f"{docker}.has").unlink()
    assert states(build("serving.hub")) == {"serving.hub": "built"}
    (project / "bedplate.yaml").write_text(SPEC.replace("delay: {}", "delay: {slo: {p95: 100ms}}"))
    assert states(build()) == {"serving.delay": "built", "serving.hub": "unchanged"}


def test_a_base_whose_name_means_another_one_is_built_on_again(
    docker: Path, build: Callable[..., Any]
) -> None:
    base = Path(f"{docker}.base")
    for told, state in (("sha256:aa", "built"), ("sha256:aa", "unchanged"), ("sha256:bb", "built")):
        base.write_text(f"{told}\n")
        assert states(build("delay")) == {"serving.delay": state}


def test_a_base_that_is_not_there_is_brought(docker: Path, build: Callable[..., Any]) -> None:
    build("delay")
    assert f"pull --quiet --platform linux/amd64 {BASE}" in calls(docker)
    Path(f"{docker}.base").write_text("sha256:aa\n")
    Path(f"{docker}.calls").unlink()
    build("delay")
    assert not any(call.startswith("pull") for call in calls(docker))


def test_a_base_that_has_moved_since_the_image_was_pinned_is_told(
    project: Path, docker: Path, build: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    def warned(*words: str) -> str:
        assert run(["-C", str(project), "build", "delay", "--platform", "linux/amd64", *words]) == 0
        return capsys.readouterr().err.partition("warning: ")[2]

    def means(identity: str, *digests: str) -> None:
        Path(f"{docker}.base").write_text(f"sha256:{identity}\n")
        Path(f"{docker}.digest").write_text(" ".join(f"sha256:{digest}" for digest in digests) + "\n")

    means("aa", "bb")
    assert not warned("--env", "prod", "--push")
    pin = parse((project / "bedplate.lock").read_text()).images["prod"]["delay"]
    assert pin.base == BasePin(BASE, "linux/amd64", "sha256:aa", ("sha256:bb",))
    means("a2", "bb")  # as another builder knows it
    assert not warned("--env", "prod")
    means("cc", "dd")
    said = warned("--env", "prod")
    assert f"serving.delay: {BASE} is another image than bedplate.lock says" in said
    assert "it was sha256:bb and is sha256:dd" in said
    assert f"builds on the former: --base {BASE}@sha256:bb" in said
    assert not warned()  # nothing is pinned for local
    assert not warned("--env", "prod", "--base", "python:3.12")
    assert not warned("--env", "prod", "--platform", "linux/arm64")
    assert warned("--env", "prod", "--push")
    assert not warned("--env", "prod")


def test_docker_gets_no_network_and_a_time(docker: Path, build: Callable[..., Any]) -> None:
    build("delay")
    (line,) = (call for call in calls(docker) if call.startswith("buildx build"))
    for words in (
        "--network none",
        "SOURCE_DATE_EPOCH=315532800",
        "--load",
        "--platform linux/amd64",
    ):
        assert words in line


def test_the_time_is_that_of_the_environment(
    docker: Path, build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    build("delay")
    assert any("SOURCE_DATE_EPOCH=1700000000" in call for call in calls(docker))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    assert "number of seconds" in build("delay", code=2)["error"]["hint"]


def test_what_is_pushed_is_pinned(project: Path, docker: Path, build: Callable[..., Any]) -> None:
    answer = build("--env", "prod", "--push")
    assert [image["digest"] for image in answer["images"]] == [DIGEST, DIGEST]
    assert answer["left_out"] == [{"address": "serving.own", "reason": "it is a container of yours"}]
    pins = parse((project / "bedplate.lock").read_text()).images["prod"]
    assert {name: pin.digest for name, pin in pins.items()} == {"delay": DIGEST, "hub": DIGEST}
    assert pins["delay"].models == tuple(answer["images"][0]["models"])
    assert run(["-C", str(project), "validate"]) == 0


def test_what_is_not_pushed_is_not_pinned(project: Path, docker: Path, build: Callable[..., Any]) -> None:
    build("--env", "prod")
    assert not (project / "bedplate.lock").exists()


def test_an_old_pin_is_refused_until_it_is_built_anew(
    project: Path, docker: Path, build: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    build("--env", "prod", "--push")
    model = project / "delay.onnx"
    model.write_bytes(model.read_bytes() + b"\x72\x00")  # an empty description
    assert run(["-C", str(project), "validate"]) == 1
    assert "bedplate build delay --env prod --push" in capsys.readouterr().err
    build("--env", "prod", "--push")
    assert run(["-C", str(project), "validate"]) == 0


@pytest.mark.parametrize(
    ("words", "code", "told", "hint"),
    [
        (("dely",), 2, "there is no service 'dely' in local", "did you mean 'delay'?"),
        (("own", "--env", "prod"), 2, "serving.own is not built here", None),
        (("--push",), 2, "no registry", "add environments.local.images: {registry: HOST/PATH}"),
        (("--push", "--context-only"), 2, "--context-only builds nothing", "take one of them"),
        (
            ("--base", "debian:12"),
            2,
            "no telling which Python debian:12 has",
            "--python, one of 3.11, 3.12, 3.13",
        ),
        (("--base", "python:3.9"), 2, "no packages for Python 3.9", "--python, one of 3.11, 3.12, 3.13"),
        (("--base", "two words"), 2, "no name of an image", "HOST/PATH:TAG"),
        (("--env", "nowhere"), 2, "there is no environment 'nowhere'", "local, prod"),
    ],
)
def test_what_cannot_be_followed(
    docker: Path, build: Callable[..., Any], words: tuple[str, ...], code: int, told: str, hint: str | None
) -> None:
    error = build(*words, code=code)["error"]
    assert told in error["message"]
    assert (hint or "") in (error["hint"] or "")


def test_without_a_builder_it_says_what_to_install(build: Callable[..., Any]) -> None:
    error = build(code=4)["error"]
    assert "docker is not on PATH, podman is not on PATH, buildah is not on PATH" in error["message"]
    assert "apt-get install buildah" in error["hint"]
    assert "podman" in build("--with", "podman", code=4)["error"]["message"]


def test_the_first_builder_that_can_be_used_is_taken(
    project: Path, docker: Path, build: Callable[..., Any]
) -> None:
    # What answers as podman and buildah do: ids go to a file, images into a folder.
    podman = project / "bin" / "podman"
    podman.write_text(PODMAN)
    podman.chmod(0o755)
    (project / "bin" / "buildah").symlink_to(podman)
    assert [image["builder"] for image in build("delay")["images"]] == ["docker"]
    docker.write_text('#!/bin/sh\n[ "$1" != version ]\n')
    assert [image["builder"] for image in build("delay")["images"]] == ["podman"]
    buildah = project / "bin" / "buildah"
    buildah.unlink()
    buildah.write_text(PODMAN)
    buildah.chmod(0o755)
    podman.write_text('#!/bin/sh\n[ "$1" != info ]\n')
    assert [image["builder"] for image in build("delay")["images"]] == ["buildah"]
    buildah.unlink()
    message = build("delay", code=4)["error"]["message"]
    assert "docker has no daemon that answers, podman does not work (podman info says why), " in message
    assert "buildah is not on PATH" in message
    assert "docker has no daemon" in build("delay", "--with", "docker", code=4)["error"]["message"]


def test_podman_under_the_name_of_docker_is_no_docker(docker: Path, build: Callable[..., Any]) -> None:
    docker.write_text('#!/bin/sh\n[ "$1 $2" = "buildx version" ] && echo buildah 1.33.2\nexit 0\n')
    assert "docker has no buildx" in build("delay", code=4)["error"]["message"]


def test_a_build_that_fails_says_where_all_of_it_is(
    project: Path, docker: Path, build: Callable[..., Any]
) -> None:
    Path(f"{docker}.broken").touch()
    error = build("delay", code=4)["error"]
    assert error["message"] == "serving.delay: building with docker: failed: no space left"
    log = project / ".bedplate" / "build" / "local" / "delay.log"
    assert str(log) in error["hint"]
    assert log.read_text() == "no space left\n"
    Path(f"{docker}.broken").unlink()
    assert states(build("delay")) == {"serving.delay": "built"}


def test_a_push_that_is_refused_says_how_to_log_in(
    project: Path, docker: Path, build: Callable[..., Any]
) -> None:
    Path(f"{docker}.refuses").touch()
    error = build("delay", "--env", "prod", "--push", code=4)["error"]
    assert "denied" in error["message"]
    assert error["hint"].startswith("look whether ghcr.io answers; if it knows you: docker login ghcr.io; ")
    assert not (project / "bedplate.lock").exists()


def test_people_are_told_in_words(
    project: Path, docker: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEDPLATE_BASE_IMAGE", "ghcr.io/acme/python:3.12")
    assert run(["-C", str(project), "build", "--env", "prod", "--push", "--platform", "linux/arm64"]) == 0
    out, err = capsys.readouterr()
    assert "serving.delay: built  ghcr.io/acme/delay:" in out
    assert f"  {DIGEST}, pushed and pinned in bedplate.lock" in out
    assert "serving.own: left out, as it is a container of yours" in out
    assert "  serving.delay: building with docker ...\n" in err
    assert any("--platform linux/arm64" in call for call in calls(docker))


def test_the_folder_is_not_committed(project: Path, build: Callable[..., Any]) -> None:
    build("--context-only")
    assert (project / ".bedplate" / ".gitignore").read_text() == "*\n"
    assert os.access(project / ".bedplate" / "build" / "lock", os.W_OK)
