"""What the image of one of bedplate's own servers is made of: the same project, the same bytes.

It is what the Kubernetes target expects of an image: its command, port, user and the place of its models. Run by
itself, it starts from a configuration file of its own that says the same as the pod's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from bedplate._resources import resource
from bedplate.compiler import workloads_of
from bedplate.runtime.programs import command
from bedplate.sections.serving import KEY
from bedplate.sections.serving.images import repository, tag
from bedplate.sections.serving.model import CONTAINER
from bedplate.spec.names import world_name
from bedplate.spec.project import Project
from bedplate.targets.kubernetes import pods
from bedplate.version import __version__
from bedplate.workloads import Artifact, ServedModel, Service

BASE = "docker.io/library/python:3.13.7-slim-bookworm"
PLATFORMS = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
EPOCH = 315_532_800
"""1980-01-01, the earliest that every archive can say: when all files of an image are from."""
HOME = "/opt/bedplate"
CONFIG = "/etc/bedplate/server.json"
_REFERENCE = re.compile(r"[a-z0-9][a-zA-Z0-9._:/@-]{0,254}")


@dataclass(frozen=True, slots=True)
class Base:
    """What images are built on: an image with Python `python` (such as 3.13), for one platform.

    `epoch`: the time that all files get, in Unix seconds.
    """

    reference: str
    python: str
    platform: str
    epoch: int = EPOCH


@dataclass(frozen=True, slots=True)
class Image:
    """One image to build. `key` is its entry's in `serving`, `name` its identity in the world.

    `reference`: where it is pushed to, or what it is called here. `pushable`: whether that is in a registry.
    `models`: what is baked in; none where pods get their models from the environment's store.
    """

    key: str
    name: str
    reference: str
    pushable: bool
    base: Base
    config: str
    models: tuple[Artifact, ...]
    service: Service
    project: str
    environment: str
    version: str
    store: str | None

    @property
    def address(self) -> str:
        return self.service.address

    def dockerfile(self, pip: str) -> str:
        """The Dockerfile; `pip` is the name of pip's own wheel among those of its context."""
        from jinja2 import StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, autoescape=False
        )
        template = environment.from_string(resource("templates", "image", "Dockerfile.j2").read_text("utf-8"))
        return template.render(self._told(), pip=pip)

    def _told(self) -> Mapping[str, object]:
        probes = self.service.probes
        health = (
            *command(pods.PYTHON, "health"),
            "--port",
            str(pods.PORT),
            "--timeout",
            str(probes.timeout_s),
        )
        return {
            "address": self.address,
            "project": self.project,
            "reference": self.reference,
            "base": self.base.reference,
            "python": self.base.python,
            "version": self.base.python.replace(".", ", "),
            "epoch": self.base.epoch,
            "home": HOME,
            "labels": tuple((name, _quoted(value)) for name, value in self._labels()),
            "baked": bool(self.models),
            "models": pods.MODELS,
            "brings": f"sha256-DIGEST.onnx of {self.store}/models",
            "user": pods.USER,
            "port": pods.PORT,
            "ports": tuple(number for _, number in pods.ports(self.service)),
            "probes": probes,
            "health": json.dumps(health),
            "command": json.dumps(command(pods.PYTHON, "server")),
            "arguments": json.dumps(("--config", CONFIG, "--control", pods.CONTROL)),
        }

    def _labels(self) -> Iterator[tuple[str, str]]:
        """https://specs.opencontainers.org/image-spec/annotations; nothing that two builds would not share."""
        yield "org.opencontainers.image.title", f"{self.project}/{self.name}"
        yield "org.opencontainers.image.description", f"bedplate's model server for {self.address}"
        yield "org.opencontainers.image.version", self.version
        yield "org.opencontainers.image.created", datetime.fromtimestamp(self.base.epoch, UTC).isoformat()
        yield "org.opencontainers.image.base.name", self.base.reference
        yield "dev.bedplate.version", __version__
        yield "dev.bedplate.address", self.address


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A service whose image is not ours to build, and why."""

    key: str
    reason: str


def images(project: Project, base: Base) -> tuple[Image | Elsewhere, ...]:
    """The image of every service of a project in one environment. `check` has found no error in it."""
    workloads = workloads_of(project)
    artifacts = {w.sha256: w for each in workloads.values() for w in each if isinstance(w, Artifact)}
    services = {w.address: w for each in workloads.values() for w in each if isinstance(w, Service)}
    return tuple(
        _image(key, services[f"{KEY}.{key}"], project, base, artifacts)
        for key in sorted(project.sections.get(KEY, {}))
    )


def is_reference(text: str) -> bool:
    """Whether a text can be the name of an image."""
    return bool(_REFERENCE.fullmatch(text))


def python_of(reference: str) -> str | None:
    """The Python of an official image by its tag, such as 3.13; None where the name does not say it."""
    found = re.search(r"(?:^|/)python:(\d+\.\d+)", reference)
    return found[1] if found else None


def at_digest(reference: str, digest: str) -> str:
    """The name of an image by its digest; its tag stays, as it may say which Python it has."""
    return f"{reference.partition('@')[0]}@{digest}"


def _image(
    key: str, service: Service, project: Project, base: Base, artifacts: Mapping[str, Artifact]
) -> Image | Elsewhere:
    entry, settings = project.sections[KEY][key], project.environment.settings
    if entry.runtime == CONTAINER:
        return Elsewhere(key, "it is a container of yours")
    if entry.image is not None:
        return Elsewhere(key, f"the spec names its image, {entry.image}")
    registry = settings.images.registry if settings.images else f"localhost/{world_name(project.name)}"
    version = tag(key, entry, project)
    served = [artifacts[m.sha256] for m in service.models if isinstance(m, ServedModel)]
    return Image(
        key=key,
        name=service.name,
        reference=f"{repository(registry, service.name)}:{version}",
        pushable=settings.images is not None,
        base=base,
        config=pods.config(service) + "\n",
        models=() if settings.artifacts else tuple(dict.fromkeys(served)),
        service=service,
        project=project.name,
        environment=project.environment.name,
        version=version,
        store=settings.artifacts,
    )


def _quoted(value: str) -> str:
    """For a Dockerfile's double quotes."""
    return re.sub(r'(["\\$])', r"\\\1", value)
