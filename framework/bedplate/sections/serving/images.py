"""Images of bedplate's own server: their names in a registry, and whether the pinned one has the models served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bedplate.diagnostics import Diagnostic
from bedplate.lockfile import ImagePin, Pin
from bedplate.sections.models import version_of
from bedplate.sections.serving.model import CONTAINER, Model
from bedplate.spec.names import world_name

if TYPE_CHECKING:
    from bedplate.spec.project import Project

OTHER_MODELS = "BP240"


def image(key: str, entry: Model, project: Project) -> str | None:
    """The image in the environment's registry: the pinned one, or by its models' version."""
    images = project.environment.settings.images
    if images is None or entry.runtime == CONTAINER:
        return None
    name = repository(images.registry, entry.identity(key))
    pin = _pinned(key, entry, project)
    return f"{name}@{pin.digest}" if pin else f"{name}:{tag(key, entry, project)}"


def repository(registry: str, name: str) -> str:
    """Where a registry has the images of the server of this name."""
    return f"{registry.rstrip('/')}/{world_name(name)}"


def tag(key: str, entry: Model, project: Project) -> str:
    """The tag of an image: the versions of its models."""
    return "-".join(pin.version for pin in _served(key, entry, project))[:128] or "latest"


def check(key: str, entry: Model, project: Project) -> Iterator[Diagnostic]:
    """A pinned image with other models baked in than are to be served."""
    settings = project.environment.settings
    pin = _pinned(key, entry, project)
    ours = entry.runtime != CONTAINER and entry.image is None and settings.images is not None
    if pin is None or not pin.models or not ours or settings.artifacts is not None:
        return
    if not {model.sha256 for model in _served(key, entry, project)} <= set(pin.models):
        environment = project.environment.name
        yield Diagnostic(
            OTHER_MODELS,
            f"the image that bedplate.lock pins for {environment} holds other models than {key} serves",
            (),
            help=f"bedplate build {key} --env {environment} --push",
            at_key=True,
        )


def _pinned(key: str, entry: Model, project: Project) -> ImagePin | None:
    return project.inputs.lock.image(project.environment.name, entry.identity(key))


def _served(key: str, entry: Model, project: Project) -> list[Pin]:
    models = project.sections.get("models", {})
    pins = [version_of(model, models[model], project) for model in entry.served(key) if model in models]
    return [pin for pin in pins if pin]
