"""Models: which versions are served, known by their content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

from bedplate.diagnostics import Diagnostic
from bedplate.inputs import Needed
from bedplate.lockfile import Pin
from bedplate.onnx_file import Unservable
from bedplate.signature import Signature
from bedplate.spec.entry import Entry
from bedplate.spec.model import optional
from bedplate.spec.types import ModelUri, OneOf, PathValue
from bedplate.workloads import Artifact, ModelVersion, ServedModel, Yielded

if TYPE_CHECKING:
    from bedplate.spec.project import Project

KEY = "models"
ATTRIBUTES = ("version", "sha256")
VERSION_DIGITS = 12
LOCK, AUTO = "lock", "auto"
UPDATES = {LOCK: "`bedplate lock` alone moves it", AUTO: "a change of the file or the alias moves it"}
FORMATS = {
    "onnx": "what bedplate's own server reads",
    "torchscript": "for a container of yours",
    "savedmodel": "for a container of yours",
}
# The newest operators that onnxruntime 1.20, the oldest one that a server may have, runs (its "Compatibility").
OPSET = 21


class Model(Entry):
    """A model that can be served: a file of the project, or a version in MLflow's registry."""

    ONE_OF = ("path", "mlflow")

    path: PathValue | None = optional(None, "The model's file.", "models/delay.onnx")
    mlflow: Annotated[str, ModelUri()] | None = optional(
        None, "The model in MLflow's registry, by alias or version.", "models:/flights-delay@champion"
    )
    update: Annotated[str, OneOf(UPDATES)] | None = optional(
        None,
        "What moves the version.",
        "lock",
        absent="auto for a file, lock for a model in a registry.",
    )
    format: Annotated[str, OneOf(FORMATS)] = optional("onnx", "The format of the model's file.", "onnx")

    @property
    def locked(self) -> bool:
        """Whether bedplate.lock says which version it is."""
        return (self.update or (LOCK if self.mlflow else AUTO)) == LOCK


def files(entries: Mapping[str, Model]) -> Iterator[Needed]:
    """The files of models: of an ONNX model, what it takes and gives is read too."""
    for name, model in entries.items():
        if model.path is not None:
            yield Needed((KEY, name, "path"), model.path, "onnx" if model.format == "onnx" else "bytes")


def facts(entries: Mapping[str, Model], project: Project) -> dict[tuple[str, str], str]:
    """What references can name beyond the fields: each model's version and sha256."""
    found: dict[tuple[str, str], str] = {}
    for key, model in entries.items():
        pin = version_of(key, model, project)
        if pin is not None:
            found |= {(key, "version"): pin.version, (key, "sha256"): pin.sha256}
    return found


def version_of(key: str, model: Model, project: Project) -> Pin | None:
    """The version that is to be served: the file's, the pinned one, or the one of the registry's alias.

    The version of a file is the beginning of its content's digest: it moves when the bytes do.
    """
    if model.path is not None:
        fact = project.inputs.files.get(model.path)
        if fact is None:
            return None
        signature = fact.content if isinstance(fact.content, Signature) else None
        return Pin(fact.sha256[:VERSION_DIGITS], fact.sha256, fact.size, model.path, signature)
    if model.locked:
        return project.inputs.lock.pinned(project.environment.name, key)
    return project.inputs.registry.get(key) or Pin("unknown", "0" * 64, 0, model.mlflow or "")


def follow_an_alias(project: Project) -> bool:
    """Whether a registry must be asked which versions are to be served."""
    return any(model.mlflow is not None and not model.locked for model in _entries(project).values())


def unknown(project: Project) -> Iterator[Diagnostic]:
    """Models that follow an alias which nobody has asked about yet: valid, but nothing to compile."""
    for key, model in _entries(project).items():
        if model.mlflow is not None and not model.locked and key not in project.inputs.registry:
            path = (KEY, key, "mlflow")
            yield Diagnostic(
                "BP206",
                f"nobody has asked yet which version {model.mlflow} is in {project.environment.name}",
                path,
                project.span(path),
                f"bedplate plan --env {project.environment.name} does",
                environment=project.environment.name,
            )


def _entries(project: Project) -> Mapping[str, Model]:
    return project.sections.get(KEY, {})


def check(entries: Mapping[str, Model], project: Project) -> Iterator[Diagnostic]:
    """Files that cannot be served, versions that nobody has pinned."""
    for key, model in entries.items():
        if model.path is not None:
            yield from _file(key, model.path, model, project)
        else:
            yield from _registered(key, model, project)


def _file(key: str, path: str, model: Model, project: Project) -> Iterator[Diagnostic]:
    fact = project.inputs.files.get(path)
    if fact is None:
        return  # which is said where the file was looked for
    where = (KEY, key, "path")
    if isinstance(fact.content, Unservable):
        message = f"{path} is no model that can be served: {fact.content.reason}"
        yield Diagnostic("BP209", message, where, help=fact.content.help)
    elif isinstance(fact.content, Signature) and fact.content.opset > OPSET:
        yield Diagnostic(
            "BP210",
            f"{path} is written in operators of version {fact.content.opset}; the server knows up to {OPSET}",
            where,
            help=f"export it with opset {OPSET} or lower",
        )
    if not model.locked:
        return
    pin = project.inputs.lock.pinned(project.environment.name, key)
    if pin is None:
        yield _not_pinned(key, project.environment.name)
    elif pin.sha256 != fact.sha256:
        yield Diagnostic(
            "BP207",
            f"{path} is not what bedplate.lock pins for {project.environment.name}: its content is "
            f"{fact.sha256[:VERSION_DIGITS]}, pinned is {pin.version}",
            where,
            help=f"bring that file back, or move the pin: bedplate lock {key} --env {project.environment.name}",
        )


def _registered(key: str, model: Model, project: Project) -> Iterator[Diagnostic]:
    environment = project.environment
    where = (KEY, key, "mlflow")
    if not environment.name:
        return  # in no environment, as all that are written are wrong
    if environment.settings.mlflow is None:
        yield Diagnostic(
            "BP208",
            f"{model.mlflow} is in MLflow, and the environment {environment.name} names none",
            where,
            help=f"add environments.{environment.name}.mlflow: {{tracking_uri: https://...}}",
            environment=environment.name,
        )
    elif project.inputs.known and version_of(key, model, project) is None:
        yield _not_pinned(key, environment.name)


def _not_pinned(key: str, environment: str) -> Diagnostic:
    return Diagnostic(
        "BP206",
        f"bedplate.lock pins no version of {key} for {environment}",
        (KEY, key),
        help=f"bedplate lock {key} --env {environment}",
        at_key=True,
    )


def compile(entries: Mapping[str, Model], project: Project) -> Iterator[Yielded]:  # noqa: A001
    settings = project.environment.settings
    for key in sorted(entries):
        model = entries[key]
        pin = version_of(key, model, project)
        if pin is None:
            continue  # which `check` refuses
        name = model.identity(key)
        address = f"{KEY}.{key}"
        if model.path is not None:
            yield Artifact(address, name, pin.sha256, pin.size, path=model.path)
        else:
            uri = settings.mlflow.tracking_uri if settings.mlflow else ""
            yield Artifact(address, name, pin.sha256, pin.size, uri=pin.source, tracking_uri=uri)
        yield ModelVersion(key, ServedModel(name, pin.version, pin.sha256))
