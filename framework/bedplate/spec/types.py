"""The scalar types of the language, but for amounts with units, which are in quantities.

They stand in `Annotated`, so that a section's model is plain to read: `p95: Annotated[Decimal, Duration()]`.
What they are given is a located Scalar; nothing here has passed YAML's resolver.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated

from bedplate.diagnostics import did_you_mean
from bedplate.graph import SecretRef
from bedplate.secret_shapes import looks_like_a_secret
from bedplate.spec.leaf import Leaf, Resolver, Schema, refuse, shown
from bedplate.spec.names import NAME, RULE, is_name, name_problem
from bedplate.spec.references import AsWritten, ReferenceProblem, SaidElsewhere, none_here
from bedplate.spec.tree import Scalar

SECRET_IN_SPEC = "a secret's value cannot stand in the spec"  # noqa: S105

_VARIABLE = "letters, digits and _, not beginning with a digit, such as API_KEY"
# Patterns are compiled when they are first used: most specs use few of the types.
_INTEGER = r"[-+]?(0|[1-9][0-9]{0,17})"
_NUMBER = r"[-+]?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,2})?"
_NUMBER_LIKE = r"(?i)[-+]?[0-9][0-9_,.xoa-f]*|[-+]?\.(inf|nan)"
_MODEL_URI = r"models:/[A-Za-z0-9][A-Za-z0-9 _.-]{0,249}(@[A-Za-z0-9_-]{1,100}|/[1-9][0-9]{0,9})"
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"


class Text(Leaf):
    """Any text, quoted or not: `NO` and `1.10` are those texts. `${...}` is resolved."""

    rule = (
        "With quotes or without: NO and 1.10 are these texts. References such as ${var.NAME} are filled in (BP107), "
        "and $${ stands for ${."
    )

    def parse(self, scalar: Scalar, references: Resolver | None) -> str:
        control = None if scalar.text.isprintable() else re.search(_CONTROL, scalar.text)
        if control:
            refuse("BP023", f"a text cannot hold the character U+{ord(control.group()):04X}")
        if looks_like_a_secret(scalar.text):
            refuse("BP110", "this looks like the value of a secret", "name a secret instead: {secret: NAME}")
        if "${" not in scalar.text:
            return self.checked(scalar, scalar.text)
        try:
            text = references.resolve(scalar.text) if references else none_here(scalar.text)
        except SaidElsewhere:
            return ""
        except ReferenceProblem as problem:
            refuse(problem.code, problem.message, problem.hint, within=problem.within)
        return text if isinstance(references, AsWritten) else self.checked(scalar, text)

    def checked(self, scalar: Scalar, text: str) -> str:
        """The text, if it is one of this type; `scalar` is what it was made of."""
        return text

    def schema(self) -> Schema:
        return {"type": ["string", "number", "boolean"]}


class FilePath(Text):
    """A file of the project: relative, with forward slashes, and not out of the folder."""

    noun = "the path of a file in the project"
    rule = "From the project's folder on, with forward slashes, and never out of it."

    def checked(self, scalar: Scalar, text: str) -> str:
        if text.startswith("/") or re.match(r"[A-Za-z]:", text) or ".." in text.split("/"):
            refuse(
                "BP111", f"the path {shown(scalar)} is outside the project", "use a path relative to the spec"
            )
        if "\\" in text or "//" in text or text.endswith("/") or "\n" in text or "\t" in text or not text:
            self.wrong(scalar, "use single forward slashes, and end with the file's name")
        return text

    def schema(self) -> Schema:
        return {
            "type": "string",
            "pattern": r"^(?![A-Za-z]:)(?!/)(?!(.*/)?\.\.(/|$))(?!.*//)[^\\\n\t]*[^/\\\n\t]$",
        }


class FolderPath(FilePath):
    """A folder of the project."""

    noun = "the path of a folder in the project"


class Name(Leaf):
    """A name of the language."""

    noun = "a name"
    rule = f"{RULE[0].upper()}{RULE[1:]}."

    def read(self, value: object, references: Resolver | None) -> object:
        if isinstance(value, str):
            # The key of a mapping, which is a string already.
            return value if NAME.fullmatch(value) else refuse("BP027", *name_problem(value))
        return super().read(value, references)

    def parse(self, scalar: Scalar, references: Resolver | None) -> str:
        if not NAME.fullmatch(scalar.text):
            refuse("BP027", *name_problem(shown(scalar)))
        if not is_name(scalar):
            self.wrong(scalar, f'quote it: "{scalar.text}"')
        return scalar.text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^{NAME.pattern}$"}


@dataclass(frozen=True)
class Integer(Leaf):
    """A whole number within bounds, both included."""

    low: int
    high: int
    noun = "a whole number"
    rule = "In decimal digits, without quotes."

    def parse(self, scalar: Scalar, references: Resolver | None) -> int:
        if not scalar.plain or not re.fullmatch(_INTEGER, scalar.text):
            self.wrong(scalar, _number_help(scalar, self.noun))
        value = int(scalar.text)
        if not self.low <= value <= self.high:
            refuse("BP024", f"{value} is out of range", f"from {self.low} to {self.high}")
        return value

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class Number(Leaf):
    """A finite decimal number within bounds, both included, kept exactly."""

    low: Decimal
    high: Decimal
    noun = "a number"
    rule = "In decimal digits, without quotes; 1e-5 is one too."

    def parse(self, scalar: Scalar, references: Resolver | None) -> Decimal:
        if not scalar.plain or not re.fullmatch(_NUMBER, scalar.text):
            self.wrong(scalar, _number_help(scalar, self.noun))
        value = Decimal(scalar.text)
        if not self.low <= value <= self.high:
            refuse("BP024", f"{scalar.text} is out of range", f"from {self.low} to {self.high}")
        return value

    def written(self, value: object) -> object:
        exact = Decimal(str(value))
        return int(exact) if exact == int(exact) else float(exact)

    def schema(self) -> Schema:
        return {"type": "number", "minimum": float(self.low), "maximum": float(self.high)}


def _number_help(scalar: Scalar, noun: str) -> str | None:
    if not scalar.plain and re.fullmatch(_NUMBER, scalar.text):
        return "write it without quotes"
    if re.fullmatch(_NUMBER_LIKE, scalar.text):
        return f"write {noun} in decimal digits, such as {'3' if 'whole' in noun else '0.5'}"
    return None


class Boolean(Leaf):
    noun = "true or false"
    rule = "In these two words alone, without quotes."

    def parse(self, scalar: Scalar, references: Resolver | None) -> bool:
        if not scalar.plain or scalar.text not in ("true", "false"):
            yes = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
            meant = yes.get(scalar.text.lower(), scalar.text.lower())
            self.wrong(scalar, f"write {meant}" if meant in ("true", "false") else None)
        return scalar.text == "true"

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True)
class OneOf(Leaf):
    """One of a few words. `words` says of each what it means."""

    words: Mapping[str, str] = field(hash=False)
    noun = "one of a few words"

    def parse(self, scalar: Scalar, references: Resolver | None) -> str:
        if scalar.text not in self.words:
            near = did_you_mean(scalar.text, self.words)
            known = f"known: {', '.join(self.words)}"
            refuse(
                "BP025",
                f"{shown(scalar)} is not known here",
                f"did you mean {near}? {known}" if near else known,
            )
        return scalar.text

    def schema(self) -> Schema:
        return {"enum": [*self.words], "enumDescriptions": [*self.words.values()]}


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


class HttpPath(Text):
    """The path of an address."""

    noun = "a path, such as /health"
    rule = "A slash first; no spaces, no query."

    def checked(self, scalar: Scalar, text: str) -> str:
        if not re.fullmatch(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,255}", text):
            self.wrong(scalar, "begin it with a slash; no spaces, no query")
        return text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": r"^(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,255}|.*\$\{.*)$"}


class ModelUri(Text):
    """A version of a registered model, in MLflow's own words."""

    noun = "a model of a registry, such as models:/flights-delay@champion"
    rule = "models:/NAME@ALIAS, or models:/NAME/VERSION."

    def checked(self, scalar: Scalar, text: str) -> str:
        if not re.fullmatch(_MODEL_URI, text):
            self.wrong(scalar, "models:/NAME@ALIAS, or models:/NAME/VERSION")
        return text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": rf"^({_MODEL_URI}|.*\$\{{.*)$"}


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


TextValue = Annotated[str, Text()]
TextOrSecretValue = Annotated[str | SecretRef, TextOrSecret()]
VariableNameValue = Annotated[str, VariableName()]
PathValue = Annotated[str, FilePath()]
NameValue = Annotated[str, Name()]
BooleanValue = Annotated[bool, Boolean()]
SecretValue = Annotated[SecretRef, Secret()]
