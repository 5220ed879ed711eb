"""Models in MLflow's registry: which version an address means, and the bytes of one.

What was downloaded is kept by its digest in .bedplate/cache/models, so that locking, planning and applying fetch
it once. The client brings credentials from its own environment variables (MLFLOW_TRACKING_TOKEN and the like).
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bedplate.atomic import write_atomically
from bedplate.engine.redact import redact
from bedplate.errors import EngineError
from bedplate.lockfile import LockFile, Pin, to_text
from bedplate.onnx_file import Unservable, signature
from bedplate.private_folder import make_private_folder
from bedplate.spec.inputs import REGISTRY_FILE, read_registry
from bedplate.workspace import Workspace

if TYPE_CHECKING:
    from bedplate.spec.project import Project

_ADDRESS = re.compile(r"models:/(?P<name>[^@/]+)(@(?P<alias>.+)|/(?P<version>\d+))")
# What MLflow answers about models, versions and aliases that it does not have.
_UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
_WITHOUT_TAGS = re.compile(r"<[a-zA-Z/!][^>]*>")
_SHOWN_CHARACTERS = 300
# The client would try for many minutes, draw bars, and tell what it does.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
}


def ask(workspace: Workspace, uri: str, tracking_uri: str, known: Pin | None = None) -> Pin:
    """The version that `uri` means now. Bytes are fetched unless it is the one that is `known`.

    Raises EngineError.
    """
    with _registry(uri, tracking_uri) as client:
        name, version = _version(client, uri)
        source = f"models:/{name}/{version}"
        if known is not None and (known.version, known.source) == (version, source):
            return known
        data = _download(client, source, tracking_uri)
    found = signature(data)
    if isinstance(found, Unservable):
        raise EngineError(f"{source} is no model that can be served: {found.reason}")
    sha256 = hashlib.sha256(data).hexdigest()
    write_atomically(cached(workspace, sha256), data, mode=0o600)
    return Pin(version, sha256, len(data), source, found)


def ask_for_all(workspace: Workspace, project: Project) -> None:
    """Writes down which versions the aliases of the project's models with `update: auto` mean now."""
    wanted = {
        key: model.mlflow
        for key, model in project.sections.get("models", {}).items()
        if model.mlflow is not None and not model.locked
    }
    settings, name = project.environment.settings.mlflow, project.environment.name
    if not wanted or settings is None:
        return
    registry = read_registry(workspace.root)
    known: Mapping[str, Pin] = registry.get(name, {})
    pins = {key: ask(workspace, uri, settings.tracking_uri, known.get(key)) for key, uri in wanted.items()}
    make_private_folder(workspace)
    text = to_text(replace(LockFile(), models={**registry, name: pins}))
    write_atomically(workspace.root / REGISTRY_FILE, text)


def fetch(workspace: Workspace, uri: str, tracking_uri: str, sha256: str) -> Path:
    """The file with the bytes of a version, from the cache or the registry. Raises EngineError."""
    path = cached(workspace, sha256)
    if not path.exists():
        with _registry(uri, tracking_uri) as client:
            data = _download(client, uri, tracking_uri)
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise EngineError(
                f"{uri} is not what was pinned: sha256 {found[:12]}, pinned is {sha256[:12]}",
                hint="somebody has replaced it in the registry; `bedplate lock` shows what is there now",
            )
        write_atomically(path, data, mode=0o600)
    return path


def cached(workspace: Workspace, sha256: str) -> Path:
    """Where the bytes of this digest are kept."""
    return workspace.private / "cache" / "models" / f"sha256-{sha256}.onnx"


def _version(client: Any, uri: str) -> tuple[str, str]:
    found = _ADDRESS.fullmatch(uri)
    if found is None:
        raise EngineError(f"{uri} is no address of a model's version")
    name = found["name"]
    if found["alias"] is not None:
        return name, str(client.get_model_version_by_alias(name, found["alias"]).version)
    return name, str(client.get_model_version(name, found["version"]).version)


def _download(client: Any, uri: str, tracking_uri: str) -> bytes:
    """The one ONNX file of a version."""
    from mlflow.artifacts import download_artifacts

    # An address models:/NAME/VERSION would be looked up in the client's default registry, whatever it is given.
    place = client.get_model_version_download_uri(*_version(client, uri))
    with tempfile.TemporaryDirectory(prefix="bedplate-") as scratch:
        got = download_artifacts(artifact_uri=place, dst_path=scratch, tracking_uri=tracking_uri)
        files = sorted(Path(got).rglob("*.onnx"))
        if len(files) != 1:
            raise EngineError(
                f"{uri} holds {len(files) or 'no'} ONNX files, and one is served",
                hint="log it with mlflow.onnx.log_model",
            )
        return files[0].read_bytes()


@contextmanager
def _registry(uri: str, tracking_uri: str) -> Iterator[Any]:
    """The registry's client; what it raises is an EngineError that names the model."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise EngineError(
            f"{uri} is in MLflow, whose client is not installed", hint="pip install 'bedplate[registry]'"
        ) from error
    try:
        yield MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
    except (MlflowException, OSError) as error:
        text = redact(" ".join(_WITHOUT_TAGS.sub(" ", str(error)).split()))
        unknown = getattr(error, "error_code", "") in _UNKNOWN
        raise EngineError(
            f"{uri} cannot be had from {tracking_uri}: {text[:_SHOWN_CHARACTERS]}",
            hint="the registry answers, and does not know it: look at the name, and at the alias or version"
            if unknown
            else "look whether this is the address of an MLflow server, and whether it can be reached from here",
        ) from error
