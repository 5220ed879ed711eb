"""The frame of a project around its sections: version, name, variables, environments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field

from bedplate.spec.leaf import Leaf, Schema, refuse, shown
from bedplate.spec.model import SpecModel
from bedplate.spec.references import References
from bedplate.spec.tree import Scalar
from bedplate.spec.types import (
    BooleanValue,
    EnvironmentVariable,
    NameValue,
    OneOf,
    TextValue,
)
from bedplate.targets import TARGETS

VERSIONS = (1,)


@dataclass(frozen=True)
class Version(Leaf):
    """The version of the language."""

    noun = "the version of the language"

    def parse(self, scalar: Scalar, references: References | None) -> int:
        if not scalar.plain or scalar.text not in map(str, VERSIONS):
            supported = ", ".join(map(str, VERSIONS))
            refuse(
                "BP101",
                f"version {shown(scalar)} of the language is not supported",
                f"supported: {supported}",
            )
        return int(scalar.text)

    def schema(self) -> Schema:
        return {"type": "integer", "enum": list(VERSIONS)}


@dataclass(frozen=True)
class Entries(Leaf):
    """A mapping of named things, each read on its own, so that one that is wrong does not hide the others."""

    model: type[BaseModel] | None = None

    def read(self, value: object, references: References | None) -> None:
        return None


@dataclass(frozen=True)
class Override(Leaf):
    """Parts of sections, which mean nothing before they are merged."""

    noun = "a mapping of sections"

    def read(self, value: object, references: References | None) -> None:
        if not isinstance(value, dict):
            refuse("BP022", f"expected {self.noun}")


class SecretSource(SpecModel):
    """Where the value of a secret is read when the project is applied."""

    env: Annotated[str, EnvironmentVariable()] = Field(
        description="The environment variable that holds the value.", examples=["API_KEY"]
    )


class Variable(SpecModel):
    """A text that environments can give, used as ${var.NAME}."""

    type: Annotated[str, OneOf(("string",))] = Field(
        description="The type of the variable.", examples=["string"]
    )
    default: TextValue | None = Field(
        None, description="The value where an environment gives none.", examples=["us-east-1"]
    )
    description: TextValue | None = Field(
        None, description="What the variable is for.", examples=["where the buckets are"]
    )


class EnvironmentSpec(SpecModel):
    """A place where the project runs. `local` always exists."""

    target: Annotated[str, OneOf(tuple(TARGETS))] | None = Field(
        None, description="What runs the project there; taken from `extends` if left out.", examples=["local"]
    )
    extends: NameValue | None = Field(
        None, description="The environment that this one starts from.", examples=["staging"]
    )
    abstract: BooleanValue = Field(
        False, description="Only a template for others: it is never applied.", examples=["true"]
    )
    variables: dict[NameValue, TextValue] = Field(
        default_factory=dict,
        description="Values of the project's variables.",
        examples=["{region: eu-central-1}"],
    )
    secrets: dict[NameValue, SecretSource] = Field(
        default_factory=dict,
        description="Where named secrets come from; left out, the secret api-key comes from API_KEY.",
        examples=["{api-key: {env: DELAY_API_KEY}}"],
    )
    override: Annotated[object, Override()] = Field(
        None,
        description="What is different here: mappings merge by key, all else replaces, null removes.",
        examples=["{serving: {delay: {replicas: 3}}}"],
    )


class Frame(SpecModel):
    """A bedplate project: what shall run, and where."""

    version: Annotated[int, Version()] = Field(description="The version of the language.", examples=["1"])
    project: NameValue = Field(description="The project's name.", examples=["flights"])
    variables: Annotated[object, Entries(Variable)] = Field(
        None, description="Texts that environments can give.", examples=["{region: {type: string}}"]
    )
    environments: Annotated[object, Entries(EnvironmentSpec)] = Field(
        None, description="Where the project runs.", examples=["{local: {target: local}}"]
    )
