"""Images built for real, of a Debian without a package index, and run as a cluster would run them.

Making and mounting file systems needs root. Elsewhere these tests are skipped by name; CI is root.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

from bedplate.engine.images import builders
from bedplate.graph import Graph
from bedplate.image import EPOCH
from bedplate.lockfile import parse
from bedplate.workspace import Workspace
from tests.e2e.project import UserProject
from tests.images.container import Container, running
from tests.images.docker import Docker, docker, settings
from tests.images.registry import manifest, registry
from tests.images.storage import BASE, PROGRAMS, PYTHON, Storage, storage

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="images are built and mounted by root only")

SPEC = """\
version: 1
project: flights

environments:
  local: {{target: local}}
  staging:
    target: kubernetes
    kubernetes: {{context: staging, namespace: flights-staging}}
    images: {{registry: "{registry}/acme"}}

models:
  delay: {{path: models/delay.onnx}}

serving:
  delay:
    resources: {{limits: {{cpu: 1, memory: 1Gi}}}}
    probes: {{period: 7s, timeout: 2s, startup: 90s}}
"""
ON_THE_BASE = ("--with", "buildah", "--base", BASE, "--python", PYTHON)
WITHOUT_NETWORK = ("unshare", "--net")
ASK = """
import json, os, sys, urllib.request
tensor = {"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [3.0]}
url = "http://127.0.0.1:8080/v2/models/delay/infer"
kind = {"Content-Type": "application/json"}
request = urllib.request.Request(url, json.dumps({"inputs": [tensor]}).encode(), kind)
answer = json.load(urllib.request.urlopen(request, timeout=30))
try:
    open("/models/new", "w")
except OSError as error:
    written = error.strerror
print(json.dumps({"answer": answer["outputs"][0]["data"], "user": os.getuid(), "written": written}))
"""
ANSWER = {"answer": [6.0], "user": 10001, "written": "Read-only file system"}
CALL = """
import numpy, tritonclient.grpc as grpc
tensor = grpc.InferInput("x", [1, 1], "FP32")
tensor.set_data_from_numpy(numpy.array([[3]], numpy.float32))
print(grpc.InferenceServerClient("127.0.0.1:9000").infer("delay", [tensor]).as_numpy("y").tolist())
"""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Storage]:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    assert not missing, f"there is no {', '.join(missing)} here: run tests/images/install"
    with storage(tmp_path / "storage") as found:
        yield found


@pytest.fixture
def a_docker() -> Iterator[Docker]:
    if shutil.which("go") is None and not settings().exists():
        pytest.skip("there is no Go here to build docker's buildx with")
    assert settings().exists(), "there is no docker with buildx here: run tests/images/install"
    with docker() as found:
        yield found


def project(root: Path, environment: Mapping[str, str], registry: str = "ghcr.io") -> UserProject:
    made = UserProject(root, dict(environment))
    made.write(SPEC.format(registry=registry))
    made.model()
    return made


def answers(container: Container) -> None:
    ran = container.runs("python", "-c", ASK)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == ANSWER


def test_an_image_serves_by_itself_and_as_its_pod_starts_it(here: Storage, tmp_path: Path) -> None:
    flights = project(tmp_path / "flights", here.environment)
    flights.ok("build", "--env", "staging", "--context-only", *ON_THE_BASE)  # which gathers the wheels
    (built,) = flights.ok("build", "--env", "staging", "--json", *ON_THE_BASE, within=WITHOUT_NETWORK).data[
        "images"
    ]
    (same,) = flights.ok("build", "--env", "staging", "--json", *ON_THE_BASE).data["images"]
    assert (built["state"], same["state"]) == ("built", "unchanged")
    assert same["id"] == built["id"]
    config = here.config(built["id"])
    check = config["Healthcheck"]
    assert (check["Interval"], check["Timeout"], check["StartPeriod"]) == (7 * 10**9, 6 * 10**9, 90 * 10**9)
    alone = [*config["Entrypoint"], *config["Cmd"]]
    pod = _pod(flights.root)
    as_a_pod = [*pod["command"], *pod["args"]]
    variables = {item["name"]: item["value"] for item in pod["env"]}
    assert pod["ports"][0]["containerPort"] == 8080
    assert list(config["ExposedPorts"]) == ["8080/tcp"]
    with here.mounted(built["id"]) as root:
        for name, command, given in (("alone", alone, {}), ("pod", as_a_pod, variables)):
            with running(root, config, tmp_path / name, command=command, variables=given) as container:
                container.becomes_healthy(check["Test"][1:])
                answers(container)
                assert container.stopped() == 0, container.log.read_text()
    assert _without_places(alone) == _without_places(_on_this_machine(flights))


def test_podman_builds_one_whose_models_are_mounted_and_which_speaks_grpc(
    here: Storage, tmp_path: Path
) -> None:
    flights = project(tmp_path / "flights", here.environment)
    spec = SPEC.format(registry="ghcr.io") + "    expose: {grpc_port: 9000}\n"
    flights.write(spec.replace("    images:", "    artifacts: 's3://acme-ml'\n    images:"))
    on_the_base = ("--with", "podman", *ON_THE_BASE[2:])
    (built,) = flights.ok("build", "--env", "staging", "--json", *on_the_base).data["images"]
    (same,) = flights.ok("build", "--env", "staging", "--json", *on_the_base).data["images"]
    assert (built["builder"], built["models"], same["state"]) == ("podman", [], "unchanged")
    config = here.config(built["id"])
    model = flights.root / "models" / "delay.onnx"
    store = tmp_path / "store"
    store.mkdir()
    shutil.copy(model, store / f"sha256-{sha256(model.read_bytes()).hexdigest()}.onnx")
    assert list(config["ExposedPorts"]) == ["8080/tcp", "9000/tcp"]
    command = [*config["Entrypoint"], *config["Cmd"]]
    with here.mounted(built["id"]) as root:
        assert not list(root.glob("models/*"))
        with running(root, config, tmp_path / "run", command=command, mounts={"/models": store}) as container:
            container.becomes_healthy(config["Healthcheck"]["Test"][1:])
            answers(container)
            called = container.asked(sys.executable, "-c", CALL)
            assert called.stdout == "[[6.0]]\n", called.stderr
            assert container.stopped() == 0, container.log.read_text()


def test_docker_builds_pushes_and_runs_one(
    here: Storage, a_docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry(tmp_path) as host:
        base = _pushed(here, host)
        flights = project(tmp_path / "flights", a_docker.environment, host)
        words = ("--env", "staging", "--json", "--base", base, "--python", PYTHON)
        (built,) = flights.ok("build", *words, "--push").data["images"]  # docker is the first to be taken
        (same,) = flights.ok("build", *words).data["images"]
        assert (built["builder"], built["pushed"], same["state"]) == ("docker", True, "unchanged")
        assert manifest(host, "acme/delay", built["digest"])["config"]["digest"] == built["id"]
    pin = parse((flights.root / "bedplate.lock").read_text()).images["staging"]["delay"].base
    assert pin is not None
    assert f"{base.rpartition(':')[0]}@{pin.digests[0]}" in a_docker("image", "inspect", pin.id)
    (again,) = flights.ok("build", *words, "--again").data["images"]  # where nobody has the base but docker
    assert again["state"] == "built"
    assert _times(a_docker, built["id"], tmp_path / "image.tar") == {EPOCH}
    restricted = ("--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")
    container = a_docker("run", "--detach", *restricted, built["id"])
    a_docker.becomes_healthy(container)
    assert json.loads(a_docker("exec", container, "python", "-c", ASK)) == ANSWER
    a_docker("stop", container)
    assert a_docker("inspect", "--format", "{{.State.ExitCode}}", container) == "0"
    for name, value in a_docker.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody")
    assert builders.choose(None).name == "podman"


def test_two_builds_are_one_image_which_the_lock_pins(here: Storage, tmp_path: Path) -> None:
    with registry(tmp_path) as host:
        base = _pushed(here, host)
        build = ("build", "--env", "staging", "--json", "--base", base, "--python", PYTHON)
        first, second = (project(tmp_path / name, here.environment, host) for name in ("first", "second"))
        digests = []
        for flights in (first, second):
            (image,) = flights.ok(*build, "--with", "buildah", "--push").data["images"]
            assert (image["state"], image["pushed"]) == ("built", True)
            digests.append(image["digest"])
        assert digests[0] == digests[1]
        assert len(manifest(host, "acme/delay", digests[0])["layers"]) == 2
    model = sha256((first.root / "models" / "delay.onnx").read_bytes()).hexdigest()
    pin = parse((first.root / "bedplate.lock").read_text()).images["staging"]["delay"]
    assert (pin.digest, pin.models) == (digests[0], (model,))
    assert _pod(first.root)["image"] == f"{host}/acme/delay@{digests[0]}"
    assert pin.base is not None
    assert f"sha256:{here.buildah('images', '--quiet', '--no-trunc', base).partition(':')[2]}" == pin.base.id
    _move(here, base)
    for builder in ("buildah", "podman"):
        moved = first.run(*build, "--with", builder)
        assert moved.code == 4  # as there is no Python in it
        assert f"warning: serving.delay: {base} is another image than bedplate.lock says" in moved.err
        assert f"--base {base}@{pin.base.digests[0]}" in moved.err
    first.model(factor=3.0)
    refused = first.run("validate")
    assert refused.code == 1
    assert "BP240" in refused.text


def _pushed(here: Storage, host: str) -> str:
    """The base's name in a registry, which now has it."""
    base = f"{host}/python:1"
    here.buildah("push", "--quiet", "--tls-verify=false", BASE, f"docker://{base}")
    return base


def _move(here: Storage, name: str) -> None:
    """Gives the name of an image to one that has nothing in it."""
    empty = here.buildah("from", "scratch")
    here.buildah("commit", "--quiet", empty, name)
    here.buildah("rm", empty)


def _times(docker: Docker, image: str, archive: Path) -> set[float]:
    """The times of all files that an image has beyond its base, in Unix seconds."""
    docker("save", "--output", str(archive), image)
    times = set()
    with tarfile.open(archive) as saved:
        _, *layers = json.loads(_within(saved, "manifest.json").read())[0]["Layers"]
        for name in layers:
            with tarfile.open(fileobj=_within(saved, name)) as layer:
                times |= {file.mtime for file in layer}
    return times


def _within(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    found = archive.extractfile(name)
    assert found is not None
    return found


def _on_this_machine(flights: UserProject) -> list[str]:
    """The command that the local target runs the server with."""
    try:
        flights.ok("up", "--yes")
        (service,) = flights.ok("status", "--json").data["services"]
        return psutil.Process(service["pid"]).cmdline()
    finally:
        flights.ok("destroy", "--yes")


def _without_places(command: list[str]) -> list[str]:
    """A command without the places of its Python and its files, which are each machine's own."""
    _, *words = command
    return [word for word in words if "/" not in word]


def _pod(root: Path) -> dict[str, Any]:
    """The container of the pod that the Kubernetes target compiles."""
    flights = UserProject(root)
    flights.ok("compile")
    graph = Graph.from_json(Workspace(root).graph("serving", "staging").read_bytes())
    (deployment,) = (r for r in graph.resources if r.type.endswith(":Deployment"))
    data = json.loads(json.dumps(deployment.properties, default=list))
    container: dict[str, Any] = data["spec"]["template"]["spec"]["containers"][0]
    return container
