"""What an image is made of, by its spec alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bedplate.cli.project import project_to_build
from bedplate.image import BASE, Base, Elsewhere, Image, images, is_reference, python_of
from bedplate.runtime.programs import command
from bedplate.runtime.server.config import parse
from bedplate.targets.kubernetes import pods
from tests.spec.cases import MODEL

ON = Base("python:3.13-slim", "3.13", "linux/amd64")
SPEC = """\
version: 1
project: flights
environments:
  local: {target: local}
  staging: &cluster
    target: kubernetes
    kubernetes: {context: staging, namespace: flights}
    images: {registry: ghcr.io/acme/flights/}
  stored: {<<: *cluster, artifacts: 's3://acme-ml'}
  prod: {<<: *cluster, mode: production, state: {backend: 's3://acme-state'}}
models: {delay: {path: delay.onnx}}
serving:
  delay: {name: late_flights, probes: {period: 7s, timeout: 2s, startup: 90s}}
  given: {model: delay, image: 'ghcr.io/acme/given:1'}
  own: {runtime: container, image: 'ghcr.io/acme/own:1'}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bedplate.yaml").write_text(SPEC)
    shutil.copy(MODEL, tmp_path)
    return tmp_path


def of(folder: Path, environment: str = "staging", base: Base = ON) -> Image:
    project = project_to_build(folder, environment)[1]
    (image,) = (found for found in images(project, base) if isinstance(found, Image))
    return image


def test_it_is_where_the_target_looks_for_it(folder: Path) -> None:
    image = of(folder)
    assert image.reference == f"ghcr.io/acme/flights/late-flights:{image.models[0].sha256[:12]}"
    assert image.pushable


def test_without_a_registry_it_is_this_machines(folder: Path) -> None:
    (folder / "bedplate.yaml").write_text(SPEC.partition("  given:")[0])
    image = of(folder, "local")
    assert image.reference.startswith("localhost/flights/late-flights:")
    assert not image.pushable


def test_it_starts_as_its_pod_does(folder: Path) -> None:
    image = of(folder)
    text = image.dockerfile("pip.whl")
    assert f"ENTRYPOINT {json.dumps(command('python', 'server'))}" in text
    assert f"USER {pods.USER}:{pods.USER}\nEXPOSE {pods.PORT}\nSTOPSIGNAL SIGTERM\n" in text
    read = parse(image.config)
    assert (read.service, read.port) == ("serving.delay", pods.PORT)
    assert [model.path for model in read.models] == [f"{pods.MODELS}/sha256-{image.models[0].sha256}.onnx"]


def test_its_health_check_has_the_probes_of_the_spec(folder: Path) -> None:
    text = of(folder).dockerfile("pip.whl")
    assert "HEALTHCHECK --interval=7s --timeout=6s \\\n    --start-period=90s" in text
    assert '["python", "-P", "-m", "bedplate.runtime.health", "--port", "8080", "--timeout", "2"]' in text


def test_what_is_made_is_all_of_one_time(folder: Path) -> None:
    made, _, taken = (
        of(folder, base=Base("python:3.13", "3.13", "linux/amd64", 1_700_000_000))
        .dockerfile("pip.whl")
        .rpartition("\nFROM ")
    )
    assert "for time in (1700000000,)" in made.splitlines()[-1]
    copies = [line for line in taken.splitlines() if line.startswith("COPY")]
    assert copies
    assert all(line.startswith("COPY --from=made /made/") for line in copies)


def test_models_are_baked_in_unless_there_is_a_store(folder: Path) -> None:
    text = of(folder).dockerfile("pip.whl")
    assert "COPY models /made/models/models\n" in text
    assert "COPY --from=made /made/models/ /\n" in text
    stored = of(folder, "stored")
    assert stored.models == ()
    assert "/made/models" not in stored.dockerfile("pip.whl")
    assert "s3://acme-ml/models" in stored.dockerfile("pip.whl")


def test_production_may_be_built_before_anything_is_pinned(folder: Path) -> None:
    assert of(folder, "prod").reference.startswith("ghcr.io/")


def test_images_of_others_are_not_built(folder: Path) -> None:
    project = project_to_build(folder, "staging")[1]
    left_out = {i.key: i.reason for i in images(project, ON) if isinstance(i, Elsewhere)}
    assert left_out == {
        "given": "the spec names its image, ghcr.io/acme/given:1",
        "own": "it is a container of yours",
    }


def test_labels_cannot_leave_their_quotes(folder: Path) -> None:
    image = of(folder, base=Base('x" USER root $HOME \\', "3.13", "linux/amd64"))
    assert r'base.name="x\" USER root \$HOME \\"' in image.dockerfile("pip.whl")


@pytest.mark.parametrize(
    ("reference", "python"),
    [
        (BASE, "3.13"),
        ("python:3.12", "3.12"),
        ("ghcr.io/acme/python:3.11.9-slim@sha256:" + 64 * "0", "3.11"),
        ("ghcr.io/acme/python@sha256:" + 64 * "0", None),
        ("ghcr.io/acme/pythonic:3.11", None),
        ("python:slim", None),
    ],
)
def test_a_tag_of_python_says_which(reference: str, python: str | None) -> None:
    assert is_reference(reference)
    assert python_of(reference) == python


@pytest.mark.parametrize("text", ["", "a b", "a\nRUN b", "-x", "a'b"])
def test_what_is_no_reference(text: str) -> None:
    assert not is_reference(text)
