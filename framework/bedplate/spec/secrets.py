"""Secrets by name, and the variables of the environment that hold their values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from bedplate.diagnostics import did_you_mean
from bedplate.graph import SecretRef
from bedplate.spec.leaf import Leaf, Resolver, Schema, refuse
from bedplate.spec.names import NAME, name_problem
from bedplate.spec.tree import Scalar
from bedplate.spec.types import Name, Text

SECRET_IN_SPEC = "a secret's value cannot stand in the spec"  # noqa: S105

_VARIABLE = "letters, digits and _, not beginning with a digit, such as API_KEY"


class EnvironmentVariable(Leaf):
    """The name of a variable of the process environment."""

    noun = "the name of an environment variable, such as API_KEY"
    rule = f"{_VARIABLE[0].upper()}{_VARIABLE[1:]}."

    def parse(self, scalar: Scalar, references: Resolver | None) -> str:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", scalar.text) or scalar.text in ("true", "false"):
            # It may be the value itself, written here by mistake: it is not shown.
            refuse("BP110", f"this is no name of an environment variable, and {SECRET_IN_SPEC}", _VARIABLE)
        return scalar.text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,127}$"}


class VariableName(EnvironmentVariable):
    """The name of a variable that a program is given."""

    def read(self, value: object, references: Resolver | None) -> object:
        if isinstance(value, str):
            if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", value):
                return value
            refuse("BP027", f"{value[:60]} is not the name of an environment variable", _VARIABLE)
        return super().read(value, references)


class Secret(Leaf):
    """`{secret: NAME}`: a secret by name. Its value is no part of a spec, and is never repeated."""

    noun = "the name of a secret: {secret: NAME}"
    rule = "The environment says where its value is; the value itself is refused here."

    def read(self, value: object, references: Resolver | None) -> SecretRef:
        if isinstance(value, Mapping):
            return self._named(value)
        if isinstance(value, Scalar) and not value.is_null:
            refuse("BP110", SECRET_IN_SPEC, "name it: {secret: NAME}")
        return refuse("BP022", f"expected {self.noun}")

    def _named(self, value: Mapping[str, object]) -> SecretRef:
        name = value.get("secret")
        if isinstance(name, Scalar) and not name.is_null and not NAME.fullmatch(name.text):
            refuse("BP027", *name_problem("the secret's name"), below=("secret",))
        others = [key for key in value if key != "secret"]
        if not others and isinstance(name, Scalar):
            if name.is_null:
                refuse("BP026", "there is no value", "write the secret's name", below=("secret",))
            return SecretRef(name.text)
        if not others and name is not None:
            refuse("BP022", "expected the secret's name", below=("secret",))
        near = next((key for key in others if did_you_mean(key, ("secret",))), None)
        if near is not None or name is not None:
            other = near or others[0]
            refuse("BP020", f"unknown key {other}", "did you mean secret?" if near else None, key=other)
        return refuse("BP022", f"expected {self.noun}")

    def schema(self) -> Schema:
        return {
            "type": "object",
            "properties": {
                "secret": {
                    "title": Name.noun,
                    **Name().schema(),
                    "description": "The name of the secret; the environment says where its value is.",
                    "examples": ["delay-key"],
                }
            },
            "required": ["secret"],
            "additionalProperties": False,
        }


class TextOrSecret(Text):
    """A text, or a secret by name."""

    noun = "a text, or {secret: NAME}"
    rule = "A text that is no secret's value, or a secret by its name."

    def read(self, value: object, references: Resolver | None) -> object:
        if isinstance(value, Mapping):
            return Secret().read(value, references)
        return super().read(value, references)

    def schema(self) -> Schema:
        return {"anyOf": [Text().schema(), Secret().schema()]}


TextOrSecretValue = Annotated[str | SecretRef, TextOrSecret()]
VariableNameValue = Annotated[str, VariableName()]
SecretValue = Annotated[SecretRef, Secret()]
