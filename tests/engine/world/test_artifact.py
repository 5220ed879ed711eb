"""Models in the store: whole or not at all, only what was compiled, kept as long as a server needs it."""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bedplate.engine.provider.kind import ResourceFailed
from bedplate.engine.world import store
from tests.engine.world.lab import Lab


def names(lab: Lab) -> set[str]:
    return {path.name for path in lab.world.artifacts.iterdir()}


def test_stored_it_reads_as_its_inputs(fake_lab: Lab) -> None:
    inputs = fake_lab.write_model(b"content")
    context = fake_lab.context("Artifact", "delay")
    created = fake_lab.artifact.create(context, inputs)
    assert fake_lab.artifact.create(context, inputs).id == created.id
    observed = fake_lab.artifact.read(context, created.id, inputs, {})
    assert observed is not None
    assert observed.inputs == inputs
    assert names(fake_lab) == {"delay.json", f"sha256-{inputs['sha256']}.onnx"}
    assert fake_lab.artifact.find(context) == created.id
    assert fake_lab.artifact.find(fake_lab.context("Artifact", "other")) is None


def test_changed_since_it_was_compiled_is_refused(fake_lab: Lab) -> None:
    inputs = fake_lab.write_model(b"content")
    fake_lab.write_model(b"another")
    with pytest.raises(ResourceFailed, match="changed since it was compiled"):
        fake_lab.artifact.create(fake_lab.context("Artifact", "delay"), inputs)
    assert names(fake_lab) == {"delay.json"}
    fake_lab.write_model(b"content")
    fake_lab.artifact.create(fake_lab.context("Artifact", "delay"), inputs)


def test_a_file_that_vanished_is_named(fake_lab: Lab) -> None:
    inputs = fake_lab.write_model(b"content")
    (fake_lab.root / inputs["path"]).unlink()
    with pytest.raises(ResourceFailed, match=r"models/delay\.onnx.*No such file"):
        fake_lab.artifact.create(fake_lab.context("Artifact", "delay"), inputs)


def _parent_link(lab: Lab, outside: Path) -> str:
    (lab.root / "linked").symlink_to(outside.parent)
    return f"linked/{outside.name}"


def _link(lab: Lab, outside: Path) -> str:
    (lab.root / "link.onnx").symlink_to(outside)
    return "link.onnx"


def _fifo(lab: Lab, outside: Path) -> str:
    os.mkfifo(lab.root / "fifo.onnx")
    return "fifo.onnx"


def _folder(lab: Lab, outside: Path) -> str:
    (lab.root / "folder.onnx").mkdir()
    return "folder.onnx"


@pytest.mark.parametrize(
    "make",
    [
        _parent_link,
        _link,
        _fifo,
        _folder,
        lambda lab, outside: f"../{outside.name}",
        lambda lab, outside: str(outside),
        lambda lab, outside: "/dev/zero",
    ],
)
def test_only_regular_files_of_the_project(fake_lab: Lab, make: Callable[[Lab, Path], str]) -> None:
    outside = fake_lab.root.parent / "outside.onnx"
    outside.write_bytes(b"content")
    inputs = {**fake_lab.write_model(b"content"), "path": make(fake_lab, outside)}
    with pytest.raises(ResourceFailed, match=r"outside the project|not a regular file"):
        fake_lab.artifact.create(fake_lab.context("Artifact", "delay"), inputs)
    assert names(fake_lab) == {"delay.json"}


@pytest.mark.parametrize("sha256", ["", "../x", "A" * 64, "0" * 63])
def test_a_digest_that_is_none_is_refused(fake_lab: Lab, sha256: str) -> None:
    inputs = {**fake_lab.write_model(b"content"), "sha256": sha256}
    with pytest.raises(ResourceFailed, match="not a sha256"):
        fake_lab.artifact.create(fake_lab.context("Artifact", "delay"), inputs)


def test_a_stored_file_that_was_lost_or_damaged_is_seen_and_healed(fake_lab: Lab) -> None:
    inputs = fake_lab.write_model(b"content")
    context = fake_lab.context("Artifact", "delay")
    created = fake_lab.artifact.create(context, inputs)
    path = store.stored(fake_lab.world, inputs["sha256"])
    path.chmod(0o600)
    path.write_bytes(b"damaged")
    observed = fake_lab.artifact.read(context, created.id, inputs, {})
    assert observed is not None
    assert observed.inputs["sha256"] == hashlib.sha256(b"damaged").hexdigest()
    fake_lab.artifact.update(context, created.id, observed.inputs, {}, inputs)
    observed = fake_lab.artifact.read(context, created.id, inputs, {})
    assert observed is not None
    assert observed.inputs == inputs
    path.unlink()
    observed = fake_lab.artifact.read(context, created.id, inputs, {})
    assert observed is not None
    assert observed.inputs == {**inputs, "sha256": "", "size": 0}
    fake_lab.artifact.update(context, created.id, observed.inputs, {}, inputs)
    assert path.read_bytes() == b"content"
    observed = fake_lab.artifact.read(context, created.id, inputs, {})
    assert observed is not None
    assert observed.inputs == inputs


def test_two_models_of_one_content_share_it_until_the_last_goes(fake_lab: Lab) -> None:
    sha256 = fake_lab.store(b"content", "a")
    fake_lab.store(b"content", "b")
    fake_lab.unstore("a")
    assert names(fake_lab) == {"b.json", f"sha256-{sha256}.onnx"}
    fake_lab.unstore("b")
    assert not fake_lab.world.artifacts.exists()


def test_what_a_server_runs_is_kept_after_its_artifact_is_gone(fake_lab: Lab) -> None:
    fake_lab.start()
    sha256 = fake_lab.store(b"content")
    fake_lab.serve(fake_lab.inputs(sha256))
    fake_lab.unstore()
    assert names(fake_lab) == {f"sha256-{sha256}.onnx"}
    fake_lab.remove()
    assert not fake_lab.world.artifacts.exists()


def test_nothing_is_thrown_away_while_a_configuration_cannot_be_read(fake_lab: Lab) -> None:
    fake_lab.start()
    sha256 = fake_lab.store(b"content")
    fake_lab.serve(fake_lab.inputs(sha256))
    (fake_lab.world.service("delay") / "server.json").write_text("{")
    fake_lab.unstore()
    assert names(fake_lab) == {f"sha256-{sha256}.onnx"}


def test_of_another_stack_it_is_neither_adopted_nor_removed(fake_lab: Lab) -> None:
    fake_lab.store(b"content")
    before = names(fake_lab)
    stranger = fake_lab.context("Artifact", "delay", project="another")
    with pytest.raises(ResourceFailed, match="not managed by this project"):
        fake_lab.artifact.create(stranger, fake_lab.write_model(b"content"))
    fake_lab.artifact.delete(stranger, "delay@0000000000000000", {}, {})
    assert names(fake_lab) == before


FULL_DISK = """
import resource, signal, sys, threading
from pathlib import Path
from bedplate.engine.provider.kind import Context, ResourceFailed
from bedplate.engine.provider.kinds.artifact import Artifact
from bedplate.workspace import Workspace
root, sha256, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
urn = "urn:pulumi:local::flights::bedplate:local:Artifact::delay"
inputs = {"environment": "local", "path": "models/delay.onnx", "sha256": sha256, "size": size}
try:
    Artifact().create(Context(Workspace(root), urn, threading.Event(), print), inputs)
except ResourceFailed as error:
    print(error)
"""


def test_no_room_leaves_nothing_half_written(fake_lab: Lab) -> None:
    inputs = fake_lab.write_model(b"x" * 200_000)
    argv = [sys.executable, "-c", FULL_DISK, str(fake_lab.root), inputs["sha256"], str(inputs["size"])]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    assert "could not store models/delay.onnx: " + os.strerror(errno.EFBIG) in done.stdout
    assert names(fake_lab) == {"delay.json"}
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 65536
    fake_lab.artifact.create(fake_lab.context("Artifact", "delay"), inputs)
    assert store.look(store.stored(fake_lab.world, inputs["sha256"])) == (inputs["sha256"], 200_000)


def test_interrupted_it_leaves_nothing_half_written(fake_lab: Lab) -> None:
    context = fake_lab.context("Artifact", "delay")
    context.cancelled.set()
    with pytest.raises(ResourceFailed, match="interrupted"):
        fake_lab.artifact.create(context, fake_lab.write_model(b"content"))
    assert names(fake_lab) == {"delay.json"}
