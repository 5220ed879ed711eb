"""Models: which files are served, known by their content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bedplate.diagnostics import Diagnostic
from bedplate.spec.model import SpecModel
from bedplate.spec.types import OneOf, PathValue
from bedplate.workloads import Artifact, ModelVersion, ServedModel, Yielded

if TYPE_CHECKING:
    from bedplate.spec.project import Project

KEY = "models"
VERSION_DIGITS = 12


class Model(SpecModel):
    """A model that can be served."""

    path: PathValue = Field(
        description="The model's file, relative to the spec.", examples=["models/delay.onnx"]
    )
    format: Annotated[str, OneOf(("onnx",))] = Field(
        "onnx", description="The format of the file.", examples=["onnx"]
    )


def files(entries: Mapping[str, Model]) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, model in entries.items():
        yield (KEY, name, "path"), model.path


def check(entries: Mapping[str, Model], project: Project) -> Iterator[Diagnostic]:
    """Nothing spans the fields of a model yet."""
    yield from ()


def compile(entries: Mapping[str, Model], project: Project) -> Iterator[Yielded]:  # noqa: A001
    """The version of a model is the beginning of its content's digest: it moves when the bytes do."""
    for name in sorted(entries):
        path = entries[name].path
        fact = project.inputs.files[path]
        yield Artifact(f"{KEY}.{name}", name, path, fact.sha256, fact.size)
        yield ModelVersion(name, ServedModel(name, fact.sha256[:VERSION_DIGITS], fact.sha256))
