"""`bedplate build`: the images of bedplate's own model servers."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bedplate.atomic import write_atomically
from bedplate.cli import options, terminal
from bedplate.diagnostics import did_you_mean
from bedplate.errors import UsageError

if TYPE_CHECKING:
    from bedplate.engine.images.build import Outcome
    from bedplate.image import Base, Elsewhere, Image
    from bedplate.lockfile import BasePin
    from bedplate.spec.project import Project
    from bedplate.workspace import Workspace

_MACHINES = {
    "x86_64": "linux/amd64",
    "amd64": "linux/amd64",
    "aarch64": "linux/arm64",
    "arm64": "linux/arm64",
}


@click.command("build", short_help="build the images of bedplate's own servers, and pin their digests")
@click.argument("names", metavar="[SERVICE]...", nargs=-1)
@options.environment
@click.option(
    "--with",
    "builder",
    metavar="PROGRAM",
    type=click.Choice(["docker", "podman", "buildah"]),
    help="docker, podman or buildah.  [default: the first of them that can be used here]",
)
@click.option("--push", is_flag=True, help="Push to the environment's registry, and pin the digests.")
@click.option("--context-only", is_flag=True, help="Write the build contexts, and build nothing.")
@click.option("--again", is_flag=True, help="Build also what has not changed.")
@click.option(
    "--base",
    metavar="IMAGE",
    envvar="BEDPLATE_BASE_IMAGE",
    help="The image to build on, with Python; best by digest. One whose name means another image than the pinned "
    "one was built on is warned of.  [default: a slim image of Python's own]",
)
@click.option(
    "--python", metavar="VERSION", help="The base's Python.  [default: what the tag of a python image says]"
)
@click.option(
    "--platform",
    "machine",
    type=click.Choice(["linux/amd64", "linux/arm64"]),
    help="What it is to run on.  [default: this machine's]",
)
@options.as_json
@click.pass_obj
def command(
    folder: Path,
    names: tuple[str, ...],
    environment: str,
    builder: str | None,
    push: bool,
    context_only: bool,
    again: bool,
    base: str | None,
    python: str | None,
    machine: str | None,
    as_json: bool,
) -> None:
    """Build an image for each SERVICE with runtime `bedplate`; without SERVICE for all of the environment.

    Packages are gathered first, by a lock with hashes, so that building needs no network but for the base image, and
    the same project gives the same image. Models are baked in unless the environment has a store of artifacts. What
    has not changed is not built again. --push pins in bedplate.lock what the registry then has: commit it.
    """
    from bedplate.cli.project import project_to_build

    if push and context_only:
        raise UsageError(
            "--push pushes what is built, and --context-only builds nothing", hint="take one of them"
        )
    workspace, project = project_to_build(folder, environment)
    wanted, left_out = _chosen(project, _base(base, python, machine), names)
    if push and project.environment.settings.images is None:
        raise UsageError(
            f"the environment {environment} has no registry to push to",
            hint=f"add environments.{environment}.images: {{registry: HOST/PATH}}",
        )
    outcomes = _built(workspace, project, wanted, builder, push, context_only, again)
    _pin(workspace, project, outcomes)
    _tell(workspace, outcomes, left_out, as_json)


def _base(reference: str | None, python: str | None, machine: str | None) -> Base:
    from bedplate.engine.images.wheels import pythons
    from bedplate.image import BASE, EPOCH, Base, is_reference, python_of

    reference = reference or BASE
    if not is_reference(reference):
        raise UsageError(
            f"{reference} is no name of an image", hint="write HOST/PATH:TAG or HOST/PATH@sha256:DIGEST"
        )
    python = python or python_of(reference)
    if python not in pythons():
        told = (
            f"are no packages for Python {python}"
            if python
            else f"is no telling which Python {reference} has"
        )
        raise UsageError(f"there {told}", hint=f"say which it has: --python, one of {', '.join(pythons())}")
    machine = machine or _MACHINES.get(platform.machine().lower())
    if machine is None:
        raise UsageError(
            f"there are no packages for {platform.machine()}", hint="say what it is to run on: --platform"
        )
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or str(EPOCH)
    if not epoch.isdecimal():
        raise UsageError(f"SOURCE_DATE_EPOCH is {epoch}", hint="it is a number of seconds since 1970")
    return Base(reference, python, machine, int(epoch))


def _chosen(project: Project, base: Base, names: tuple[str, ...]) -> tuple[list[Image], list[Elsewhere]]:
    """The images to build, and what is not ours to build. Raises UsageError."""
    from bedplate.image import Image, images

    found = {image.key: image for image in images(project, base)}
    keys = [name.removeprefix("serving.") for name in names]
    for key in keys:
        if key not in found:
            near = did_you_mean(key, found)
            hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(found) or 'none'}"
            raise UsageError(f"there is no service {key!r} in {project.environment.name}", hint=hint)
    asked = [found[key] for key in dict.fromkeys(keys)] or [*found.values()]
    ours = [image for image in asked if isinstance(image, Image)]
    left_out = [image for image in asked if not isinstance(image, Image)]
    if keys and left_out:
        raise UsageError(f"the image of serving.{left_out[0].key} is not built here: {left_out[0].reason}")
    return ours, left_out


def _built(
    workspace: Workspace,
    project: Project,
    wanted: list[Image],
    name: str | None,
    push: bool,
    context_only: bool,
    again: bool,
) -> list[Outcome]:
    from bedplate.engine.images import build as stage
    from bedplate.engine.images.builders import choose
    from bedplate.engine.images.wheels import gathered

    def progress(text: str) -> None:
        terminal.line(f"  {terminal.escaped(text)}", error=True)

    if not wanted:
        return []
    builder = None if context_only else choose(name)
    outcomes = []
    with stage.alone(workspace, progress):
        packages = gathered(wanted[0].base, progress)
        if builder is None:
            return [stage.write_context(workspace, image, packages) for image in wanted]
        base = stage.have(workspace, wanted[0].base, builder, progress)
        for image in wanted:
            _tell_of_another_base(project, image, base)
            outcome = stage.build(workspace, image, packages, base, builder, progress, again=again)
            outcomes.append(stage.push(outcome, builder, progress) if push else outcome)
    return outcomes


def _tell_of_another_base(project: Project, image: Image, now: BasePin | None) -> None:
    """A warning where the base's name means another image than when the pinned image was built."""
    from bedplate.image import at_digest

    pin = project.inputs.lock.image(project.environment.name, image.name)
    before = pin.base if pin else None
    if before is None or now is None or not before.moved_to(now):
        return
    terminal.line(
        f"warning: {image.address}: {now.name} is another image than bedplate.lock says", error=True
    )
    terminal.line(f"  it was {_which(before)} and is {_which(now)}", error=True)
    hint = "look what has changed in it; --push pins what is built on it"
    if before.digests:
        hint += f", and this builds on the former: --base {at_digest(now.name, before.digests[0])}"
    terminal.line(f"  = help: {hint}", error=True)


def _which(base: BasePin) -> str:
    return base.digests[0] if base.digests else base.id


def _pin(workspace: Workspace, project: Project, outcomes: Iterable[Outcome]) -> None:
    """What the registry has goes into bedplate.lock, where the target finds it."""
    from bedplate.lockfile import ImagePin, to_text

    lock = project.inputs.lock
    for outcome in outcomes:
        if outcome.pushed:
            models = tuple(model.sha256 for model in outcome.image.models)
            pin = ImagePin(outcome.built.digest, models, outcome.base)
            lock = lock.with_image(project.environment.name, outcome.image.name, pin)
    if lock != project.inputs.lock:
        write_atomically(workspace.lock_file, to_text(lock))


def _tell(
    workspace: Workspace, outcomes: Sequence[Outcome], left_out: Sequence[Elsewhere], as_json: bool
) -> None:
    if as_json:
        terminal.data(
            {
                "images": [_data(outcome) for outcome in outcomes],
                "left_out": [{"address": f"serving.{each.key}", "reason": each.reason} for each in left_out],
            }
        )
        return
    words = {"context": "context written", "built": "built", "unchanged": "unchanged"}
    for outcome in outcomes:
        name = terminal.paint(outcome.image.address, "name")
        terminal.line(f"{name}: {words[outcome.state]}  {outcome.image.reference}")
        terminal.line(f"  {_where(workspace, outcome)}")
    for each in left_out:
        terminal.line(f"{terminal.paint(f'serving.{each.key}', 'name')}: left out, as {each.reason}")
    if not outcomes:
        terminal.line("nothing to build")


def _where(workspace: Workspace, outcome: Outcome) -> str:
    if outcome.state == "context":
        return str(outcome.folder.relative_to(workspace.root))
    if outcome.pushed:
        return f"{outcome.built.digest}, pushed and pinned in bedplate.lock"
    pushing = "; --push brings it to the registry and pins it" if outcome.image.pushable else ""
    return f"{outcome.built.id}, on this machine{pushing}"


def _data(outcome: Outcome) -> dict[str, Any]:
    image, built = outcome.image, outcome.built
    return {
        "address": image.address,
        "state": outcome.state,
        "reference": image.reference,
        "base": image.base.reference,
        "base_id": outcome.base.id if outcome.base else None,
        "builder": built.builder or None,
        "id": built.id or None,
        "digest": built.digest or None,
        "pushed": outcome.pushed,
        "models": [model.sha256 for model in image.models],
        "context": str(outcome.folder),
    }
