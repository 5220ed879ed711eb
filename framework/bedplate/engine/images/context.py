"""The folder that an image is built from: Dockerfile, configuration, wheels, models. What it must not hold, goes.

Every file has the same mode and time on every machine, and the digest of them all tells whether anything changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

from bedplate.engine.images import package, wheels
from bedplate.engine.provider.kind import ResourceFailed
from bedplate.engine.world import store
from bedplate.errors import EngineError
from bedplate.image import Image
from bedplate.workloads import Artifact
from bedplate.workspace import Workspace

Content = bytes | Path


def write(workspace: Workspace, image: Image, packages: Sequence[Path]) -> str:
    """Writes the context of an image and answers its digest. `packages`: the wheels. Raises EngineError."""
    folder = place(workspace, image)
    contents = dict(_contents(workspace, image, packages))
    _remove_others(folder, contents)
    digests = {name: _put(folder / name, content, image.base.epoch) for name, content in contents.items()}
    for inner in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        inner.chmod(0o755)
    told = json.dumps([sorted(digests.items()), astuple(image.base)])
    return hashlib.sha256(told.encode()).hexdigest()


def place(workspace: Workspace, image: Image) -> Path:
    """Where the context of an image lies."""
    return workspace.build(image.environment) / image.name


def _contents(workspace: Workspace, image: Image, packages: Sequence[Path]) -> Mapping[str, Content]:
    name, own = package.wheel(image.base.epoch)
    packages = [path for path in packages if image.service.grpc_port is not None or not _is_for_grpc(path)]
    found: dict[str, Content] = {f"wheels/{path.name}": path for path in packages}
    found[f"wheels/{name}"] = own
    pip = next(path for path in packages if path.name.startswith("pip-"))  # it installs, and is not installed
    hashes = [(path.name, _sha256(path)) for path in packages if path != pip]
    hashes.append((name, hashlib.sha256(own).hexdigest()))
    return {
        **found,
        "wheels/requirements.txt": wheels.requirements(hashes).encode(),
        "etc/server.json": image.config.encode(),
        **{f"models/sha256-{m.sha256}.onnx": _model(workspace, m) for m in image.models},
        "Dockerfile": image.dockerfile(pip.name).encode(),
    }


def _is_for_grpc(wheel: Path) -> bool:
    return wheel.name.startswith("grpcio-")


def _model(workspace: Workspace, artifact: Artifact) -> bytes:
    """The bytes of a model, which must still be those that were compiled."""
    if artifact.path:
        try:
            with open(store.open_source(workspace.root, artifact.path), "rb") as file:
                data = file.read()
        except ResourceFailed as failure:
            raise EngineError(str(failure)) from failure
    else:
        from bedplate.engine.registry import fetch  # with MLflow's client, which few models need

        data = fetch(workspace, artifact.uri, artifact.tracking_uri, artifact.sha256).read_bytes()
    if hashlib.sha256(data).hexdigest() != artifact.sha256:
        raise EngineError(f"{artifact.path or artifact.uri} changed just now", hint="run the command again")
    return data


def _remove_others(folder: Path, contents: Mapping[str, Content]) -> None:
    if not folder.exists():
        folder.mkdir(parents=True)
        return
    for path in folder.rglob("*"):
        if not path.is_dir() and path.relative_to(folder).as_posix() not in contents:
            path.unlink()
    for path in sorted((p for p in folder.rglob("*") if p.is_dir() and not p.is_symlink()), reverse=True):
        if not any(path.iterdir()):
            path.rmdir()


def _put(path: Path, content: Content, epoch: int) -> str:
    """Has a file hold `content`, and answers the sha256 of it."""
    wanted = _sha256(content) if isinstance(content, Path) else hashlib.sha256(content).hexdigest()
    if not path.is_file() or _sha256(path) != wanted:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, path)
        else:
            path.write_bytes(content)
    path.chmod(0o644)
    os.utime(path, (epoch, epoch))
    return wanted


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
