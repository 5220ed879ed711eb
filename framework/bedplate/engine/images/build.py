"""One image: its context written, built unless nothing changed, pushed if asked, and what came of it remembered."""

from __future__ import annotations

import fcntl
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from bedplate.atomic import write_atomically
from bedplate.engine import long_run
from bedplate.engine.images import context
from bedplate.engine.images.builders import Builder
from bedplate.engine.long_run import Failed, Progress
from bedplate.engine.redact import redact
from bedplate.errors import EngineError
from bedplate.image import Base, Image
from bedplate.lockfile import BasePin
from bedplate.private_folder import make_private_folder
from bedplate.workspace import Workspace

BUILD_TIMEOUT_S = 1800.0
PUSH_TIMEOUT_S = 1800.0

State = Literal["context", "built", "unchanged"]


@dataclass(frozen=True, slots=True)
class Built:
    """What is known of an image.

    `id` is the builder's, and `base` its id of what the image was built on, whose name may come to mean another one;
    `digest` is the registry's, under `reference`, once pushed.
    """

    context: str
    builder: str = ""
    reference: str = ""
    base: str = ""
    id: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done about an image. `base`: what it was built on, where the builder knows."""

    image: Image
    folder: Path
    state: State
    built: Built
    base: BasePin | None = None
    pushed: bool = False


@contextmanager
def alone(workspace: Workspace, progress: Progress) -> Iterator[None]:
    """One build of a project at a time; the kernel frees the lock of one that was killed."""
    make_private_folder(workspace)
    folder = workspace.private / "build"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another build of this project ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_context(workspace: Workspace, image: Image, packages: Sequence[Path]) -> Outcome:
    """The context alone, for a builder elsewhere. Raises EngineError."""
    digest = context.write(workspace, image, packages)
    return Outcome(image, context.place(workspace, image), "context", Built(digest))


def have(workspace: Workspace, base: Base, builder: Builder, progress: Progress) -> BasePin | None:
    """What the base's name means here; its registry is asked only where it means nothing yet. Raises EngineError."""
    if not builder.id_of(base.reference):
        output = workspace.private / "build" / "base.log"
        hint = "look whether its registry answers, and knows you"
        what = f"getting the base {base.reference}"
        _run(builder.pull(base), output, what, BUILD_TIMEOUT_S, progress, hint=hint)
    found = builder.id_of(base.reference)
    digests = builder.digests(base.reference)
    return BasePin(base.reference, base.platform, found, digests) if found else None


def build(
    workspace: Workspace,
    image: Image,
    packages: Sequence[Path],
    base: BasePin | None,
    builder: Builder,
    progress: Progress,
    *,
    again: bool = False,
) -> Outcome:
    """The image, built unless the builder still has it of the same context and base. Raises EngineError."""
    written = write_context(workspace, image, packages)
    before = _known(written.folder)
    wanted = replace(
        before,
        context=written.built.context,
        builder=builder.name,
        reference=image.reference,
        base=base.id if base else "",
    )
    if wanted == before and not again and before.id and builder.id_of(before.id):
        return replace(written, state="unchanged", built=before, base=base)
    id_file = _beside(written.folder, ".id")
    command = builder.build(written.folder, image.reference, image.base, id_file)
    output = _beside(written.folder, ".log")
    _run(command, output, f"{image.address}: building with {builder.name}", BUILD_TIMEOUT_S, progress)
    with tempfile.TemporaryDirectory(dir=written.folder.parent, prefix=".settling-") as scratch:
        made = builder.settled(id_file.read_text().strip(), image.reference, Path(scratch))
    digest = before.digest if made == before.id else ""  # the registry's is still good
    built = replace(wanted, id=made, digest=digest)
    _remember(written.folder, built)
    return replace(written, state="built", built=built, base=base)


def push(outcome: Outcome, builder: Builder, progress: Progress) -> Outcome:
    """The same with the image in the registry, and its digest there. Raises EngineError."""
    folder, image = outcome.folder, outcome.image
    digest_file = _beside(folder, ".digest")
    command = builder.push(outcome.built.id, image.reference, digest_file)
    host = image.reference.partition("/")[0]
    what = f"{image.address}: pushing to {host}"
    hint = f"look whether {host} answers; if it knows you: {builder.name} login {host}"
    _run(command, _beside(folder, ".log"), what, PUSH_TIMEOUT_S, progress, hint=hint)
    built = replace(outcome.built, digest=builder.pushed(image.reference, digest_file))
    _remember(folder, built)
    return replace(outcome, built=built, pushed=True)


def _run(
    command: list[str], output: Path, what: str, timeout_s: float, progress: Progress, hint: str = ""
) -> None:
    try:
        long_run.run(command, output.parent, output, what, timeout_s, progress)
    except Failed as failure:
        said = f"all that it said is in {output}"
        raise EngineError(redact(str(failure)), hint=f"{hint}; {said}" if hint else said) from failure


def _beside(folder: Path, ending: str) -> Path:
    return folder.with_name(folder.name + ending)


def _known(folder: Path) -> Built:
    """What was remembered; nothing where that cannot be read, as building again is always right."""
    with suppress(OSError, ValueError, TypeError):
        return Built(**json.loads(_beside(folder, ".json").read_text()))
    return Built("")


def _remember(folder: Path, built: Built) -> None:
    write_atomically(_beside(folder, ".json"), json.dumps(asdict(built), indent=2, sort_keys=True) + "\n")
